//! Draws topology, latencies and plan as text, and the topology as an SVG. Pure: returns strings,
//! prints nothing, asks no terminal; the caller states width, colour and character set.

mod details;
mod drawing;
mod heatmap;
mod line;
mod placement;
mod svg;
#[cfg(test)]
mod tests;

pub use details::{draw_details, wrap_words};
pub use drawing::draw_topology;
pub use heatmap::draw_matrix;
pub use placement::draw_plan;
pub use svg::draw_svg;

/// Below this many columns the drawings take their compact form.
pub const COLUMNS_FULL_MIN: usize = 60;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderStyle {
    /// No line is longer than this.
    pub columns: usize,
    /// Whether 256-colour escapes may be used.
    pub has_color: bool,
    /// Whether characters outside ASCII may be used.
    pub has_unicode: bool,
}

impl Default for RenderStyle {
    /// Safe in a pipe: 80 columns, no colour, ASCII.
    fn default() -> Self {
        Self { columns: 80, has_color: false, has_unicode: false }
    }
}

impl RenderStyle {
    fn is_compact(&self) -> bool {
        self.columns < COLUMNS_FULL_MIN
    }
}
