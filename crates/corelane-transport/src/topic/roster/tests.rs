//! What a publisher makes of each packet of a subscribing group, with the other end of the link at
//! hand.

use corelane_shm::fdpass::{self, ChannelError};
use corelane_shm::slab::Slab;
use corelane_shm::{OwnedSegment, SegmentInfo, SegmentOptions};

use super::*;
use crate::exchange::message::PROTOCOL;

const NOW: Option<Duration> = Some(Duration::ZERO);
const SEATS_MAX: usize = 6;
const WANT: Want =
    Want { protocol: PROTOCOL, seats: 2, holds: 3, is_reliable: true, is_fenced: true };

fn roster(policy: LagPolicy) -> Roster {
    let offer = LogOffer {
        slots: 8,
        record_words: 4,
        seats_max: SEATS_MAX,
        first_seat: 0,
        has_time: false,
        has_hash: false,
        message_bytes: None,
    };
    let info = SegmentInfo { kind: 1, generation: 1, layout_version: 1, layout_hash: 1 };
    let data = OwnedSegment::create("corelane-test-log", 8, info).unwrap();
    let fd = data.fd().try_clone_to_owned().unwrap();
    Roster::new(offer, policy, fd, News::new().unwrap())
}

fn link(roster: &Roster, peer: u64) -> Channel {
    let (own, other) = fdpass::pair().unwrap();
    assert_eq!(roster.linked(peer, &Arc::new(own)), Verdict::Keep);
    other
}

/// The page that a group of this size has.
fn page(seats: usize, holds: usize) -> OwnedSegment {
    GroupShape::new(seats, holds).unwrap().create(1).unwrap()
}

fn wanting(want: &Want, pages: &[&OwnedSegment]) -> Packet {
    let fds = pages.iter().map(|page| page.fd().try_clone_to_owned().unwrap()).collect();
    Packet { bytes: encode(&ToSource::Want(want.clone())), fds }
}

fn said(message: &ToSource) -> Packet {
    Packet { bytes: encode(message), fds: Vec::new() }
}

/// A group that is a member.
fn member(roster: &Roster, peer: u64, want: &Want) -> (Channel, Verdict) {
    let channel = link(roster, peer);
    let verdict = roster.heard(peer, wanting(want, &[&page(want.seats, want.holds)]));
    (channel, verdict)
}

fn hear(channel: &Channel) -> (ToSink, usize) {
    let packet = channel.recv(NOW).unwrap();
    (decode(&packet.bytes).unwrap(), packet.fds.len())
}

fn first_seat(channel: &Channel) -> usize {
    let (ToSink::Log(offer), 1) = hear(channel) else { panic!("the log comes first") };
    offer.first_seat
}

#[test]
fn a_member_is_told_everything_there_is_and_is_there_once_it_has_joined() {
    let roster = roster(LagPolicy::Wait);
    let mut slab = Slab::new(1 << 20, 1, SegmentOptions::default());
    roster.announce(&slab.grow(600).unwrap()).unwrap();
    roster.announce(&slab.grow(9_000).unwrap()).unwrap();
    let (version, rung) = (roster.news.version(), roster.news.bell.now());
    let (channel, verdict) = member(&roster, 7, &WANT);
    assert_eq!(verdict, Verdict::Keep);
    assert_eq!((roster.news.version(), roster.news.bell.now()), (version + 1, rung + 1));
    assert_eq!(first_seat(&channel), 0);
    for (number, extent) in slab.extents().enumerate() {
        assert_eq!(hear(&channel), (ToSink::extent(number as u32, extent.shape), 1));
    }
    assert_eq!(hear(&channel), (ToSink::Ready {}, 0));
    // The next one comes by itself.
    let extent = slab.grow(70_000).unwrap();
    let told = ToSink::extent(2, extent.shape);
    roster.announce(&extent).unwrap();
    assert_eq!(hear(&channel), (told, 1));

    let past = Instant::now();
    let counts = LinkCounts { linked: 1, came: 1, left: 0, cut: 0 };
    assert_eq!((roster.counts(), roster.why_cut()), (counts, None));
    assert!(!roster.wait_joined(1, past) && !roster.wait_for(1, past));
    assert_eq!(roster.heard(7, said(&ToSource::Unknown)), Verdict::Keep);
    assert!(!roster.wait_joined(1, past), "that was no word of the protocol");
    assert_eq!(roster.heard(7, said(&ToSource::Joined {})), Verdict::Keep);
    assert!(roster.wait_joined(1, past) && roster.wait_for(1, past));
    assert!(!roster.wait_joined(2, past) && !roster.wait_for(2, past));
    let (at, views) = roster.members();
    assert_eq!((at, views.len(), views[0].holds.len()), (roster.news.version(), 1, 6));
    assert!(views[0].is_fenced);

    roster.unlinked(7);
    let counts = LinkCounts { linked: 0, came: 1, left: 1, cut: 0 };
    assert_eq!((roster.counts(), roster.why_cut()), (counts, None));
    assert_eq!((roster.news.version(), roster.members().1.len()), (at + 1, 0));
    assert!(!roster.wait_joined(1, past) && roster.wait_for(1, past), "it is over");
    roster.unlinked(7);
    assert_eq!((roster.counts(), roster.news.version()), (counts, at + 1), "it left once");
}

