//! Mistakes planted in the child: each must be found, or the sweeps prove nothing.

use std::{sync::mpsc, thread};

use corelane_ring::WriteWords;
use corelane_shm::WordsRw;
use corelane_testkit::kill::{Fault, Killing, Points, Stage};

use super::{Hasty, RECORD_WORDS, RETURNED, broadcast, latency, log};

/// The fault that a search found, unless it had nothing to search.
fn expect_fault(found: Result<Option<corelane_testkit::kill::Covered>, Fault>, words: &str) {
    match found {
        Ok(None) => {}
        Ok(Some(covered)) => panic!("nobody noticed: {covered:?}"),
        Err(fault) => assert!(fault.what.contains(words), "{fault}"),
    }
}

#[test]
fn a_commit_word_before_its_payload_is_found() {
    const TEST: &str = "planted::a_commit_word_before_its_payload_is_found";
    let found = Killing::of(TEST).search(
        Points::Instructions,
        |stage| latency::produce(stage, TEST, Hasty::new),
        |meeting| latency::Reader::meet(&meeting, TEST),
        latency::Reader::judge,
    );
    expect_fault(found, "record 0 is torn");
}

/// In the child: another thread sends, while the one that asked for it waits.
fn send_on_another<D: WriteWords + Send + 'static>(
    stage: &Stage,
    test: &str,
    over: impl FnOnce(WordsRw) -> D,
) {
    const THREAD: &str = "sends";
    let (mut producer, own) = latency::producer(stage, test, over);
    let (ask, asked) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let sends = thread::Builder::new().name(THREAD.to_owned()).spawn(move || {
        for () in asked {
            latency::send_two(&mut producer, &own);
            tell.send(()).expect("the other one waits");
        }
    });
    sends.expect("a thread can be had");
    stage.perform_on(THREAD, || {
        ask.send(()).expect("it is there");
        told.recv().expect("it has sent");
    });
}

#[test]
fn a_mistake_of_another_thread_is_found() {
    const TEST: &str = "planted::a_mistake_of_another_thread_is_found";
    // Without the mistake there is nothing to be found.
    Killing::of(TEST).sweep(
        Points::SharedStores,
        |stage| send_on_another(stage, TEST, |words| words),
        |meeting| latency::Reader::meet(&meeting, TEST),
        latency::Reader::judge,
    );
    let found = Killing::of(TEST).case(1).search(
        Points::SharedStores,
        |stage| send_on_another(stage, TEST, Hasty::new),
        |meeting| latency::Reader::meet(&meeting, TEST),
        latency::Reader::judge,
    );
    expect_fault(found, "record 1 is torn");
}

#[test]
fn a_tail_before_its_records_is_found() {
    const TEST: &str = "planted::a_tail_before_its_records_is_found";
    let found = Killing::of(TEST).search(
        Points::Instructions,
        |stage| broadcast::produce(stage, TEST, Hasty::new),
        |meeting| broadcast::Readers::meet(&meeting, TEST),
        broadcast::Readers::judge,
    );
    expect_fault(found, "record 0 is torn");
}

#[test]
fn a_head_that_is_given_back_before_the_read_is_found() {
    const TEST: &str = "planted::a_head_that_is_given_back_before_the_read_is_found";
    let found = Killing::of(TEST).search(
        Points::Instructions,
        |stage| {
            let (mut consumer, own) = latency::consumer(stage.channel(), TEST);
            stage.perform(|| {
                for number in 0..3 {
                    let record = consumer.peek().expect("it is whole").expect("it was sent");
                    let mut words = [0; RECORD_WORDS];
                    record.read(0, &mut words);
                    record.consume();
                    consumer.release();
                    log(&own, number, &words);
                }
                own.store_release(RETURNED, 4);
            });
        },
        |meeting| latency::Writer::meet(&meeting, TEST),
        latency::Writer::judge,
    );
    expect_fault(found, "1 records were given back, 0 received");
}
