//! Packets with descriptors, as a peer that keeps no limit sends them: what arrives is whole and
//! within the limits, everything else is refused, and no descriptor is left over.
//!
//! An input is a number of descriptors, a number of repetitions in two bytes, and what is repeated.
#![no_main]

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use corelane_shm::fdpass::{ChannelError, PACKET_BYTES_MAX, PACKET_FDS_MAX, pair};
use libfuzzer_sys::fuzz_target;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

const FDS_SENT_MAX: usize = 24;

fuzz_target!(|data: &[u8]| {
    let [count, low, high, part @ ..] = data else { return };
    let (receiver, sender) = pair().expect("a pair of sockets can be made");
    let sender = OwnedFd::from(sender);
    let times = usize::from(u16::from_le_bytes([*low, *high]));
    let mut bytes = part.repeat(times.min(2 * PACKET_BYTES_MAX / part.len().max(1)));
    bytes.truncate(PACKET_BYTES_MAX + 100);
    let fds = vec![sender.as_fd(); usize::from(*count) % (FDS_SENT_MAX + 1)];

    let free_before = lowest_free();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_SENT_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(fds.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
    sendmsg(&sender, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::DONTWAIT)
        .expect("an empty socket has room for a packet");

    match receiver.recv(Some(Duration::ZERO)) {
        Ok(packet) => {
            assert_eq!(packet.bytes, bytes);
            assert_eq!(packet.fds.len(), fds.len());
            assert!(fds.len() <= PACKET_FDS_MAX && bytes.len() <= PACKET_BYTES_MAX);
        }
        Err(ChannelError::Closed) => assert!(bytes.is_empty()),
        Err(ChannelError::Truncated { .. }) => {
            assert!(fds.len() > PACKET_FDS_MAX || bytes.len() > PACKET_BYTES_MAX);
        }
        Err(error) => panic!("{error}"),
    }
    assert_eq!(lowest_free(), free_before, "a descriptor is left over");
});

/// The number that the next descriptor gets: it grows when one is not closed.
fn lowest_free() -> i32 {
    std::fs::File::open("/dev/null").expect("it is there").as_raw_fd()
}
