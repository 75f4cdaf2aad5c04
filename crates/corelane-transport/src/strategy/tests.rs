//! Real threads that wait by each strategy at a ring.

use std::future::Future;
use std::os::fd::AsFd;
use std::pin::pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use corelane_ring::{Clock, TryRecvError, TrySendError, spsc};
use rustix::event::epoll;

use super::*;

const COUNT: u64 = 20_000;
const HOUR: Duration = Duration::from_secs(3600);

/// Sends a sequence through a small ring, so that both ends wait often, and checks it.
fn carries<W: corelane_ring::Wait + Clock>(capacity: usize, for_messages: W, for_room: W) {
    let (mut producer, mut consumer) =
        spsc::channel_with(capacity, for_messages, for_room).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            for value in 0..COUNT {
                match value % 2 {
                    0 => producer.send(value).unwrap(),
                    _ => producer.send_timeout(value, HOUR).unwrap(),
                }
            }
        });
        for value in 0..COUNT {
            match value % 3 {
                0 => assert_eq!(consumer.recv_timeout(HOUR), Ok(value)),
                _ => assert_eq!(consumer.recv(), Ok(value)),
            }
        }
        assert_eq!(consumer.recv_timeout(HOUR), Err(TryRecvError::Closed));
    });
}

#[test]
fn every_strategy_carries_every_message() {
    for capacity in [1, 4] {
        carries(capacity, Yield::new(2), Yield::new(2));
        carries(capacity, Yield::new(usize::MAX), Yield::new(usize::MAX));
        for barrier in [Barrier::Full, Barrier::choose()] {
            for spins in [0, 3, SPINS_OWN_CORE] {
                carries(capacity, Futex::with(spins, barrier), Futex::with(spins, barrier));
            }
        }
        for spins in [0, 3] {
            carries(capacity, EventFd::new(spins).unwrap(), EventFd::new(spins).unwrap());
        }
    }
}

fn times_out<W: corelane_ring::Wait + Clock>(for_messages: W, for_room: W) {
    let (mut producer, mut consumer) = spsc::channel_with(1, for_messages, for_room).unwrap();
    for timeout in [Duration::ZERO, Duration::from_millis(2)] {
        let begun = now();
        assert_eq!(consumer.recv_timeout(timeout), Err(TryRecvError::Empty));
        assert!(now() - begun >= timeout, "it gave up too early");
        producer.send_timeout(7, timeout).unwrap();
        assert_eq!(producer.send_timeout(8, timeout), Err(TrySendError::Full(8)));
        assert_eq!(consumer.recv_timeout(timeout), Ok(7));
    }
    drop(consumer);
    producer.send_timeout(9, HOUR).expect("because the end is noticed when there is no room");
    assert_eq!(producer.send_timeout(9, HOUR), Err(TrySendError::Closed(9)));
}

#[test]
fn a_time_limit_ends_a_wait_and_not_before() {
    times_out(Yield::new(1), Yield::new(1));
    times_out(Futex::new(1), Futex::with(0, Barrier::Full));
    times_out(EventFd::new(0).unwrap(), EventFd::new(9).unwrap());
}

/// The end of one side wakes the other, which sleeps without a limit.
#[test]
fn the_end_of_one_side_ends_the_sleep_of_the_other() {
    for _ in 0..200 {
        let wait = Futex::with(0, Barrier::choose());
        let (producer, mut consumer) = spsc::channel::<u64, _>(2, wait).unwrap();
        let sleeper = thread::spawn(move || consumer.recv());
        drop(producer);
        assert!(sleeper.join().unwrap().is_err());

        let (mut producer, consumer) = spsc::channel(1, wait).unwrap();
        producer.send(1).unwrap();
        let sleeper = thread::spawn(move || producer.send(2));
        drop(consumer);
        assert_eq!(sleeper.join().unwrap().unwrap_err().0, 2);
    }
}

#[test]
fn nobody_spins_where_cores_are_shared() {
    assert_eq!(spins_for(usize::MAX), 0);
    assert!(spins_for(1) == 0 || spins_for(1) == SPINS_OWN_CORE);
    assert_eq!(Futex::new(usize::MAX).spins(), 0);
    assert_eq!(Futex::with(7, Barrier::Full).barrier(), Barrier::Full);
}

/// The choice is the kernel's answer, and the same every time.
#[test]
fn the_barrier_is_what_the_kernel_grants() {
    let is_known = rustix::thread::membarrier_query()
        .contains(rustix::thread::MembarrierQuery::PRIVATE_EXPEDITED);
    assert_eq!(Barrier::choose() == Barrier::Asymmetric, is_known);
    assert_eq!(EventFd::new(1).unwrap().barrier(), Barrier::choose());
    Barrier::choose().of_sleeper();
}

/// Who sleeps at once does not interrupt the other cores each time.
#[test]
fn full_fences_for_who_sleeps_at_once() {
    assert_eq!(Barrier::for_spins(0), Barrier::Full);
    assert_eq!(EventFd::new(0).unwrap().barrier(), Barrier::Full);
    assert_eq!(Futex::new(usize::MAX).barrier(), Barrier::Full);
    assert_eq!(Futex::new(1).barrier(), Barrier::for_spins(spins_for(1)));
}

/// An event loop with an epoll set of its own receives every message and never blocks on the ring.
#[test]
fn a_foreign_event_loop_is_woken_through_its_epoll_set() {
    let (mut producer, mut consumer) = spsc::channel(4, Futex::with(0, Barrier::Full)).unwrap();
    let bell = EventFd::new(0).unwrap();
    let set = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    epoll::add(&set, bell.as_fd(), epoll::EventData::new_u64(5), epoll::EventFlags::IN).unwrap();
    let sender = thread::spawn(move || (0..COUNT).for_each(|value| producer.send(value).unwrap()));

    let waker = bell.waker();
    let mut cx = Context::from_waker(&waker);
    let mut received = 0;
    'end: loop {
        let mut next = pin!(consumer.recv_async());
        loop {
            match next.as_mut().poll(&mut cx) {
                Poll::Ready(Ok(value)) => {
                    assert_eq!(value, received);
                    received += 1;
                    break;
                }
                Poll::Ready(Err(_)) => break 'end,
                Poll::Pending => {
                    let mut events = Vec::with_capacity(1);
                    epoll::wait(&set, rustix::buffer::spare_capacity(&mut events), None).unwrap();
                    assert_eq!(events[0].data.u64(), 5);
                    bell.clear();
                }
            }
        }
    }
    assert_eq!(received, COUNT);
    sender.join().unwrap();
}
