//! Where the items come from. A source that has to wait does so in a thread of its own, which rings
//! the loop when there is something; the loop takes what is there and never waits for it.

mod follow;
mod lines;
mod schedule;
mod telemetry;

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use corelane_config::{self as config, Input};
use corelane_transport::EventCount;

use super::error::RunError;
use crate::{demo, terminal};
use lines::Lines;

/// What the thread of a source does.
type Work = Box<dyn FnOnce(&Outlet) -> Result<(), RunError> + Send>;

/// Batches that a source may be ahead of the flow.
const BATCHES_MAX: usize = 16;
/// The same for a followed file: it may grow faster than it is worked off, and what was read when
/// its time is over is still answered.
const FOLLOWED_MAX: usize = 1;
/// Bytes that are read from a file at once.
const CHUNK: usize = 16 << 10;

/// What a source gives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// The next item.
    Record(Vec<u8>),
    /// The next item cannot be asked about; the reason, for people.
    Refused(String),
}

/// What there is at the moment.
#[derive(Debug)]
pub(super) enum Next {
    Entry(Entry),
    /// Nothing yet.
    Nothing,
    /// There will be nothing more.
    Ended,
}

/// A running source.
pub(super) struct Source {
    entries: VecDeque<Entry>,
    feed: Option<Feed>,
    /// Items that it will give, if that is known.
    pub(super) total: Option<u64>,
    counts: Arc<Counts>,
}

struct Feed {
    batches: mpsc::Receiver<Result<Vec<Entry>, RunError>>,
    /// Its end ends the thread.
    _stop: mpsc::Sender<()>,
}

/// What a source counts.
#[derive(Debug, Default)]
struct Counts {
    ticks: AtomicU64,
    ticks_missed: AtomicU64,
    rotations: AtomicU64,
    truncations: AtomicU64,
}

/// What a source counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct SourceCounts {
    /// Readings of a telemetry that were taken.
    pub(super) ticks: u64,
    /// Readings that were due and not taken.
    pub(super) ticks_missed: u64,
    /// Times that another file took the place of a followed one.
    pub(super) rotations: u64,
    /// Times that a followed file became shorter.
    pub(super) truncations: u64,
}

/// A thread's end of a source.
struct Outlet {
    batches: mpsc::SyncSender<Result<Vec<Entry>, RunError>>,
    stop: mpsc::Receiver<()>,
    news: EventCount,
    counts: Arc<Counts>,
    record_bytes_max: usize,
}

impl Source {
    /// Starts the source that a flow names; it raises `news` when there is something.
    pub(super) fn start(
        input: &Input,
        record_bytes_max: usize,
        news: EventCount,
    ) -> anyhow::Result<Self> {
        let counts = Arc::new(Counts::default());
        let mut source =
            Self { entries: VecDeque::new(), feed: None, total: None, counts: counts.clone() };
        if let Input::Digits(which) = input {
            let digits = demo::Digits::load()?;
            let chosen = match which {
                config::Digits::All => digits.images(),
                config::Digits::HeldOut => &digits.images()[digits.held_out()],
            };
            source.entries.extend(chosen.iter().map(|image| Entry::Record(image.to_vec())));
            source.total = Some(chosen.len() as u64);
            return Ok(source);
        }
        let ahead = if matches!(input, Input::Follow { .. }) { FOLLOWED_MAX } else { BATCHES_MAX };
        let (batches, inbox) = mpsc::sync_channel(ahead);
        let (stop, stopped) = mpsc::channel();
        let outlet = Outlet { batches, stop: stopped, news, counts, record_bytes_max };
        let work: Work = match input.clone() {
            Input::Lines(config::Lines::Stdin) => {
                Box::new(|outlet| read_lines(io::stdin(), "stdin", outlet))
            }
            Input::Lines(config::Lines::File(file)) => {
                let place = file.display().to_string();
                // Here, for opening a pipe waits for its writer.
                Box::new(move |outlet| {
                    let open = |source| RunError::Input { place: place.clone(), source };
                    read_lines(File::open(&file).map_err(open)?, &place, outlet)
                })
            }
            Input::Follow { file, duration } => {
                if !file.exists() {
                    let file = file.display();
                    terminal::tell!("corelane: {file} is not there yet, waiting for it");
                }
                let time = duration.map(|duration| duration.duration());
                Box::new(move |outlet| follow::follow(&file, time, outlet))
            }
            Input::Telemetry { rate_hz, metrics, duration } => {
                let ticks = duration.map(|time| time.ns().saturating_mul(rate_hz.into()) / SECOND);
                source.total = ticks.filter(|_| metrics.len() == 1);
                Box::new(move |outlet| telemetry::measure(rate_hz, &metrics, ticks, outlet))
            }
            Input::Digits(_) => unreachable!("because it was handled above"),
        };
        let run = move || {
            if let Err(error) = work(&outlet) {
                // Nobody listens any more when the flow has ended before.
                let _ = outlet.batches.send(Err(error));
            }
            let news = outlet.news.clone();
            drop(outlet);
            // Now the end can be seen.
            news.raise();
        };
        thread::Builder::new().name("corelane-source".into()).spawn(run)?;
        source.feed = Some(Feed { batches: inbox, _stop: stop });
        Ok(source)
    }

