//! The `latency` ring, with either end in the process that dies.

use corelane_ring::{ClaimError, ReadWords, Shape, WriteWords, latency};
use corelane_shm::{WordsRo, WordsRw, fdpass::Channel};
use corelane_testkit::kill::{Death, Killing, Meeting, Points, Stage, Verdict, check};

use super::{
    RECORD_WORDS, RETURNED, assert_nothing_held, check_log, check_record, hand_over, log, own,
    record, ring, ring_rw, take_over,
};

const SLOTS: usize = 8;
const LENGTH: u32 = 8 * RECORD_WORDS as u32;

pub(super) fn shape() -> Shape {
    Shape::new(SLOTS, RECORD_WORDS + 1).expect("the shape is valid")
}

fn commit<D: WriteWords, C: ReadWords>(producer: &mut latency::Producer<D, C>) {
    let position = producer.committed();
    let mut claim = producer.claim().expect("there is room");
    claim.write(0, &record(position));
    claim.commit(LENGTH);
}

/// In the child: a producer that has sent as many records as the case says, all of them read.
pub(super) fn producer<D: WriteWords>(
    stage: &Stage,
    test: &str,
    over: impl FnOnce(WordsRw) -> D,
) -> (latency::Producer<D, WordsRo>, WordsRw) {
    let own = hand_over(stage.channel(), test, shape().data_words());
    let cursor = ring(&take_over(stage.channel(), latency::CURSOR_WORDS));
    let producer = latency::Producer::new(shape(), over(ring_rw(&own)), cursor);
    let mut producer = producer.expect("the segments have the right size");
    (0..stage.case()).for_each(|_| commit(&mut producer));
    stage.channel().send(b"sent", &[], None).expect("the survivor reads them");
    stage.channel().recv(None).expect("the survivor has read them");
    (producer, own)
}

/// In the child: what it dies in.
pub(super) fn send_two<D: WriteWords, C: ReadWords>(
    producer: &mut latency::Producer<D, C>,
    own: &WordsRw,
) {
    for returned in 1..=2 {
        commit(producer);
        own.store_release(RETURNED, returned);
    }
}

/// In the child: a producer that dies while it sends two more records.
pub(super) fn produce<D: WriteWords>(stage: &Stage, test: &str, over: impl FnOnce(WordsRw) -> D) {
    let (mut producer, own) = producer(stage, test, over);
    stage.perform(|| send_two(&mut producer, &own));
}

/// What survives a producer.
pub(super) struct Reader {
    consumer: latency::Consumer<WordsRo, WordsRw>,
    dead: WordsRo,
    before: u64,
}

impl Reader {
    pub(super) fn meet(meeting: &Meeting<'_>, test: &str) -> Self {
        let channel = meeting.channel;
        let dead = take_over(channel, shape().data_words());
        let cursor = ring_rw(&hand_over(channel, test, latency::CURSOR_WORDS));
        let consumer = latency::Consumer::new(shape(), ring(&dead), cursor);
        let mut consumer = consumer.expect("the segments have the right size");
        channel.recv(None).expect("the child sends its first records");
        while let Some(record) = consumer.peek().expect("nobody is dead yet") {
            record.consume();
        }
        consumer.release();
        assert_eq!(consumer.consumed(), meeting.case);
        channel.send(b"read", &[], None).expect("the child waits for it");
        Self { consumer, dead: own(&dead), before: meeting.case }
    }

    /// Every record whose commit had returned is there, in order, once and whole; at most the one
    /// that was being sent is there too.
    pub(super) fn judge(mut self, death: Death) -> Verdict {
        let returned = self.dead.load_acquire(RETURNED);
        let mut found = 0;
        while let Some(record) = self.consumer.peek().map_err(|error| error.to_string())? {
            let mut words = [0; RECORD_WORDS];
            record.read(0, &mut words);
            check(record.length_bytes() == LENGTH, || "its length is torn".to_owned())?;
            check_record(self.before + found, &words)?;
            record.consume();
            found += 1;
        }
        self.consumer.release();
        check(found == returned || found == returned + 1, || {
            format!("{returned} commits had returned, {found} records came")
        })?;
        check(!death.is_over || (returned, found) == (2, 2), || {
            format!("it was over, and {returned} had returned, {found} came")
        })
    }
}

