//! Sleeping and waking (RB-7). In these tests nothing but a wake-up ends a sleep: one that is lost
//! makes them fail.

use std::thread;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);
const ROUNDS: u32 = 5_000;

/// Puts the calling thread on the first of the CPUs that it may use.
fn share_one_cpu() {
    let allowed = sched_getaffinity(None).expect("because a thread has an affinity");
    let first = (0..CpuSet::MAX_CPU).find(|&cpu| allowed.is_set(cpu));
    let mut one = CpuSet::new();
    one.set(first.expect("because this thread runs somewhere"));
    sched_setaffinity(None, &one).expect("because a narrower affinity is allowed");
}

fn next(subscriber: &mut BytesSubscriber) -> u32 {
    let sample = subscriber.receive(PATIENCE).unwrap().expect("because a wake-up is not lost");
    u32::from_le_bytes((*sample).try_into().unwrap())
}

/// Who is woken on the CPU of its waker often runs at once, takes the message and sleeps again
/// before the waker goes on: it is to be woken for the next message as well.
#[test]
fn who_sleeps_again_before_its_waker_goes_on_is_woken_again() {
    let folder = tempfile::tempdir().unwrap();
    let participant = Participant::open(&folder.path().join("exchange")).unwrap();
    let options = SubscribeOptions { spins: 0, ..SubscribeOptions::RELIABLE };
    let ends = |name: &str| {
        let publisher = participant.publish_bytes(name, &PublishOptions::default()).unwrap();
        (publisher, participant.subscribe_bytes(name, options).unwrap())
    };
    let ((mut there, mut hears), (mut answers, mut back)) = (ends("there"), ends("back"));
    thread::scope(|scope| {
        scope.spawn(move || {
            share_one_cpu();
            for round in 0..ROUNDS {
                assert_eq!(next(&mut hears), round);
                answers.publish(&round.to_le_bytes()).unwrap();
            }
        });
        scope.spawn(move || {
            share_one_cpu();
            for round in 0..ROUNDS {
                there.publish(&round.to_le_bytes()).unwrap();
                assert_eq!(next(&mut back), round);
            }
        });
    });
}
