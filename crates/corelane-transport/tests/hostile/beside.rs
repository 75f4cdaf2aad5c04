//! What a hostile peer costs those that have nothing to do with it, beside what a good one costs.
//!
//! A topic and a lane go on at full speed, and at another topic and another lane of the same
//! exchange is a peer that uses a given CPU time: it either writes mutations or sends what anybody
//! would. The passes of both alternate. The gate takes one short pass of each and judges no time;
//! `ci/hostile` takes more, and judges them where the threads have cores of their own.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corelane_transport::Participant;
use corelane_transport::lane::{
    LaneKind, LaneOptions, LaneReceiveError, LaneSendError, LaneSender,
};
use corelane_transport::topic::{BytesPublisher, PublishOptions, ReceiveError, SubscribeOptions};
use fastrand::Rng;
use rustix::time::{ClockId, clock_gettime};

use crate::fields::{Coverage, mutate_one};
use crate::log::{Evil, PATIENCE};
use crate::page::{EvilLane, LANE};
use crate::steady::Steady;

/// Of so many turns of its CPU the peer has two, and so has who hears it: two cores can give that
/// beside the ends that are measured.
const TURNS: u32 = 5;
/// Who is ahead of its share by this waits.
const SLICE: Duration = Duration::from_millis(1);
/// Messages or mutations between two looks at the clock.
const STEP: u64 = 64;
/// Passes of each kind from which there is a verdict, and cores of the threads that are at work.
const PASSES_MIN: u64 = 5;
const CORES_MIN: usize = 4;
/// The rate beside a hostile peer is at least this share of the one beside a good peer.
const BAR: f64 = 0.95;

/// CPU time of the calling thread, kept to its share.
struct Pace {
    start: Instant,
    cpu_start: Duration,
}

impl Pace {
    fn new() -> Self {
        Self { start: Instant::now(), cpu_start: cpu_time() }
    }

    /// The CPU time so far; waits if that is more than the share.
    fn keep(&self) -> Duration {
        let used = cpu_time() - self.cpu_start;
        let ahead = (used * TURNS / 2).saturating_sub(self.start.elapsed());
        if ahead > SLICE {
            // tidy: sleep because the rest of the time is for the others
            thread::sleep(ahead);
        }
        used
    }
}

fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("because it counts from zero")
}

/// The peer at the other topic and the other lane.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Peer<'a> {
    Hostile {
        place: &'a Path,
        end: u64,
        log: Evil,
        /// There is none for a moment only.
        lane: Option<EvilLane>,
        rng: Rng,
        coverage: Coverage,
    },
    Good {
        publisher: BytesPublisher,
        sender: LaneSender,
        said: u64,
    },
}

impl<'a> Peer<'a> {
    fn hostile(place: &'a Path, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let (log, lane) = (Evil::link(place, 100), EvilLane::link(place, 101, rng.bool()));
        let lane = Some(lane);
        Self::Hostile { place, end: 101, log, lane, rng, coverage: Coverage::default() }
    }

    fn good(participant: &Participant) -> Self {
        let publisher = participant.publish_bytes("a", &PublishOptions::default()).unwrap();
        let sender = participant.lane_sender(LANE, LaneKind::LATENCY).unwrap();
        assert!(publisher.wait_for_subscribers(1, PATIENCE.unwrap()));
        assert!(sender.wait_for_receiver(PATIENCE.unwrap()));
        Self::Good { publisher, sender, said: 0 }
    }