    /// What there is at the moment.
    pub(super) fn next(&mut self) -> Result<Next, RunError> {
        if let Some(entry) = self.entries.pop_front() {
            return Ok(Next::Entry(entry));
        }
        let Some(feed) = &self.feed else { return Ok(Next::Ended) };
        match feed.batches.try_recv() {
            Ok(batch) => {
                self.entries = batch?.into();
                Ok(self.entries.pop_front().map_or(Next::Nothing, Next::Entry))
            }
            Err(mpsc::TryRecvError::Empty) => Ok(Next::Nothing),
            Err(mpsc::TryRecvError::Disconnected) => {
                self.feed = None;
                Ok(Next::Ended)
            }
        }
    }

    /// Gives nothing more.
    pub(super) fn stop(&mut self) {
        self.entries.clear();
        self.feed = None;
    }

    /// What it counted so far.
    pub(super) fn counts(&self) -> SourceCounts {
        let Counts { ticks, ticks_missed, rotations, truncations } = &*self.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        SourceCounts {
            ticks: read(ticks),
            ticks_missed: read(ticks_missed),
            rotations: read(rotations),
            truncations: read(truncations),
        }
    }
}

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

impl Outlet {
    /// Hands entries on and waits for room; false when nobody wants more.
    fn send(&self, batch: Vec<Entry>) -> bool {
        let is_wanted = batch.is_empty() || self.batches.send(Ok(batch)).is_ok();
        self.news.raise();
        is_wanted
    }

    /// Hands entries on if there is room for them; false when there is none.
    fn try_send(&self, batch: Vec<Entry>) -> bool {
        let is_sent = self.batches.try_send(Ok(batch)).is_ok();
        self.news.raise();
        is_sent
    }

    /// Waits that long; false when the source is to end.
    fn wait(&self, time: Duration) -> bool {
        self.stop.recv_timeout(time) == Err(mpsc::RecvTimeoutError::Timeout)
    }
}

/// Reads lines to the end of the input.
fn read_lines(mut input: impl Read, place: &str, outlet: &Outlet) -> Result<(), RunError> {
    let mut lines = Lines::new(outlet.record_bytes_max);
    let mut chunk = vec![0; CHUNK];
    loop {
        let mut batch = Vec::new();
        match input.read(&mut chunk) {
            Ok(0) => {
                lines.end(&mut batch);
                outlet.send(batch);
                return Ok(());
            }
            Ok(count) => lines.take(&chunk[..count], &mut batch),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(RunError::Input { place: place.to_owned(), source }),
        }
        if !outlet.send(batch) {
            return Ok(());
        }
    }
}
