//! Tables: the numbers behind a picture, folded away, or a table by itself.

use maud::{Markup, html};

/// Names of columns and rows of text.
#[derive(Debug, Clone, Default)]
pub struct Table {
    caption: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    is_folded: bool,
}

impl Table {
    /// A table without rows.
    pub fn new<T: Into<String>>(
        caption: impl Into<String>,
        head: impl IntoIterator<Item = T>,
    ) -> Self {
        let head = head.into_iter().map(Into::into).collect();
        Self { caption: caption.into(), head, rows: Vec::new(), is_folded: false }
    }

    /// Adds a row; its first cell names it.
    pub fn row<T: Into<String>>(mut self, cells: impl IntoIterator<Item = T>) -> Self {
        self.rows.push(cells.into_iter().map(Into::into).collect());
        self
    }

    /// Adds rows.
    pub fn rows(mut self, rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        self.rows.extend(rows);
        self
    }

    /// Folds the table away; a reader opens it.
    pub fn folded(mut self) -> Self {
        self.is_folded = true;
        self
    }

    pub(crate) fn render(&self) -> Markup {
        match self.is_folded {
            true => self.behind(),
            false => self.open(),
        }
    }

    fn open(&self) -> Markup {
        let is_number: Vec<bool> = (0..self.head.len()).map(|at| self.is_number(at)).collect();
        let class = |at: usize| is_number.get(at).is_some_and(|is| *is).then_some("n");
        html! {
            // Can be scrolled with the keyboard where it is wider than the window.
            div.scroll tabindex="0" role="region" aria-label=(self.caption) {
                table {
                    caption { (self.caption) }
                    thead { tr {
                        @for (at, name) in self.head.iter().enumerate() {
                            th scope="col" class=[class(at)] { (name) }
                        }
                    } }
                    tbody { @for row in &self.rows { tr {
                        @for (at, cell) in row.iter().enumerate() {
                            @if at == 0 { th scope="row" class=[class(at)] { (cell) } }
                            @else { td class=[class(at)] { (cell) } }
                        }
                    } } }
                }
            }
        }
    }

    /// Folded away below a picture.
    pub(crate) fn behind(&self) -> Markup {
        html! {
            details { summary { "Table: " (self.caption) } (self.open()) }
        }
    }

    /// Whether every cell of a column begins like a number; such columns are aligned right.
    fn is_number(&self, at: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(at));
        cells.all(|cell| {
            let start = cell.trim_start_matches(['-', '–', '.', '<', '>', ' ']);
            start.is_empty() || start.starts_with(|c: char| c.is_ascii_digit())
        })
    }
}
