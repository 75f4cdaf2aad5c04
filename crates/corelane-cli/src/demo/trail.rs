//! What happened when around the kill: a few times, noted as they pass, drawn by the page.

use std::time::Instant;

use corelane_report::{Event, Timeline};

/// Moments of a pass with a kill.
#[derive(Debug)]
pub(super) struct Trail {
    began: Instant,
    /// Questions open from a moment on; noted when their number changes.
    open: Vec<(Instant, u32)>,
    killed: Option<(Instant, String)>,
    down: Option<(Instant, String)>,
    up: Option<(Instant, String)>,
    first_answer: Option<Instant>,
}

impl Trail {
    pub(super) fn begin() -> Self {
        let began = Instant::now();
        let (open, killed, down, up) = (vec![(began, 0)], None, None, None);
        Self { began, open, killed, down, up, first_answer: None }
    }

    /// So many questions are open now.
    pub(super) fn open(&mut self, count: u32) {
        if self.open.last().is_none_or(|(_, last)| *last != count) {
            self.open.push((Instant::now(), count));
        }
    }

    /// A worker was killed while so many questions were open at it.
    pub(super) fn kill(&mut self, at: Instant, worker: usize, pid: u32, open: u32) {
        let text = format!("worker {worker}, pid {pid}, while it owed {open} answers");
        self.killed = Some((at, text));
    }

    /// The node has noticed, and so many messages may not have reached the dead.
    pub(super) fn down(&mut self, undelivered: u64) {
        let text = format!("noticed by the node; {undelivered} messages lay unread before it");
        self.down = Some((Instant::now(), text));
    }

    /// The next generation is attached, and so many questions were asked again.
    pub(super) fn up(&mut self, pid: u32, again: usize) {
        let text = format!("pid {pid} is attached; {again} questions are delivered again");
        self.up = Some((Instant::now(), text));
    }

    /// An answer to a question that was delivered again.
    pub(super) fn first_answer(&mut self) {
        self.first_answer = Some(Instant::now());
    }

    /// The picture of it, with times from the kill; `None` when nobody was killed.
    pub(super) fn timeline(&self) -> Option<Timeline> {
        let (killed, _) = self.killed.as_ref()?;
        let ms = |at: &Instant| {
            let after = at.saturating_duration_since(*killed).as_secs_f64();
            (after - killed.saturating_duration_since(*at).as_secs_f64()) * 1e3
        };
        let noted = [("SIGKILL", &self.killed), ("down", &self.down), ("restarted", &self.up)];
        let noted = noted.into_iter().filter_map(|(name, event)| {
            let (at, text) = event.as_ref()?;
            Some(Event::new(ms(at), name).note(text))
        });
        let answered = self
            .first_answer
            .iter()
            .map(|at| Event::new(ms(at), "first answer").note("of the next generation: recovered"));
        let open = self.open.iter().map(|(at, count)| (ms(at), u64::from(*count)));
        let timeline = Timeline::new("The kill and the way back", "the kill");
        let timeline = noted.chain(answered).fold(timeline, Timeline::event);
        Some(timeline.event(Event::new(ms(&self.began), "begin")).counts("open questions", open))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_from_the_kill_and_events_are_in_order() {
        let mut trail = Trail::begin();
        assert!(trail.timeline().is_none(), "nobody was killed");
        trail.open(64);
        trail.open(64);
        trail.kill(Instant::now(), 1, 42, 33);
        trail.down(5);
        trail.up(43, 33);
        trail.first_answer();
        assert_eq!(trail.open.len(), 2, "only changes are noted");
        let page = corelane_report::Page::new("x")
            .section(corelane_report::Section::new("y").optional(trail.timeline()));
        let html = page.render();
        let at = |what: &str| html.find(&format!("<b>{what}</b>")).expect(what);
        let places = ["begin", "SIGKILL", "down", "restarted", "first answer"].map(at);
        assert!(places.is_sorted(), "{places:?}");
        assert!(html.contains("while it owed 33 answers"), "{html}");
    }
}
