//! The plan as sentences: each role with its CPUs and the reason, then what was not taken.
//!
//! Draws only; nothing is chosen here.

use super::RenderStyle;
use super::line::Page;
use crate::{Plan, Sharing};

/// Draws the plan.
#[must_use]
pub fn draw_plan(plan: &Plan, style: &RenderStyle) -> String {
    let mut page = Page::new(style);
    let wide = if style.is_compact() { "  " } else { "            " };
    for assignment in &plan.assignments {
        let sharing = match assignment.sharing {
            Sharing::Exclusive => "alone",
            Sharing::Sibling => "beside another thread of its core",
            Sharing::Shared => "shared",
        };
        let cpus = match assignment.cpus.is_empty() {
            true => "any cpu".to_owned(),
            false => format!("cpu {}", assignment.cpus),
        };
        let name = format!("{:<10}  ", assignment.role.to_string());
        let text = format!("{cpus}, {sharing}: {}", assignment.because);
        page.sentence(&name, wide, &text);
    }
    for rejected in &plan.rejected {
        page.sentence("not taken   ", wide, &format!("cpu {}: {}", rejected.cpus, rejected.reason));
    }
    page.finish()
}
