//! The `throughput` ring over a segment, with either end in the process that dies.

use corelane_ring::throughput::{CURSOR_WORDS, ClaimError, Consumer, Producer};
use corelane_shm::byte_ring::{ByteRing, ByteRingReader};
use corelane_shm::{WordsRo, WordsRw, fdpass::Channel};
use corelane_testkit::kill::{Death, Killing, Meeting, Points, Stage, Verdict, check};
use corelane_testkit::trusted;

use super::{
    RECORD_WORDS, RETURNED, assert_nothing_held, check_log, hand_over, log, own, receive_fd,
    record, ring, ring_rw, take_over,
};

const CAPACITY: usize = 512;
const BYTES: usize = 8 * RECORD_WORDS;
/// Calls of a child; it dies in one of them.
const PHASES: u64 = 3;
/// Records sent before: into a fresh ring, and into one where the next does not fit before the end.
const SENT_BEFORE: [u64; 2] = [0, 8];

fn payload(position: u64) -> ([u8; BYTES], usize) {
    let mut bytes = [0; BYTES];
    for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(record(position)) {
        *bytes = word.to_le_bytes();
    }
    (bytes, 25 + (position * 13 % 32) as usize)
}

fn check_payload(position: u64, found: &[u8]) -> Verdict {
    let (bytes, length) = payload(position);
    check(found == &bytes[..length], || format!("record {position} is torn: {found:x?}"))
}

fn send<T: corelane_ring::WriteWords, H: corelane_ring::ReadWords>(
    producer: &mut Producer<T, H>,
    position: u64,
) -> Result<(), ClaimError> {
    let (bytes, length) = payload(position);
    producer.try_send(&bytes[..length])
}

/// In the child: sends a record, then a batch of two, then one that is written in place.
fn produce(stage: &Stage, test: &str) {
    let channel = stage.channel();
    let byte_ring = ByteRing::create(CAPACITY, 1).expect("there is memory");
    channel.send(b"ring", &[byte_ring.fd()], None).expect("the survivor waits for it");
    let own = hand_over(channel, test, 0);
    let head = ring(&take_over(channel, CURSOR_WORDS));
    let mut producer = Producer::new(byte_ring.into_side(head).expect("it is large enough"));
    let (before, phase) = case(stage.case());
    for position in 0..before {
        send(&mut producer, position).expect("there is room");
        channel.send(b"sent", &[], None).expect("the survivor reads it");
        channel.recv(None).expect("the survivor has read it");
    }
    let mut call = |phase| {
        match phase {
            0 => send(&mut producer, before).expect("there is room"),
            1 => {
                let mut batch = producer.batch();
                for position in [before + 1, before + 2] {
                    let (bytes, length) = payload(position);
                    batch.push(&bytes[..length]).expect("there is room");
                }
                batch.commit();
            }
            _ => {
                let (bytes, length) = payload(before + 3);
                let mut claim = producer.claim(BYTES).expect("there is room");
                claim.bytes_mut().copy_from_slice(&bytes);
                claim.commit(length);
            }
        }
        own.store_release(RETURNED, phase + 1);
    };
    (0..phase).for_each(&mut call);
    stage.perform(|| call(phase));
}

fn case(case: u64) -> (u64, u64) {
    (SENT_BEFORE[(case / PHASES) as usize], case % PHASES)
}

/// What survives a producer.
struct Reader {
    consumer: Consumer<WordsRo, WordsRw>,
    dead: WordsRo,
    before: u64,
    phase: u64,
}

impl Reader {
    fn meet(meeting: &Meeting<'_>, test: &str) -> Self {
        let channel = meeting.channel;
        let reader = ByteRingReader::open(receive_fd(channel), CAPACITY).expect("it is a ring");
        let dead = take_over(channel, 0);
        let head = ring_rw(&hand_over(channel, test, CURSOR_WORDS));
        let side = reader.into_side(head, trusted()).expect("it is large enough");
        let mut consumer = Consumer::new(side);
        let (before, phase) = case(meeting.case);
        for _ in 0..before {
            channel.recv(None).expect("the child sends a record");
            consumer.try_recv().expect("it is whole").expect("it was sent").consume();
            consumer.release();
            channel.send(b"read", &[], None).expect("the child waits for it");
        }
        Self { consumer, dead: own(&dead), before, phase }
    }

    fn judge(mut self, death: Death) -> Verdict {
        let returned = self.dead.load_acquire(RETURNED);
        let mut found = 0;
        while let Some(record) = self.consumer.try_recv().map_err(|error| error.to_string())? {
            check_payload(self.before + found, record.bytes())?;
            record.consume();
            found += 1;
        }
        self.consumer.release();
        let after = |returned: u64| [0, 1, 3, 4, 4][returned as usize];
        check(found == after(returned) || found == after(returned + 1), || {
            format!("{returned} calls had returned, {found} records came")
        })?;
        check(!death.is_over || returned == self.phase + 1, || {
            format!("it was over after {returned}")
        })
    }
}

