//! What happens when a process has no descriptor left.
//!
//! One test alone in its process, because it takes the process's descriptors away.

use std::fs::File;
use std::time::Duration;

use corelane_transport::Participant;
use corelane_transport::topic::{BytesSubscriber, PublishError, PublishOptions, SubscribeOptions};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const PATIENCE: Duration = Duration::from_secs(60);

/// Allows so many descriptors, and takes all that are left.
fn take_descriptors(limit: u64) -> Vec<File> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum }).unwrap();
    std::iter::repeat_with(|| File::open("/dev/null")).map_while(Result::ok).collect()
}

#[test]
fn an_extent_that_cannot_be_handed_over_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let participant = Participant::open(&folder.path().join("exchange")).unwrap();
    let mut publisher = participant.publish_bytes("a", &PublishOptions::default()).unwrap();
    // One is left for the segment of the extent, none for its second descriptor. Threads that still
    // close what linking took may give one back in between: then the next size is tried.
    let mut taken = Vec::new();
    let refused = (0..8).find_map(|doubling| {
        taken.extend(take_descriptors(200));
        taken.pop();
        publisher.publish(&vec![1; 5_000 << doubling]).err()
    });
    let refused = refused.expect("because descriptors end at some time");
    assert!(matches!(refused, PublishError::Announce(_)), "{refused}");
    assert_eq!(refused.code(), "CL-0455");
    // Small messages need no descriptor.
    publisher.publish(b"small").unwrap();
    // With descriptors again, large ones go through as well.
    drop(taken);
    let options = SubscribeOptions::RELIABLE.with_history();
    let mut subscriber = participant.subscribe_bytes("a", options).unwrap();
    receive_until(&mut subscriber, b"small");
    publisher.publish(&[2; 5_000]).unwrap();
    receive_until(&mut subscriber, &[2; 5_000]);
    // A subscriber that cannot wait by a descriptor says so, and goes on as before.
    let taken = take_descriptors(200);
    let refused = subscriber.event_fd().unwrap_err();
    assert_eq!(refused.code(), "CL-0480", "{refused}");
    publisher.publish(b"more").unwrap();
    receive_until(&mut subscriber, b"more");
    drop(taken);
    assert!(subscriber.arm().unwrap());
}

/// Receives up to this payload.
fn receive_until(subscriber: &mut BytesSubscriber, payload: &[u8]) {
    loop {
        let sample = subscriber.receive(PATIENCE).unwrap().expect("because it was published");
        if *sample == *payload {
            return;
        }
    }
}