/// A fresh ring, one in its middle, and one whose producer must look at the head first.
const SENT_BEFORE: [u64; 3] = [0, SLOTS as u64 - 2, SLOTS as u64];

#[test]
fn a_producer_dies_at_any_instruction() {
    const TEST: &str = "latency::a_producer_dies_at_any_instruction";
    for case in SENT_BEFORE {
        Killing::of(TEST).case(case).sweep(
            Points::Instructions,
            |stage| produce(stage, TEST, |words| words),
            |meeting| Reader::meet(&meeting, TEST),
            Reader::judge,
        );
    }
    assert_nothing_held(TEST);
}

/// In the child: takes what is there, and tells of each record before it is given back.
fn consume(stage: &Stage, test: &str) {
    let (mut consumer, own) = consumer(stage.channel(), test);
    stage.perform(|| {
        for number in 0..3 {
            let record = consumer.peek().expect("it is whole").expect("it was sent");
            let mut words = [0; RECORD_WORDS];
            record.read(0, &mut words);
            log(&own, number, &words);
            record.consume();
            own.store_release(RETURNED, number + 1);
        }
        consumer.release();
        own.store_release(RETURNED, 4);
    });
}

/// The consumer of a child, and the words of its own.
pub(super) fn consumer(
    channel: &Channel,
    test: &str,
) -> (latency::Consumer<WordsRo, WordsRw>, WordsRw) {
    let own = hand_over(channel, test, latency::CURSOR_WORDS);
    let data = ring(&take_over(channel, shape().data_words()));
    let consumer = latency::Consumer::new(shape(), data, ring_rw(&own));
    channel.recv(None).expect("the survivor sends records");
    (consumer.expect("the segments have the right size"), own)
}

/// What survives a consumer.
pub(super) struct Writer {
    producer: latency::Producer<WordsRw, WordsRo>,
    dead: WordsRo,
}

impl Writer {
    pub(super) fn meet(meeting: &Meeting<'_>, test: &str) -> Self {
        let dead = take_over(meeting.channel, latency::CURSOR_WORDS);
        let data = ring_rw(&hand_over(meeting.channel, test, shape().data_words()));
        let producer = latency::Producer::new(shape(), data, ring(&dead));
        let mut producer = producer.expect("the segments have the right size");
        (0..SLOTS).for_each(|_| commit(&mut producer));
        meeting.channel.send(b"sent", &[], None).expect("the child waits for it");
        Self { producer, dead: own(&dead) }
    }

    /// Nothing was given back before it was received, and the producer goes on to the last slot
    /// that was given back and is told that no more are free.
    pub(super) fn judge(mut self, death: Death) -> Verdict {
        let received = check_log(&self.dead, check_record)?;
        let pending = self.producer.pending().map_err(|error| error.to_string())?;
        let released = self.producer.committed() - pending;
        check(released <= received, || {
            format!("{released} records were given back, {received} received")
        })?;
        let returned = self.dead.load_acquire(RETURNED);
        check((returned..=returned + 1).contains(&received) || returned == 4, || {
            format!("{returned} had returned, {received} were received")
        })?;
        check(returned < 4 || released == 3, || format!("after a release {released} are free"))?;
        check(!death.is_over || returned == 4, || format!("it was over after {returned}"))?;
        for _ in 0..released {
            commit(&mut self.producer);
        }
        let full = self.producer.claim().err();
        check(full == Some(ClaimError::Full { slots: SLOTS }), || format!("then came {full:?}"))
    }
}

#[test]
fn a_consumer_dies_at_any_instruction() {
    const TEST: &str = "latency::a_consumer_dies_at_any_instruction";
    Killing::of(TEST).sweep(
        Points::Instructions,
        |stage| consume(stage, TEST),
        |meeting| Writer::meet(&meeting, TEST),
        Writer::judge,
    );
    assert_nothing_held(TEST);
}