#[test]
fn a_first_packet_that_is_not_what_a_group_wants_cuts_it_off_with_the_reason() {
    let (good, other) = (page(2, 3), page(300, 3));
    let with = |want: Want| wanting(&want, &[&good]);
    #[rustfmt::skip]
    let cases = [
        (Packet { bytes: b"x".to_vec(), fds: Vec::new() }, "not what it wants"),
        (said(&ToSource::Joined {}), "not what it wants"),
        (said(&ToSource::Unknown), "not what it wants"),
        (with(Want { protocol: 0, ..WANT }), "no version"),
        (with(Want { seats: 0, ..WANT }), "impossible size"),
        (with(Want { seats: usize::MAX, ..WANT }), "impossible size"),
        (with(Want { holds: usize::MAX, ..WANT }), "impossible size"),
        (wanting(&WANT, &[]), "its one segment"),
        (wanting(&WANT, &[&good, &good]), "its one segment"),
        (wanting(&WANT, &[&other]), "out of bounds"),
        (wanting(&Want { seats: 7, holds: 0, ..WANT }, &[&page(7, 0)]), "all 6 seats"),
    ];
    let roster = roster(LagPolicy::Wait);
    for (peer, (packet, expected)) in (1..).zip(cases) {
        let channel = link(&roster, peer);
        assert_eq!(roster.heard(peer, packet), Verdict::Cut, "{expected}");
        let (ToSink::Sorry { reason }, 0) = hear(&channel) else { panic!("it is told why") };
        assert!(reason.contains(expected), "{expected}: {reason}");
        assert_eq!(roster.why_cut(), Some(reason));
        let counts = LinkCounts { linked: 0, came: 0, left: peer, cut: peer };
        assert_eq!(roster.counts(), counts, "{expected}");
        // The thread that hears of its end tells of it too.
        roster.unlinked(peer);
        assert_eq!(roster.counts(), counts);
    }
    // None of them left anything behind in the seats.
    let (channel, verdict) = member(&roster, 50, &Want { seats: SEATS_MAX, ..WANT });
    assert_eq!((verdict, first_seat(&channel)), (Verdict::Keep, 0));
    // A lossy group needs none.
    let (channel, verdict) = member(&roster, 51, &Want { is_reliable: false, ..WANT });
    assert_eq!((verdict, first_seat(&channel)), (Verdict::Keep, 0));
    assert_eq!(roster.heard(99, said(&ToSource::Joined {})), Verdict::Cut, "nobody knows it");
}

#[test]
fn a_member_that_speaks_out_of_turn_is_cut_off() {
    let garbage = || Packet { bytes: b"{}".to_vec(), fds: Vec::new() };
    for packet in [garbage(), said(&ToSource::Want(WANT))] {
        let roster = roster(LagPolicy::Wait);
        let (_channel, _) = member(&roster, 7, &WANT);
        assert_eq!(roster.heard(7, packet), Verdict::Cut);
        assert_eq!(roster.why_cut().as_deref(), Some("it spoke out of turn"));
        assert_eq!(roster.counts(), LinkCounts { linked: 0, came: 1, left: 1, cut: 1 });
    }
}

