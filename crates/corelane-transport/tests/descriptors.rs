//! What happens when a publisher has no descriptor left for its slab.
//!
//! One test alone in its process, because it takes the process's descriptors away.

use std::time::Duration;

use corelane_transport::Participant;
use corelane_transport::topic::{PublishError, PublishOptions, SubscribeOptions};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const PATIENCE: Duration = Duration::from_secs(60);

/// Leaves descriptors for `count` files.
fn leave_descriptors(count: u64) {
    let probe = std::fs::File::open("/dev/null").unwrap();
    let first = std::os::fd::AsRawFd::as_raw_fd(&probe) as u64;
    drop(probe);
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(first + count), maximum }).unwrap();
}

#[test]
fn an_extent_that_cannot_be_handed_over_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let participant = Participant::open(&folder.path().join("exchange")).unwrap();
    let mut publisher = participant.publish_bytes("a", &PublishOptions::default()).unwrap();
    let mut subscriber = participant.subscribe_bytes("a", SubscribeOptions::RELIABLE).unwrap();
    // One for the segment of the extent, none for its second descriptor.
    leave_descriptors(1);
    let refused = publisher.publish(&[1; 5_000]).unwrap_err();
    assert!(matches!(refused, PublishError::Announce(_)), "{refused}");
    assert_eq!(refused.code(), "CL-0455");
    // Small messages need no descriptor.
    publisher.publish(b"small").unwrap();
    let sample = subscriber.receive(PATIENCE).unwrap().expect("because it was published");
    assert_eq!(&*sample, b"small");
    // With descriptors again, large ones go through as well.
    leave_descriptors(100);
    publisher.publish(&[2; 5_000]).unwrap();
    let sample = subscriber.receive(PATIENCE).unwrap().expect("because it was published");
    assert_eq!(*sample, [2; 5_000]);
}
