//! Names and values: the fingerprint of a machine, the settings of a run.

use maud::{Markup, html};

/// A list of facts.
#[derive(Debug, Clone, Default)]
pub struct Facts(Vec<(String, String)>);

impl Facts {
    /// Adds one.
    pub fn fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    pub(crate) fn render(&self) -> Markup {
        html! {
            dl.facts {
                @for (name, value) in &self.0 { div { dt { (name) } dd { (value) } } }
            }
        }
    }
}
