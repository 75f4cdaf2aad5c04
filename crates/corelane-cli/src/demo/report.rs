//! What the demo says: sections for people as they come, one document for programs at the end.

use std::path::Path;

use corelane_router::RouterTotals;
use corelane_topology::{
    PingPong, Role,
    render::{RenderStyle, draw_matrix, draw_plan, draw_topology},
};
use serde::Serialize;

use super::{
    digits::{Classified, Digits},
    load::{Loaded, RoundTrip},
};
use crate::{
    fabric::Fabric,
    machine::{Fingerprint, Machine},
    terminal,
};

/// The document of `--json`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Name and version of this document.
    pub(super) schema: &'static str,
    /// Questions of the pass in which a worker is killed.
    pub(super) images: usize,
    pub(super) answered: usize,
    /// Questions that were sent again to the next generation.
    pub(super) redelivered: usize,
    /// Answers that the source saw twice.
    pub(super) duplicates: usize,
    pub(super) lost: usize,
    /// Right answers on the images that the model has never seen, 0 to 1.
    pub(super) accuracy: f64,
    pub(super) accuracy_images: usize,
    /// The pass with the kill gave the same answers as the one without.
    pub(super) is_repeatable: bool,
    /// Answers that arrived twice and were given out once.
    pub(super) answers_suppressed: u64,
    pub(super) killed_after: u32,
    /// Messages read by agents per second, every one through a router.
    pub(super) routed_msgs_per_s: f64,
    pub(super) cross_process_share: f64,
    /// Messages whose checksum was wrong at the reader.
    pub(super) corrupt: u64,
    /// Question and answer under full load.
    pub(super) rtt_ns: RoundTrip,
    /// Question and answer with nothing else under way.
    pub(super) rtt_quiet_ns: RoundTrip,
    /// Round trip of one cache line between the cores of router and worker.
    pub(super) pingpong_ns: f64,
    /// From the kill to the first answer of the next generation; null if none was due.
    pub(super) recovery_ms: Option<f64>,
    pub(super) routers: usize,
    pub(super) workers: usize,
    pub(super) agents: u32,
    pub(super) is_pinned: bool,
    /// Threads of the load phase share cores, so that waiting is yielding.
    pub(super) must_yield: bool,
    pub(super) seed: u64,
    pub(super) router_totals: Totals,
    pub(super) machine: Fingerprint,
    /// Threads that were not where they were pinned at the end, in words.
    pub(super) degraded: Vec<String>,
    pub(super) elapsed_s: f64,
}

impl Report {
    /// The promise that one worker alone cannot be judged by.
    pub(super) const CROSSES: &str = "half of the load crosses processes";

    /// What should have held and did not; empty after a good run.
    pub(super) fn broken(&self) -> Vec<&'static str> {
        let promises = self.promises().into_iter();
        promises.filter(|(holds, _)| !holds).map(|(_, promise)| promise).collect()
    }

    /// What should hold, and whether it does.
    pub(super) fn promises(&self) -> [(bool, &'static str); 7] {
        let Totals { dropped_unknown, dropped_stalled, malformed, .. } = self.router_totals;
        [
            (self.answered == self.images && self.lost == 0, "every digit is answered"),
            (self.duplicates == 0, "no answer is seen twice"),
            (self.accuracy >= 0.95, "at least 95 % of the held-out digits are right"),
            (self.is_repeatable, "answers are the same with and without a kill"),
            (self.corrupt == 0, "no message is corrupt"),
            (self.workers < 2 || self.cross_process_share >= 0.5, Self::CROSSES),
            (dropped_unknown + dropped_stalled + malformed == 0, "no router drops a message"),
        ]
    }
}

/// What the routers counted over the whole run.
#[derive(Debug, Serialize)]
pub(super) struct Totals {
    forwarded: u64,
    dropped_unknown: u64,
    dropped_dead: u64,
    dropped_stalled: u64,
    malformed: u64,
}

impl From<RouterTotals> for Totals {
    fn from(totals: RouterTotals) -> Self {
        let RouterTotals { forwarded, dropped_unknown, dropped_dead, dropped_stalled, malformed } =
            totals;
        Self { forwarded, dropped_unknown, dropped_dead, dropped_stalled, malformed }
    }
}

/// Prints a section after each phase, unless a program reads.
pub(super) struct Section {
    is_shown: bool,
    /// Asked for each section: a terminal can change its width meanwhile.
    style: fn() -> RenderStyle,
}

impl Section {
    pub(super) fn new(is_shown: bool, style: fn() -> RenderStyle) -> Self {
        Self { is_shown, style }
    }

    fn print(&self, title: &str, body: &str) -> anyhow::Result<()> {
        if !self.is_shown {
            return Ok(());
        }
        let style = (self.style)();
        let bold = anstyle::Style::new().bold();
        let (on, off) = match style.has_color {
            true => (bold.render().to_string(), bold.render_reset().to_string()),
            false => (String::new(), String::new()),
        };
        let body = match body {
            "" => String::new(),
            body => format!("{}\n\n", terminal::wrap(body.trim_end(), style.columns)),
        };
        terminal::write(&format!("{on}{title}{off}\n{body}"))
    }

    pub(super) fn machine(&self, machine: &Machine) -> anyhow::Result<()> {
        if !self.is_shown {
            return Ok(());
        }
        let style = (self.style)();
        let drawing = draw_topology(&machine.topology, Some(&machine.plan), &style);
        let matrix = draw_matrix(&machine.matrix, &style);
        let plan = draw_plan(&machine.plan, &style);
        let because = &machine.request_because;
        let body = format!(
            "{}\n\n{}\n\n{}\n\n{because}",
            drawing.trim_end(),
            matrix.trim_end(),
            plan.trim_end()
        );
        self.print("1. Machine", &body)
    }

