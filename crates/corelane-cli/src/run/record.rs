//! All that is known of a run when it has ended: for the summary, the document and the page.

use std::{fmt::Write, time::Duration};

use corelane_agent::ask::AskCounters;
use corelane_router::RouterTotals;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::{alarm::normal_share, pace::Pace, source::SourceCounts, work::Work};
use crate::machine::Machine;

/// What happened to a worker.
pub(super) const DOWN: &str = "down";
/// The same.
pub(super) const UP: &str = "up";

/// What a run did.
pub(crate) struct RunRecord {
    /// The file of the flow.
    pub(crate) flow: String,
    /// Topology, matrix and plan of the machine.
    pub(crate) machine: Machine,
    pub(crate) is_pinned: bool,
    /// Threads that ran elsewhere than where they were pinned, in words.
    pub(crate) degraded: Vec<String>,
    /// Worker processes.
    pub(crate) workers: usize,
    pub(crate) stages: Vec<StageRecord>,
    /// Items taken in.
    pub(crate) items: u64,
    /// Items that passed every stage.
    pub(crate) answered: u64,
    /// Items that a stage let through no further.
    pub(crate) dropped: u64,
    /// Items that nothing could be done with.
    pub(crate) failed: u64,
    /// Items that were given up when the run ended early.
    pub(crate) abandoned: u64,
    /// Whoever read the answers went away.
    pub(crate) is_reader_gone: bool,
    /// When items left.
    pub(super) pace: Pace,
    /// What happened to the workers, in order.
    pub(crate) events: Vec<RunEvent>,
    /// Questions sent again to the next generation of a worker.
    pub(crate) redelivered: u64,
    pub(crate) asks: AskCounters,
    pub(super) source: SourceCounts,
    pub(crate) routers: RouterTotals,
    /// From the first item on, the start of the workers excluded.
    pub(crate) elapsed: Duration,
    /// Number of the signal that ended the input.
    pub(crate) signal: Option<u8>,
}

/// What a stage did.
pub(crate) struct StageRecord {
    pub(crate) name: String,
    /// Number of its agents.
    pub(crate) agents: u32,
    pub(super) work: Work,
    /// Items that its agents answered.
    pub(crate) answered: u64,
    /// Of these, how many went on.
    pub(crate) passed: u64,
    /// Items that it judged; fewer than answered only while windows fill.
    pub(crate) judged: u64,
    /// Items that its agents could do nothing with, or gave no answer to.
    pub(crate) failed: u64,
    /// Answers that did not come in time.
    pub(crate) expired: u64,
    /// From asking to the answer, in nanoseconds.
    pub(crate) waited_ns: Histogram<u64>,
}

/// Something that happened to a worker.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct RunEvent {
    /// Seconds since the first item.
    pub(crate) at_s: f64,
    pub(crate) worker: usize,
    /// "down", with why, or "up", with its process.
    pub(crate) what: &'static str,
    pub(crate) detail: String,
}

/// How often a stage raised its alarm.
pub(super) struct AlarmShare {
    window: u32,
    threshold: f64,
    /// Share of the readings that it judged.
    pub(super) found: f64,
    /// What readings of a normal distribution would give.
    pub(super) normal: f64,
}

impl RunEvent {
    pub(super) fn is_down(&self) -> bool {
        self.what == DOWN
    }
}

impl StageRecord {
    /// Share of alarms among the readings that were judged; none if it does not judge.
    pub(super) fn alarm(&self) -> Option<AlarmShare> {
        let Work::Alarm { window, threshold } = self.work else { return None };
        let found = self.passed as f64 / self.judged.max(1) as f64;
        Some(AlarmShare { window, threshold, found, normal: normal_share(threshold) })
    }

    fn line(&self) -> String {
        let Self { name, answered, passed, failed, expired, .. } = self;
        let at = |quantile| microseconds(self.waited_ns.value_at_quantile(quantile));
        let mut line =
            format!("  {name}: {answered} answered, {passed} passed on, {failed} failed");
        if !self.waited_ns.is_empty() {
            let _ = write!(line, "; round trip p50 {} p99 {}", at(0.5), at(0.99));
        }
        if *expired > 0 {
            let _ = write!(line, "; {expired} answers not in time");
        }
        if let Some(AlarmShare { window, threshold, found, normal }) = self.alarm() {
            let _ = write!(
                line,
                "\n  {name}: {passed} alarms in {} readings judged, a share of {found:.2e}; normal \
                 readings would give {normal:.2e} at threshold {threshold} (window {window})",
                self.judged,
            );
        }
        line
    }