    fn step(&mut self) {
        match self {
            Self::Hostile { place, end, log, lane, rng, coverage } => {
                let evil = lane.as_ref().expect("because it came again");
                for index in 0..STEP / 2 {
                    mutate_one(&log.fields, rng, coverage);
                    mutate_one(&evil.fields, rng, coverage);
                    if rng.bool() {
                        log.advance(rng);
                        evil.commit(index, rng);
                    }
                }
                // One that was cut off comes again.
                if log.is_cut() {
                    *end += 1;
                    *log = Evil::link(place, *end);
                }
                if evil.is_cut() {
                    *end += 1;
                    // A lane has one sender at a time.
                    *lane = None;
                    *lane = Some(EvilLane::link(place, *end, rng.bool()));
                }
            }
            Self::Good { publisher, sender, said } => {
                for _ in 0..STEP / 2 {
                    publisher.publish(&[*said as u8; 100]).unwrap();
                    match sender.send(&[*said as u8; 100]) {
                        Ok(()) | Err(LaneSendError::Full { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                    *said += 1;
                }
            }
        }
    }

    /// What it wrote or sent, and how often it was cut off.
    fn done(&self) -> (u64, u64) {
        match self {
            Self::Hostile { end, coverage, .. } => (coverage.total(), end - 101),
            Self::Good { said, .. } => (2 * said, 0),
        }
    }
}

/// Whoever hears the peer, until it is over; its CPU time.
fn hear(participant: &Participant, is_open: &AtomicBool, is_over: &AtomicBool) -> Duration {
    let mut subscriber = participant.subscribe_bytes("a", SubscribeOptions::LOSSY).unwrap();
    let mut receiver = participant.lane_receiver(LANE, LaneOptions::default()).unwrap();
    let mut tap = participant.lane_tap(LANE).unwrap();
    is_open.store(true, Ordering::Release);
    let (pace, mut tapped, mut used) = (Pace::new(), Vec::new(), Duration::ZERO);
    while !is_over.load(Ordering::Relaxed) {
        for _ in 0..STEP / 2 {
            match subscriber.try_receive() {
                Ok(_) | Err(ReceiveError::Lagged { .. }) => {}
                Err(error) => assert_ne!(error.code(), "CL-0460", "{error}"),
            }
            match receiver.drain(1, |record| assert!(record.len() <= 120)) {
                Ok(_) | Err(LaneReceiveError::Corrupt { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            match tap.try_receive(&mut tapped) {
                Ok(_) | Err(LaneReceiveError::Corrupt { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        used = pace.keep();
    }
    used
}

/// What one pass saw.
struct Pass {
    /// Messages a second of the ends that nobody attacks.
    rate: f64,
    peer: Duration,
    hearer: Duration,
    wall: Duration,
    wrote: u64,
    cuts: u64,
}

impl Pass {
    /// The peer works until it has used `budget`.
    fn run(seed: Option<u64>, budget: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("exchange");
        let participant = Participant::open(&place).unwrap();
        let (is_open, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            let hearer = scope.spawn(|| hear(&participant, &is_open, &is_over));
            while !is_open.load(Ordering::Acquire) && !hearer.is_finished() {
                thread::yield_now();
            }
            let mut peer = match seed {
                Some(seed) => Peer::hostile(&place, seed),
                None => Peer::good(&participant),
            };
            let steady = Steady::start(&place);
            let pace = Pace::new();
            let used = loop {
                peer.step();
                let used = pace.keep();
                if used >= budget {
                    break used;
                }
            };
            let wall = pace.start.elapsed();
            let carried = steady.stop();
            is_over.store(true, Ordering::Relaxed);
            let (wrote, cuts) = peer.done();
            drop(peer);
            let hearer = hearer.join().unwrap();
            assert!(carried > 0 && wrote > 0);
            let rate = 2.0 * carried as f64 / wall.as_secs_f64();
            Self { rate, peer: used, hearer, wall, wrote, cuts }
        })
    }
}

/// Prints the passes of one kind as a row; the median of their rates.
fn row(name: &str, passes: &[Pass]) -> f64 {
    let mut rates: Vec<f64> = passes.iter().map(|pass| pass.rate / 1e3).collect();
    rates.sort_by(f64::total_cmp);
    let (median, last) = (rates[rates.len() / 2], rates[rates.len() - 1]);
    let sum = |of: fn(&Pass) -> Duration| passes.iter().map(of).sum::<Duration>().as_secs_f64();
    let count = |of: fn(&Pass) -> u64| passes.iter().map(of).sum::<u64>();
    println!(
        "| {name} | {median:.1} ({:.1} to {last:.1}) | {:.3} | {:.3} | {:.2} | {} | {} |",
        rates[0],
        sum(|pass| pass.peer),
        sum(|pass| pass.hearer),
        sum(|pass| pass.wall),
        count(|pass| pass.wrote),
        count(|pass| pass.cuts),
    );
    median
}

pub(crate) fn run(passes: u64, seed: u64) {
    let is_judged = passes >= PASSES_MIN;
    let budget = Duration::from_millis(if is_judged { 200 } else { 20 });
    let (mut hostile, mut good) = (Vec::new(), Vec::new());
    for pass in 0..passes {
        let evil = Some(seed.wrapping_add(pass));
        // Whoever goes first does so in every other pair.
        if pass % 2 == 0 {
            hostile.push(Pass::run(evil, budget));
            good.push(Pass::run(None, budget));
        } else {
            good.push(Pass::run(None, budget));
            hostile.push(Pass::run(evil, budget));
        }
    }
    let cores = thread::available_parallelism().unwrap().get();
    println!("beside a hostile peer: {passes} passes each, {cores} cores, seed {seed}");
    println!("| peer | others, k/s | its CPU, s | its hearer's, s | wall, s | wrote | cut off |");
    println!("|---|---|---|---|---|---|---|");
    let ratio = row("hostile", &hostile) / row("well-behaved", &good);
    let verdict = match (is_judged, cores >= CORES_MIN, ratio >= BAR) {
        (false, ..) => "not judged: too few passes".to_owned(),
        (_, false, _) => format!("not judged: {cores} cores"),
        (.., true) => "held".to_owned(),
        (.., false) => "missed".to_owned(),
    };
    println!("ratio {ratio:.3}, bar {BAR}: {verdict}");
    assert_ne!(verdict, "missed", "a hostile peer costs others more than a good one");
}
