//! The lanes of a client and a router: sending, waking and sleeping, with one side dying.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use corelane_ring::ClaimError;
use corelane_shm::{WordsRo, WordsRw, futex};
use corelane_testkit::{
    kill::{Death, Killing, Meeting, Points, Stage, Verdict, check, digest},
    process::WATCHDOG,
};
use corelane_transport::{Envelope, HEADER_BYTES, HEADER_WORDS, LaneShape, Port, Priority, sleep};

use super::{OWN_WORDS, RETURNED, assert_nothing_held, hand_over, own, ring, ring_rw, take_over};

pub(super) const SLOTS: usize = 8;
/// Words of a payload; the last one is not full.
const PAYLOAD_BYTES: usize = 45;

pub(super) fn shape() -> LaneShape {
    LaneShape::new(SLOTS, 2).expect("the shape is valid")
}

pub(super) fn words() -> usize {
    shape().segment_words(1)
}

fn payload(number: u64) -> [u8; PAYLOAD_BYTES] {
    std::array::from_fn(|index| (number.wrapping_mul(0x9e37_79b9) >> (index % 24)) as u8)
}

pub(super) fn send(port: &mut Port, number: u64, priority: Priority) -> Result<(), ClaimError> {
    let envelope = Envelope { correlation: number, priority, ..Envelope::default() };
    port.send(&envelope, &payload(number))
}

/// Takes the next record, which must be the whole one of this number, if there is one.
pub(super) fn take(port: &mut Port, number: u64, priority: Priority) -> Result<bool, String> {
    let Some(record) = port.peek(priority).map_err(|error| error.to_string())? else {
        return Ok(false);
    };
    let length = record.length_bytes() as usize;
    check(length == HEADER_BYTES + PAYLOAD_BYTES, || format!("length {length} is torn"))?;
    let mut words = [0; HEADER_WORDS + PAYLOAD_BYTES.div_ceil(8)];
    record.read(0, &mut words);
    record.consume();
    let (header, rest) = words.split_first_chunk().expect("a record begins with its header");
    let envelope = Envelope::decode(header, length as u32).map_err(|error| error.to_string())?;
    let bytes: Vec<u8> = rest.iter().flat_map(|word| word.to_le_bytes()).collect();
    let is_whole = envelope.correlation == number && bytes[..PAYLOAD_BYTES] == payload(number);
    check(is_whole, || format!("record {number} is torn: {envelope:?} {bytes:x?}"))?;
    Ok(true)
}

/// In the child: its own segment and its port.
pub(super) fn client(stage: &Stage, test: &str) -> (WordsRw, Port) {
    let own = hand_over(stage.channel(), test, words());
    let node = ring(&take_over(stage.channel(), words()));
    let port = Port::new(&ring_rw(&own), &node, shape(), 0).expect("it fits");
    (own, port)
}

/// In the survivor: the child's segment, its own, and its port.
pub(super) fn node(meeting: &Meeting<'_>, test: &str) -> (WordsRo, WordsRw, Port) {
    let dead = take_over(meeting.channel, words());
    let own = hand_over(meeting.channel, test, words());
    let port = Port::new(&ring_rw(&own), &ring(&dead), shape(), 0).expect("it fits");
    (dead, own, port)
}

/// The survivor's port on a thread that sleeps whenever there is nothing to do.
struct Sleeper {
    dead: WordsRo,
    stop: Arc<AtomicBool>,
    alarm: WordsRw,
    woken: Receiver<()>,
    thread: JoinHandle<Result<[u64; 2], String>>,
}

/// A word of the survivor's own that ends its sleep: how a node tells its routers of a death.
const ALARM: usize = 1;

impl Sleeper {
    fn meet(meeting: &Meeting<'_>, test: &str) -> Self {
        let (dead, alarm, mut port) = node(meeting, test);
        let stop = Arc::new(AtomicBool::new(false));
        let (told, woken) = mpsc::channel();
        let (is_stopped, words) = (stop.clone(), alarm.clone());
        let thread = thread::spawn(move || {
            let mut taken = [0; 2];
            loop {
                let heard = words.load_acquire(ALARM) as u32;
                let is_last = is_stopped.load(Ordering::SeqCst);
                let before = taken;
                while take(&mut port, taken[0], Priority::Normal)? {
                    taken[0] += 1;
                }
                while take(&mut port, taken[1], Priority::High)? {
                    taken[1] += 1;
                }
                if taken != before {
                    // Nobody listens any more when the alarm came first.
                    let _ = told.send(());
                }
                if is_last {
                    return Ok(taken);
                }
                let also = futex::Waiter { words: &words, index: ALARM, expected: heard };
                // tidy: sleep because it ends with the bell or the alarm, not with time
                sleep(&mut [&mut port], Some(also), WATCHDOG * 2).map_err(|e| e.to_string())?;
            }
        });
        // The sleep word of a section comes first, and is odd from before the sleep on.
        while alarm.load_acquire(OWN_WORDS).is_multiple_of(2) {
            thread::yield_now();
        }
        Self { dead: own(&dead), stop, alarm, woken, thread }
    }