#[test]
fn a_member_that_takes_nothing_is_cut_off_and_the_others_are_not() {
    let roster = roster(LagPolicy::Wait);
    let (gone, _) = member(&roster, 7, &WANT);
    let (there, _) = member(&roster, 8, &WANT);
    drop(gone);
    let mut slab = Slab::new(1 << 20, 1, SegmentOptions::default());
    roster.announce(&slab.grow(600).unwrap()).unwrap();
    assert_eq!(roster.counts(), LinkCounts { linked: 1, came: 2, left: 1, cut: 1 });
    assert!(roster.why_cut().is_some_and(|why| why.contains("did not take a segment")));
    let told: Vec<_> = (0..3).map(|_| hear(&there).0).collect();
    assert!(matches!(told[2], ToSink::Extent { number: 0, .. }), "{told:?}");
    // One that is full is as one that is gone.
    let (own, full) = fdpass::pair().unwrap();
    let own = Arc::new(own);
    roster.linked(9, &own);
    roster.heard(9, wanting(&WANT, &[&page(2, 3)]));
    while own.send(b"{}", &[], NOW).is_ok() {}
    roster.announce(&slab.grow(9_000).unwrap()).unwrap();
    assert_eq!(roster.counts(), LinkCounts { linked: 1, came: 3, left: 2, cut: 2 });
    while full.recv(NOW).is_ok() {}
    assert!(matches!(full.recv(NOW), Err(ChannelError::Closed)), "its end of the link is closed");
    // One that is gone before it was welcomed is a link that came.
    let early = link(&roster, 10);
    drop(early);
    assert_eq!(roster.heard(10, wanting(&WANT, &[&page(2, 3)])), Verdict::Cut);
    assert_eq!(roster.counts(), LinkCounts { linked: 1, came: 4, left: 3, cut: 3 });
    assert!(roster.why_cut().is_some_and(|why| why.contains("did not take what it was sent")));
}

#[test]
fn a_group_sits_in_the_first_gap_that_is_wide_enough() {
    let mut inner = Inner::default();
    let mut take = |count| Roster::take_seats(&mut inner, count, SEATS_MAX);
    assert_eq!((take(1), take(2), take(1)), (Some(0..1), Some(1..3), Some(3..4)));
    assert_eq!((take(3), take(2), take(1)), (None, Some(4..6), None), "six there are");
    inner.taken.remove(1);
    assert_eq!(Roster::take_seats(&mut inner, 3, SEATS_MAX), None, "a gap of two");
    assert_eq!(Roster::take_seats(&mut inner, 1, SEATS_MAX), Some(1..2));
    assert_eq!(Roster::take_seats(&mut inner, 1, SEATS_MAX), Some(2..3));
    assert_eq!(inner.taken, [0..1, 1..2, 2..3, 3..4, 4..6], "in order");
    inner.taken.remove(0);
    assert_eq!(Roster::take_seats(&mut inner, 1, SEATS_MAX), Some(0..1));
}

/// The first seats of the groups that came, and of those that left.
fn news(ear: &mut Ear) -> (Vec<usize>, Vec<usize>) {
    let (mut came, mut left) = (Vec::new(), Vec::new());
    for change in ear.take() {
        match change {
            Change::Came { first, cursors } => {
                assert_eq!(cursors.len(), corelane_ring::broadcast::LogShape::group_words(2));
                came.push(first);
            }
            Change::Left { first } => left.push(first),
        }
    }
    (came, left)
}

#[test]
fn the_publisher_hears_of_groups_and_seats_are_free_when_it_can_judge_no_more() {
    for (policy, next) in [(LagPolicy::Wait, 0), (LagPolicy::Evict { lag_max: 4 }, 4)] {
        let roster = Arc::new(roster(policy));
        let mut ear = Ear(roster.clone());
        assert!(!ear.has_news());
        let (_one, _) = member(&roster, 1, &WANT);
        let (_two, _) = member(&roster, 2, &WANT);
        assert!(ear.has_news());
        assert_eq!(news(&mut ear), (vec![0, 2], vec![]));
        assert!(!ear.has_news() && ear.take().is_empty());
        roster.unlinked(1);
        assert!(ear.has_news());
        // A verdict may still be on its way to the seats, unless there are none.
        let (three, _) = member(&roster, 3, &WANT);
        assert_eq!(first_seat(&three), next, "{policy:?}");
        assert_eq!(news(&mut ear), (vec![next], vec![0]));
        let (four, verdict) = member(&roster, 4, &WANT);
        assert_eq!((verdict, first_seat(&four)), (Verdict::Keep, 4 - next), "{policy:?}");
        // A lossy group is no news to the log.
        news(&mut ear);
        let (_five, _) = member(&roster, 5, &Want { is_reliable: false, ..WANT });
        assert!(!ear.has_news());
        roster.unlinked(5);
        assert!(!ear.has_news());
    }
}
