//! Mistakes planted in the child: each must be found, or the sweeps prove nothing.

use corelane_testkit::kill::{Fault, Killing, Points};

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