    /// Who was rung wakes by that alone; who was not hears of the death, and finds all the same
    /// every record whose commit had returned.
    fn judge(self, death: Death) -> Verdict {
        let returned = self.dead.load_acquire(RETURNED);
        if returned == 3 {
            let woken = self.woken.recv_timeout(WATCHDOG);
            check(woken.is_ok(), || "it was rung, and sleeps on".to_owned())?;
        }
        self.stop.store(true, Ordering::SeqCst);
        self.alarm.store_release(ALARM, 1);
        futex::wake(&self.alarm, ALARM).map_err(|error| error.to_string())?;
        let [normal, high] = self.thread.join().expect("it does not panic")?;
        let sent = |count: u64| (u64::from(count > 0), u64::from(count > 1));
        check((normal, high) == sent(returned) || (normal, high) == sent(returned + 1), || {
            format!("{returned} calls had returned, {normal} and {high} records came")
        })?;
        check(!death.is_over || returned == 3, || format!("it was over after {returned}"))
    }
}

#[test]
fn a_sender_dies_at_any_instruction_while_its_receiver_sleeps() {
    const TEST: &str = "port::a_sender_dies_at_any_instruction_while_its_receiver_sleeps";
    Killing::of(TEST).sweep(
        Points::Instructions,
        |stage| {
            let (own, mut port) = client(stage, TEST);
            stage.channel().recv(None).expect("the survivor sleeps");
            stage.perform(|| {
                for (number, priority) in [(1, Priority::Normal), (2, Priority::High)] {
                    send(&mut port, 0, priority).expect("there is room");
                    own.store_release(RETURNED, number);
                }
                port.flush();
                own.store_release(RETURNED, 3);
            });
        },
        |meeting| {
            let sleeper = Sleeper::meet(&meeting, TEST);
            meeting.channel.send(b"asleep", &[], None).expect("the child waits for it");
            sleeper
        },
        Sleeper::judge,
    );
    assert_nothing_held(TEST);
}

/// What survives a sleeper.
struct Ringing {
    port: Port,
    dead: WordsRo,
    seen: WordsRo,
}

impl Ringing {
    /// Sending and ringing work as long as there is room; that nobody wakes harms nobody.
    fn judge(mut self, death: Death) -> Verdict {
        let returned = self.dead.load_acquire(RETURNED);
        check(!death.is_over || returned == 1, || "it was over and had not returned".to_owned())?;
        for number in 0..SLOTS as u64 {
            send(&mut self.port, number, Priority::Normal).map_err(|error| error.to_string())?;
            self.port.flush();
        }
        let full = send(&mut self.port, 0, Priority::Normal);
        check(full == Err(ClaimError::Full { slots: SLOTS }), || format!("then came {full:?}"))?;
        let lost = self.port.undelivered();
        check(lost == SLOTS as u64, || format!("{lost} are said to be lost"))
    }
}

#[test]
fn a_sleeper_dies_at_any_store_and_call() {
    const TEST: &str = "port::a_sleeper_dies_at_any_store_and_call";
    let stores = |ringing: &Ringing| digest(&ringing.seen);
    for (case, points) in [Points::SystemCalls, Points::Stores(&stores)].into_iter().enumerate() {
        Killing::of(TEST).case(case as u64).sweep(
            points,
            |stage| {
                let (own, mut port) = client(stage, TEST);
                stage.perform(|| {
                    let short = Duration::from_micros(100);
                    // tidy: sleep because this is the operation
                    sleep(&mut [&mut port], None, short).expect("the kernel can wait");
                    own.store_release(RETURNED, 1);
                });
            },
            |meeting| {
                let (dead, _, port) = node(&meeting, TEST);
                Ringing { port, dead: own(&dead), seen: dead }
            },
            Ringing::judge,
        );
    }
    assert_nothing_held(TEST);
}
