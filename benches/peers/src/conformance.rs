//! What every adapter must do, whatever the queue behind it: the same tests for all of them.
//!
//! Messages arrive once, in the order of their sender, and unchanged; a full queue gives the
//! message back. No rival here loses messages, so none is excused.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use corelane_bench::{
    Delivery, Message, Peer, Receiver, Sender, SleepingPeer, SleepingReceiver, SleepingSender,
};

const MESSAGES: u64 = 100_000;
const CAPACITY: usize = 256;
const BATCH: usize = 64;

type Text = Message<8>;

/// Sends the messages of these numbers.
fn send(sender: &mut impl Sender<Text>, numbers: std::ops::Range<u64>, is_batch: bool) {
    let mut next = numbers.start;
    if is_batch {
        let mut left = (numbers.end - numbers.start) as usize;
        while left > 0 {
            let sent = sender.try_send_many(left.min(BATCH), &mut || {
                next += 1;
                Text::new(next - 1)
            });
            left -= sent;
            if sent == 0 {
                thread::yield_now();
            }
        }
        assert_eq!(next, numbers.end, "each message was made once");
        return;
    }
    while next < numbers.end {
        match sender.try_send(Text::new(next)) {
            Ok(()) => next += 1,
            Err(refused) => {
                assert_eq!(refused, Text::new(next), "the message comes back unchanged");
                thread::yield_now();
            }
        }
    }
}

/// Receives what is there, one message or a batch, and checks that every byte is as it was sent.
fn receive(
    receiver: &mut impl Receiver<Text>,
    is_batch: bool,
    take: &mut impl FnMut(u64),
) -> usize {
    let mut take = |message: &Text| {
        assert_eq!(message.checksum(), Text::new(message.number()).checksum());
        assert_eq!(*message, Text::new(message.number()));
        take(message.number());
    };
    let count = match is_batch {
        true => receiver.try_recv_many(BATCH, &mut take),
        false => receiver.try_recv().iter().map(take).count(),
    };
    if count == 0 {
        thread::yield_now();
    }
    count
}

/// One sender; every receiver gets everything in order.
fn keeps_order<P: Peer>(receivers: usize, is_batch: bool) {
    let (mut senders, receiving) = P::open::<Text>(CAPACITY, 1, receivers);
    assert_eq!((senders.len(), receiving.len()), (1, receivers));
    thread::scope(|scope| {
        for mut receiver in receiving {
            scope.spawn(move || {
                let mut next = 0;
                while next < MESSAGES {
                    receive(&mut receiver, is_batch, &mut |number| {
                        assert_eq!(number, next, "{}", P::NAME);
                        next += 1;
                    });
                }
                assert_eq!(receiver.try_recv(), None, "nothing is left");
            });
        }
        send(&mut senders[0], 0..MESSAGES, is_batch);
    });
}

/// Many senders and receivers: every message reaches one receiver, in the order of its sender.
fn delivers_once<P: Peer>(senders: usize, receivers: usize, is_batch: bool) {
    let (sending, receiving) = P::open::<Text>(CAPACITY, senders, receivers);
    assert_eq!((sending.len(), receiving.len()), (senders, receivers));
    let each = MESSAGES / senders as u64;
    let all = each as usize * senders;
    let received = &AtomicUsize::new(0);
    let mut numbers: Vec<u64> = thread::scope(|scope| {
        for (index, mut sender) in (0..).zip(sending) {
            scope.spawn(move || send(&mut sender, index * each..(index + 1) * each, is_batch));
        }
        let collect = |mut receiver: P::Receiver<Text>| {
            move || {
                let mut numbers = Vec::new();
                while received.load(Ordering::Relaxed) < all {
                    let count =
                        receive(&mut receiver, is_batch, &mut |number| numbers.push(number));
                    received.fetch_add(count, Ordering::Relaxed);
                }
                numbers
            }
        };
        let threads: Vec<_> = receiving.into_iter().map(|end| scope.spawn(collect(end))).collect();
        let parts = threads.into_iter().map(|thread| thread.join().expect("a receiver finishes"));
        parts.inspect(|numbers| check_order(numbers, each)).flatten().collect()
    });
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(0..all as u64), "{}: each message once", P::NAME);
}

/// Numbers of one sender only rise.
fn check_order(numbers: &[u64], each: u64) {
    let senders = numbers.iter().map(|number| number / each).max().map_or(0, |last| last + 1);
    for sender in 0..senders {
        let own = numbers.iter().filter(|number| **number / each == sender);
        assert!(own.is_sorted(), "messages of sender {sender} changed places");
    }
}