    fn document(&self) -> Value {
        let at = |quantile| self.waited_ns.value_at_quantile(quantile);
        let mut document = json!({
            "name": self.name,
            "agents": self.agents,
            "answered": self.answered,
            "passed": self.passed,
            "failed": self.failed,
            "expired": self.expired,
            "rtt_ns": {
                "p50": at(0.5),
                "p99": at(0.99),
                "p999": at(0.999),
                "max": self.waited_ns.max(),
                "samples": self.waited_ns.len(),
            },
        });
        if let Some(AlarmShare { window, threshold, found, normal }) = self.alarm() {
            document["alarm"] = json!({
                "window": window,
                "threshold": threshold,
                "judged": self.judged,
                "alarms": self.passed,
                "share": found,
                "normal_share": normal,
            });
        }
        document
    }
}

impl RunRecord {
    pub(super) fn items_per_s(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { (self.items - self.abandoned) as f64 / seconds } else { 0.0 }
    }

    /// Answers that arrived twice or too late and were given out once or not at all.
    pub(super) fn suppressed(&self) -> u64 {
        self.asks.duplicates + self.asks.late
    }

    /// What people read at the end.
    pub(super) fn summary(&self) -> String {
        let Self { flow, items, answered, dropped, failed, .. } = self;
        let mut text = format!(
            "{flow}: {items} items in {:.2} s ({:.0}/s): {answered} answered, {dropped} dropped, \
             {failed} failed",
            self.elapsed.as_secs_f64(),
            self.items_per_s()
        );
        if self.abandoned > 0 {
            let _ = write!(text, ", {} abandoned", self.abandoned);
        }
        text.push('\n');
        if self.is_reader_gone {
            text.push_str("  output: its reader went away\n");
        }
        for stage in &self.stages {
            let _ = writeln!(text, "{}", stage.line());
        }
        let SourceCounts { ticks, ticks_missed, rotations, truncations } = self.source;
        if ticks + ticks_missed > 0 {
            let _ = writeln!(text, "  input: {ticks} readings taken, {ticks_missed} missed");
        }
        if rotations + truncations > 0 {
            let _ = writeln!(text, "  input: {rotations} rotations, {truncations} truncations");
        }
        for RunEvent { at_s, worker, what, detail } in &self.events {
            let _ = writeln!(text, "  worker {worker} {what} after {at_s:.2} s: {detail}");
        }
        if self.redelivered + self.suppressed() > 0 {
            let (again, suppressed) = (self.redelivered, self.suppressed());
            let _ =
                writeln!(text, "  {again} questions sent again, {suppressed} answers held back");
        }
        text
    }

    /// The document of `--json`.
    pub(super) fn document(&self) -> Value {
        json!({
            "schema": "corelane.run/1",
            "flow": self.flow,
            "items": self.items,
            "answered": self.answered,
            "dropped": self.dropped,
            "failed": self.failed,
            "abandoned": self.abandoned,
            "redelivered": self.redelivered,
            "expired": self.asks.expired,
            "answers_suppressed": self.suppressed(),
            "items_per_s": self.items_per_s(),
            "throughput": {
                "step_ms": self.pace.step().as_millis() as u64,
                "items": self.pace.counts(),
            },
            "stages": self.stages.iter().map(StageRecord::document).collect::<Vec<_>>(),
            "source": self.source,
            "events": self.events,
            "routers": self.machine.request.routers,
            "workers": self.workers,
            "is_pinned": self.is_pinned,
            "degraded": self.degraded,
            "router_totals": {
                "forwarded": self.routers.forwarded,
                "dropped": self.routers.dropped(),
            },
            "machine": self.machine.fingerprint(),
            "signal": self.signal,
            "elapsed_s": self.elapsed.as_secs_f64(),
        })
    }
}

fn microseconds(ns: u64) -> String {
    match ns {
        0..10_000_000 => format!("{:.1} µs", ns as f64 / 1e3),
        _ => format!("{:.1} ms", ns as f64 / 1e6),
    }
}