#[test]
fn a_producer_dies_at_any_instruction() {
    const TEST: &str = "throughput::a_producer_dies_at_any_instruction";
    for case in 0..SENT_BEFORE.len() as u64 * PHASES {
        Killing::of(TEST).case(case).sweep(
            Points::Instructions,
            |stage| produce(stage, TEST),
            |meeting| Reader::meet(&meeting, TEST),
            Reader::judge,
        );
    }
    assert_nothing_held(TEST);
}

/// Records that lie there for a consumer.
const SENT: u64 = 5;

/// In the child: receives one record, then drains two, then releases them.
fn consume(stage: &Stage, test: &str) {
    let own = hand_over(stage.channel(), test, CURSOR_WORDS);
    let mut consumer = consumer(stage.channel(), ring_rw(&own));
    let mut number = 0;
    let mut receive = |bytes: &[u8]| {
        let mut words = [0; RECORD_WORDS];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(whole);
        }
        log(&own, number, &words);
        number += 1;
    };
    let mut call = |phase| {
        match phase {
            0 => {
                let record = consumer.try_recv().expect("it is whole").expect("it was sent");
                receive(record.bytes());
                record.consume();
            }
            1 => {
                let mut drain = consumer.drain(2);
                while let Some(view) = drain.take().expect("it is whole") {
                    receive(view.bytes());
                }
            }
            _ => consumer.release(),
        }
        own.store_release(RETURNED, phase + 1);
    };
    (0..stage.case()).for_each(&mut call);
    stage.perform(|| call(stage.case()));
}

fn consumer(channel: &Channel, head: WordsRw) -> Consumer<WordsRo, WordsRw> {
    let reader = ByteRingReader::open(receive_fd(channel), CAPACITY).expect("it is a ring");
    channel.recv(None).expect("the survivor sends records");
    Consumer::new(reader.into_side(head, trusted()).expect("it is large enough"))
}

/// What survives a consumer.
struct Writer {
    producer: Producer<WordsRw, WordsRo>,
    dead: WordsRo,
    /// Bytes that so many records take.
    ends: Vec<u64>,
    phase: u64,
}

impl Writer {
    fn meet(meeting: &Meeting<'_>, test: &str) -> Self {
        let dead = take_over(meeting.channel, CURSOR_WORDS);
        let byte_ring = ByteRing::create(CAPACITY, 1).expect("there is memory");
        let sent = meeting.channel.send(b"ring", &[byte_ring.fd()], None);
        sent.unwrap_or_else(|error| panic!("{test}: the child waits for it: {error}"));
        let side = byte_ring.into_side(ring(&dead)).expect("it is large enough");
        let mut producer = Producer::new(side);
        let mut ends = vec![0];
        for position in 0..SENT {
            send(&mut producer, position).expect("there is room");
            ends.push(producer.committed_bytes());
        }
        meeting.channel.send(b"sent", &[], None).expect("the child waits for it");
        Self { producer, dead, ends, phase: meeting.case }
    }

    /// Nothing was given back before it was received, and the producer goes on until it is full.
    fn judge(mut self, death: Death) -> Verdict {
        let returned = own(&self.dead).load_acquire(RETURNED);
        let received = check_log_of_bytes(&own(&self.dead))?;
        let released = ring(&self.dead).load_acquire(0);
        check(released <= self.ends[received as usize], || {
            format!("{released} bytes were given back after {received} records")
        })?;
        check(returned < 3 || released == self.ends[3], || format!("released only {released}"))?;
        let full = loop {
            let position = SENT;
            match send(&mut self.producer, position) {
                Ok(()) if self.producer.committed_bytes() - released <= CAPACITY as u64 => {}
                other => break other,
            }
        };
        let is_full = matches!(full, Err(ClaimError::Full { .. }));
        check(is_full, || format!("then came {full:?}"))?;
        check(!death.is_over || returned == self.phase + 1, || {
            format!("it was over after {returned}")
        })
    }
}

fn check_log_of_bytes(own: &WordsRo) -> Result<u64, String> {
    check_log(own, |number, found| {
        let bytes: Vec<u8> = found.iter().flat_map(|word| word.to_le_bytes()).collect();
        check_payload(number, &bytes[..payload(number).1])
    })
}

#[test]
fn a_consumer_dies_at_any_instruction() {
    const TEST: &str = "throughput::a_consumer_dies_at_any_instruction";
    for case in 0..PHASES {
        Killing::of(TEST).case(case).sweep(
            Points::Instructions,
            |stage| consume(stage, TEST),
            |meeting| Writer::meet(&meeting, TEST),
            Writer::judge,
        );
    }
    assert_nothing_held(TEST);
}