/// A full queue gives the message back, and takes one again when there is room.
fn gives_back_when_full<P: Peer>() {
    let (mut senders, mut receivers) = P::open::<Text>(CAPACITY, 1, 1);
    let (sender, receiver) = (&mut senders[0], &mut receivers[0]);
    let accepted = (0..).find(|number| sender.try_send(Text::new(*number)).is_err());
    let accepted = accepted.expect("it fills");
    assert!(accepted >= CAPACITY as u64, "{} holds only {accepted}", P::NAME);
    assert_eq!(sender.try_send(Text::new(7)), Err(Text::new(7)), "{}", P::NAME);
    assert_eq!(receiver.try_recv(), Some(Text::new(0)), "{}", P::NAME);
    assert_eq!(sender.try_send(Text::new(accepted)), Ok(()), "{}", P::NAME);
    for number in 1..=accepted {
        assert_eq!(receiver.try_recv(), Some(Text::new(number)), "{}", P::NAME);
    }
    assert_eq!(receiver.try_recv(), None, "{}", P::NAME);
}

/// The largest message that goes by value, and what is left in a queue that is dropped.
fn takes_large_messages<P: Peer>() {
    let (mut senders, mut receivers) = P::open::<Message<512>>(1024, 1, 1);
    let message = Message::<512>::new(5);
    assert_eq!(senders[0].try_send(message), Ok(()));
    assert_eq!(receivers[0].try_recv(), Some(message));
    assert_eq!(senders[0].try_send(message), Ok(()));
}

fn conforms<P: Peer>() {
    let (senders_max, receivers_max) = P::ENDS_MAX;
    gives_back_when_full::<P>();
    takes_large_messages::<P>();
    for is_batch in [false, true] {
        keeps_order::<P>(1, is_batch);
        match P::DELIVERY {
            Delivery::Each => {
                assert!(receivers_max > 2, "a broadcast has many receivers");
                keeps_order::<P>(3, is_batch);
            }
            Delivery::One => {
                for (senders, receivers) in [(3, 1), (1, 3), (2, 2)] {
                    if senders <= senders_max && receivers <= receivers_max {
                        delivers_once::<P>(senders, receivers, is_batch);
                    }
                }
            }
        }
    }
}

/// Every question gets its answer.
fn answers<P: SleepingPeer>() {
    let (mut ask, mut hear) = P::open();
    let (mut answer, mut listen) = P::open();
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..1000 {
                answer.send(hear.recv() + 1);
            }
        });
        for number in 0..1000 {
            ask.send(number);
            assert_eq!(listen.recv(), number + 1, "{}", P::NAME);
        }
    });
}

macro_rules! conforming {
    ($($name:ident: $peer:path,)*) => {
        $(#[test]
        fn $name() {
            conforms::<$peer>();
        })*
    };
}

conforming! {
    array_queue: crate::array_queue::CrossbeamArrayQueue,
    bus: crate::bus::BusPeer,
    concurrent_queue: crate::concurrent_queue::Concurrent,
    crossbeam_channel: crate::crossbeam_channel::CrossbeamChannel,
    crossbeam_channel_parking: crate::crossbeam_channel::CrossbeamChannelParking,
    crossbeam_side_by_side: crate::side_by_side::CrossbeamSideBySide,
    crossfire_mpmc: crate::crossfire::CrossfireMpmc,
    crossfire_mpmc_parking: crate::crossfire::CrossfireMpmcParking,
    crossfire_mpsc: crate::crossfire::CrossfireMpsc,
    crossfire_mpsc_parking: crate::crossfire::CrossfireMpscParking,
    crossfire_spsc: crate::crossfire::CrossfireSpsc,
    disruptor_broadcast: crate::disruptor::DisruptorBroadcast,
    disruptor_multi: crate::disruptor::DisruptorMulti,
    disruptor_single: crate::disruptor::DisruptorSingle,
    flume: crate::flume::Flume,
    flume_parking: crate::flume::FlumeParking,
    heapless_mpmc: crate::heapless::HeaplessMpmc,
    heapless_spsc: crate::heapless::HeaplessSpsc,
    kanal: crate::kanal::Kanal,
    kanal_parking: crate::kanal::KanalParking,
    nexus_mpsc: crate::nexus::NexusMpsc,
    nexus_spmc: crate::nexus::NexusSpmc,
    nexus_spsc: crate::nexus::NexusSpsc,
    omango_mpmc: crate::omango::OmangoMpmc,
    omango_spsc: crate::omango::OmangoSpsc,
    ringbuf: crate::ringbuf::Ringbuf,
    rtrb: crate::rtrb::Rtrb,
    rtrb_side_by_side: crate::side_by_side::RtrbSideBySide,
    thingbuf: crate::thingbuf::Thingbuf,
    tokio_broadcast: crate::tokio_broadcast::TokioBroadcast,
    tokio_mpsc: crate::tokio_mpsc::TokioMpsc,
}

#[test]
fn sleeping_ends_answer() {
    answers::<crate::crossbeam_channel::CrossbeamChannel>();
    answers::<crate::crossfire::CrossfireSpsc>();
    answers::<crate::flume::Flume>();
    answers::<crate::kanal::Kanal>();
    answers::<crate::standard::Standard>();
    answers::<crate::tokio_mpsc::TokioBlocking>();
    answers::<crate::tokio_mpsc::TokioRuntimes>();
}

#[test]
#[should_panic(expected = "rtrb has no 2 senders and 1 receivers")]
fn more_ends_than_there_are_is_refused() {
    crate::rtrb::Rtrb::open::<u64>(4, 2, 1);
}