    pub(super) fn fabric(&self, fabric: &Fabric) -> anyhow::Result<()> {
        let mut body = String::new();
        for (index, (agents, pid)) in fabric.workers.iter().zip(&fabric.pids).enumerate() {
            let (first, last) = (agents.start, agents.end - 1);
            let role = Role::Worker(index);
            body += &format!("  {role}  pid {pid}  agents {first} to {last}\n");
        }
        let time = fabric.attach_time.as_secs_f64() * 1e3;
        body += &format!("  attached over sealed shared memory after {time:.0} ms");
        self.print("2. Fabric", &body)
    }

    pub(super) fn digits(&self, digits: &Digits, outcome: &Classified) -> anyhow::Result<()> {
        let (answered, images) = (outcome.answered(), digits.images().len());
        let time = outcome.time.as_secs_f64();
        let accuracy = digits.accuracy(outcome) * 100.0;
        let wrong = digits.held_out().find(|&i| outcome.answers[i] != Some(digits.label(i)));
        let mut body = format!(
            "  {answered} of {images} handwritten digits answered in {:.0} ms, each by correlation \
             id\n  {accuracy:.1} % right on the {} images that the model has never seen\n  from \
             question to answer p50 {}, p99 {}",
            time * 1e3,
            digits.held_out().len(),
            nanoseconds(outcome.waited_ns.value_at_quantile(0.5)),
            nanoseconds(outcome.waited_ns.value_at_quantile(0.99)),
        );
        if let Some(index) = wrong {
            let (label, answer) = (digits.label(index), outcome.answers[index]);
            let answer = answer.map_or("nothing".to_owned(), |answer| answer.to_string());
            body += &format!("\n  the first one that it takes for {answer} is this {label}:\n");
            body += &draw_digit(digits.images()[index]);
        }
        self.print("3. Real input", &body)
    }

    pub(super) fn load(
        &self,
        load: &Loaded,
        quiet: &Loaded,
        pingpong: &PingPong,
    ) -> anyhow::Result<()> {
        let (rtt, alone) = (load.rtt(), quiet.rtt());
        let row = |what: &str, rtt: RoundTrip| {
            let [p50, p99, p999, max] = [rtt.p50, rtt.p99, rtt.p999, rtt.max].map(nanoseconds);
            format!("  {what:<7} p50 {p50}, p99 {p99}, p99.9 {p999}, max {max}\n")
        };
        let body = format!(
            "  {:.2} million routed messages per second over {:.1} s, 64-byte payload, {:.0} % to \
             another process\n  {} sent and read, {} with a wrong checksum\n  round trips:\n{}{}  \
             bare    one cache line between router and worker, {:.0} ns",
            load.msgs_per_s / 1e6,
            load.time.as_secs_f64(),
            load.cross_share * 100.0,
            load.sent,
            load.corrupt,
            row("loaded", rtt),
            row("alone", alone),
            pingpong.round_trip_ns(),
        );
        self.print("4. Load", &body)
    }

    pub(super) fn failure(&self, digits: &Digits, outcome: &Classified) -> anyhow::Result<()> {
        let killed = match outcome.killed {
            Some((worker, old, new)) => {
                format!("worker {worker}, pid {old}, was killed with SIGKILL; pid {new} took over")
            }
            None => "nobody was killed".to_owned(),
        };
        let recovery = match outcome.recovery_ms {
            Some(ms) => format!("first answer of the next generation {ms:.0} ms after the kill"),
            None => "no question was open at the killed worker".to_owned(),
        };
        let body = format!(
            "  {killed}\n  {} of {} digits answered, {} delivered again, {} seen twice, {} \
             lost\n  {recovery}",
            outcome.answered(),
            digits.images().len(),
            outcome.redelivered,
            outcome.duplicates,
            outcome.lost(),
        );
        self.print("5. Failure", &body)
    }

    pub(super) fn end(&self, report: &Report) -> anyhow::Result<()> {
        let is_good = report.broken().is_empty();
        let verdict = if is_good { "everything held" } else { "SOMETHING DID NOT HOLD" };
        self.print(&format!("{verdict}, {:.1} s", report.elapsed_s), "")
    }

    /// Says where the page is: to who reads on, or beside a document on stdout.
    pub(super) fn page(&self, path: &Path) -> anyhow::Result<()> {
        match self.is_shown {
            true => terminal::write(&format!("page: {}\n", path.display())),
            false => {
                terminal::tell!("corelane: page written to {}", path.display());
                Ok(())
            }
        }
    }
}

/// A time in the unit that suits it.
fn nanoseconds(ns: u64) -> String {
    match ns {
        0..10_000 => format!("{ns} ns"),
        10_000..1_000_000 => format!("{:.1} us", ns as f64 / 1e3),
        _ => format!("{:.1} ms", ns as f64 / 1e6),
    }
}

/// An image of 8 x 8 pixels of 0 to 16, two characters a pixel.
fn draw_digit(pixels: &[u8]) -> String {
    const SHADES: [&str; 5] = ["  ", "..", "::", "oo", "##"];
    let shade = |&pixel: &u8| SHADES[(usize::from(pixel) * SHADES.len() / 17).min(4)];
    let rows = pixels.chunks(8).map(|row| row.iter().map(shade).collect::<String>());
    rows.map(|row| format!("    {}\n", row.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_fitting_units() {
        let texts = [999, 10_000, 12_345_678].map(nanoseconds);
        assert_eq!(texts, ["999 ns", "10.0 us", "12.3 ms"]);
    }
}
