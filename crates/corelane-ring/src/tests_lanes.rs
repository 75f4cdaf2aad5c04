//! What fan-in and sharing do beyond what every shared ring does: lanes have their turns, and are
//! forgotten.

use std::sync::{Arc, Weak};

use crate::ends::{Channel, Receives, Sends, for_each_ring};
use crate::error::TryRecvError;
use crate::{Spin, fan_in, sharing};

for_each_ring!([fan_in, sharing]
    no_lane_starves_while_others_are_flooded,
    no_lane_starves_under_batches,
    every_lane_has_its_own_room,
    many_lanes_come_and_go,
    lanes_that_end_hide_no_other,
);

fn ring<P, C>(channel: Channel<P, C>, capacity: usize) -> (P, C) {
    channel(capacity, Spin).expect("because the capacity is in range")
}

/// Messages of a lane in a row, after which another one must have had its turn: a turn, and what
/// the lane held.
const PATIENCE: u64 = 3000;

/// Floods two lanes while the third one has a message now and then; `receive` takes some.
fn starving<P: Sends<u64>, C: Receives<u64>>(
    channel: Channel<P, C>,
    mut receive: impl FnMut(&mut C, &mut Vec<u64>),
) {
    let (mut quiet, mut consumer) = ring(channel, 64);
    let mut floods = [quiet.clone(), quiet.clone()];
    let mut flood = || {
        for flood in &mut floods {
            flood.send_many(core::iter::repeat_n(1, 64));
        }
    };
    for _ in 0..20 {
        // The consumer is on a flooded lane when the quiet one has its message.
        let mut received = Vec::new();
        while !received.contains(&1) {
            flood();
            receive(&mut consumer, &mut received);
        }
        assert_eq!(quiet.try_send(7), Ok(()));
        for _ in 0..3 * PATIENCE {
            receive(&mut consumer, &mut received);
            flood();
        }
        assert!(received.contains(&7), "the quiet lane starves");
    }
}

fn no_lane_starves_while_others_are_flooded<P: Sends<u64>, C: Receives<u64>>(
    channel: Channel<P, C>,
) {
    starving(channel, |consumer, received| received.extend(consumer.try_recv()));
}

fn no_lane_starves_under_batches<P: Sends<u64>, C: Receives<u64>>(channel: Channel<P, C>) {
    starving(channel, |consumer, received| {
        consumer.recv_many(received, 48);
    });
}

/// A count is of all lanes together.
#[test]
fn fan_in_takes_no_more_than_was_asked_for() {
    let (mut first, mut consumer) = ring::<fan_in::Producer<u64, Spin>, _>(fan_in::channel, 8);
    let mut second = first.clone();
    assert_eq!((first.send_many([1]), second.send_many(2..10)), (1, 8));
    let mut taken = Vec::new();
    assert_eq!(consumer.recv_many(&mut taken, 3), 3);
    assert_eq!(taken, [1, 2, 3]);
}

/// A turn has so many messages, whoever is next, and whichever way they are taken.
#[test]
fn fan_in_turns_are_of_one_length() {
    const TURN: usize = 256;
    type Take = fn(&mut fan_in::Consumer<u64, Spin>, &mut Vec<u64>);
    let takes: [Take; 3] = [
        |consumer, taken| taken.extend(consumer.try_recv()),
        |consumer, taken| _ = consumer.recv_many(taken, 7),
        |consumer, taken| _ = consumer.recv_many(taken, 5 * TURN),
    ];
    for take in takes {
        let (first, mut consumer) = ring::<fan_in::Producer<u64, Spin>, _>(fan_in::channel, 512);
        let mut producers = [first.clone(), first.clone(), first];
        for (from, producer) in (0..).zip(&mut producers) {
            assert_eq!(producer.send_many(core::iter::repeat_n(from, 512)), 512);
        }
        let mut taken = Vec::new();
        while taken.len() < 6 * TURN {
            take(&mut consumer, &mut taken);
        }
        let turns: Vec<_> = taken.chunks(TURN).map(|turn| (turn[0], turn.len())).collect();
        assert!(taken.chunks(TURN).all(|turn| turn.iter().all(|from| *from == turn[0])));
        let firsts = [turns[0], turns[1], turns[2]];
        assert_eq!(turns[3..], firsts, "each has its turn before the first has another");
        assert_eq!(taken.iter().filter(|from| **from == 0).count(), 512);
    }
}

fn every_lane_has_its_own_room<P: Sends<u64>, C: Receives<u64>>(channel: Channel<P, C>) {
    let (mut first, mut consumer) = ring(channel, 2);
    let mut second = first.clone();
    assert_eq!(first.send_many(10..20), 2);
    assert_eq!(second.send_many(20..30), 2, "a full lane stands in nobody's way");
    let mut received: Vec<u64> = core::iter::from_fn(|| consumer.try_recv().ok()).collect();
    received.sort_unstable();
    assert_eq!(received, [10, 11, 20, 21]);
}

fn many_lanes_come_and_go<P: Sends<u64>, C: Receives<u64>>(channel: Channel<P, C>) {
    let (producer, mut consumer) = ring(channel, 4);
    let mut random = fastrand::Rng::with_seed(3);
    let mut producers = vec![producer];
    let (mut sent, mut received) = (0_u64, 0_u64);
    for value in 0..5000 {
        let index = random.usize(..producers.len());
        match random.u32(..6) {
            0 if producers.len() < 9 => producers.push(producers[index].clone()),
            1 if producers.len() > 1 => drop(producers.swap_remove(index)),
            2 | 3 => sent += u64::from(producers[index].try_send(value).is_ok()) * value,
            _ => received += consumer.try_recv().unwrap_or(0),
        }
    }
    drop(producers);
    while let Ok(value) = consumer.try_recv() {
        received += value;
    }
    assert_eq!(sent, received);
    assert_eq!(consumer.try_recv(), Err(TryRecvError::Closed));
}

/// Wherever lanes end, one round finds the only message.
fn lanes_that_end_hide_no_other<P: Sends<u64>, C: Receives<u64>>(channel: Channel<P, C>) {
    const LANES: usize = 5;
    for case in 0..(LANES * LANES) << LANES {
        let (start, with_message, ends) =
            (case % LANES, case / LANES % LANES, case / LANES / LANES);
        let (first, mut consumer) = ring(channel, 1);
        let clones: Vec<P> = (1..LANES).map(|_| first.clone()).collect();
        let mut producers: Vec<_> = core::iter::once(first).chain(clones).map(Some).collect();
        // The consumer stays on the lane whose message it took last.
        let mut on = |index: usize, value| {
            producers[index].as_mut().map(|producer: &mut P| producer.try_send(value))
        };
        assert_eq!(on(start, 1), Some(Ok(())));
        assert_eq!(consumer.try_recv(), Ok(1));
        assert_eq!(on(with_message, 2), Some(Ok(())));
        for (index, producer) in producers.iter_mut().enumerate() {
            if ends >> index & 1 == 1 {
                *producer = None;
            }
        }
        assert_eq!(consumer.try_recv(), Ok(2), "start={start} ends={ends:b}");
        producers.clear();
        assert_eq!(consumer.try_recv(), Err(TryRecvError::Closed));
    }
}

#[test]
fn fan_in_forgets_lanes_that_are_over() {
    let (producer, mut consumer) = ring::<fan_in::Producer<u64, Spin>, _>(fan_in::channel, 4);
    for _ in 0..50 {
        drop(producer.clone());
        assert!(consumer.lanes_held() <= 3, "without a look of the consumer");
    }
    let mut other = producer.clone();
    assert_eq!(other.try_send(1), Ok(()));
    drop(other);
    assert!(consumer.lanes_held() >= 2, "a message lies there");
    assert_eq!(consumer.try_recv(), Ok(1));
    assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(consumer.lanes_held(), 1);
    drop(producer);
    assert_eq!(consumer.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(consumer.lanes_held(), 0);
}

#[test]
fn sharing_forgets_lanes_that_are_over() {
    let (producer, mut consumer) = ring::<sharing::Producer<u64, Spin>, _>(sharing::channel, 4);
    let watch: Vec<Weak<_>> = (0..50)
        .map(|_| {
            let late = producer.clone();
            Arc::downgrade(late.lane())
        })
        .collect();
    let alive = |watch: &[Weak<_>]| watch.iter().filter(|lane| lane.strong_count() > 0).count();
    assert!(alive(&watch) <= 1, "without a look of the consumer");
    assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(alive(&watch), 0);
    drop(consumer);
    let late = producer.clone();
    let lane = Arc::downgrade(late.lane());
    drop(late);
    assert_eq!(lane.strong_count(), 0, "nobody keeps a lane for no consumer");
    let own = Arc::downgrade(producer.lane());
    assert_eq!(own.strong_count(), 1);
}

/// A consumer that finds the list of lanes locked does not take the ring for closed.
#[test]
fn sharing_is_not_closed_before_every_lane_is_known() {
    let (producer, mut consumer) = ring(sharing::channel, 2);
    let mut late = producer.clone();
    assert_eq!(late.try_send(5), Ok(()));
    drop((producer, late));
    assert_eq!(consumer.while_locked(|consumer| consumer.try_recv()), Err(TryRecvError::Empty));
    assert_eq!(consumer.try_recv(), Ok(5));
    assert_eq!(consumer.try_recv(), Err(TryRecvError::Closed));
}

/// A message too large to read several ahead on the stack.
#[test]
fn sharing_carries_large_messages() {
    type Large = [u64; 4096];
    let (mut producer, mut consumer) =
        sharing::channel::<Large, _>(2, Spin).expect("because the capacity is in range");
    for value in 0..5 {
        assert!(producer.try_send([value; 4096]).is_ok());
        assert_eq!(consumer.recv_with(0, |_| panic!("none was asked for")), 0);
        let taken = consumer.recv_with(9, |message| assert_eq!(message, [value; 4096]));
        assert_eq!(taken, 1);
    }
}

/// The largest message of which several are read ahead.
#[test]
fn sharing_reads_messages_of_a_kibibyte_ahead() {
    let (mut producer, mut consumer) =
        sharing::channel::<[u64; 128], _>(2, Spin).expect("because the capacity is in range");
    assert_eq!(producer.send_many([[1; 128], [2; 128]]), 2);
    let mut received = Vec::new();
    assert_eq!(consumer.recv_many(&mut received, 9), 2);
    assert_eq!(received, [[1; 128], [2; 128]]);
}

/// Less than a quarter of a lane goes back to its producer when nothing is left in it.
#[test]
fn sharing_gives_room_back_when_a_lane_is_empty() {
    let (mut producer, mut consumer) = ring(sharing::channel, 8);
    assert_eq!(producer.send_many([1]), 1);
    assert_eq!(consumer.try_recv(), Ok(1));
    assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(producer.send_many(0..9), 8);
}

/// After its turn a lane waits for those that nobody looks after; without any it has another turn.
#[test]
fn sharing_goes_on_to_lanes_that_are_left_alone() {
    type Take = fn(&mut sharing::Consumer<u64, Spin>, &mut Vec<u64>);
    const TURN: usize = 1024;
    let takes: [Take; 2] = [
        |consumer, taken| taken.push(consumer.try_recv().expect("because some are left")),
        |consumer, taken| _ = consumer.recv_many(taken, 7),
    ];
    for take in takes {
        let (first, mut consumer) =
            ring::<sharing::Producer<u64, Spin>, _>(sharing::channel, 2 * TURN);
        let mut producers = [first.clone(), first.clone(), first];
        producers.rotate_right(1);
        assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty), "but it knows every lane now");
        for (from, producer) in (0..).zip(&mut producers) {
            assert_eq!(producer.send_many(core::iter::repeat_n(from, 2 * TURN)), 2 * TURN);
        }
        let mut taken = Vec::new();
        while taken.len() < 6 * TURN {
            take(&mut consumer, &mut taken);
        }
        assert!(taken.chunks(TURN).all(|turn| turn.iter().all(|from| *from == turn[0])));
        let turns: Vec<_> = taken.chunks(TURN).map(|turn| turn[0]).collect();
        // At the end of its first turn the third lane is the only one that was not touched since
        // the last look.
        assert_eq!(turns, [0, 1, 2, 2, 0, 1]);
    }
}

/// So that the two sides do not take the line of the lane's room from each other all the time.
#[test]
fn sharing_gives_room_back_a_quarter_at_a_time() {
    for capacity in [1, 2, 4, 8, 64] {
        let quarter = (capacity as u64 / 4).max(1);
        let (mut producer, mut consumer) = ring(sharing::channel, capacity);
        assert_eq!(producer.send_many(0..99), capacity);
        for taken in 1..=capacity as u64 {
            assert!(consumer.try_recv().is_ok());
            let room = if taken % quarter == 0 { quarter } else { 0 };
            assert_eq!(producer.send_many(0..room + 9), room as usize, "{taken} of {capacity}");
        }
    }
}

#[test]
fn sharing_consumers_begin_on_different_lanes() {
    let (mut first, consumer) = ring(sharing::channel, 4);
    let mut second = first.clone();
    assert_eq!((first.send_many([10, 11]), second.send_many([20, 21])), (2, 2));
    // The consumers are counted from one on.
    let (mut other, mut third) = (consumer.clone(), consumer.clone());
    assert_eq!((other.try_recv(), third.try_recv()), (Ok(10), Ok(20)));
    assert_eq!((other.try_recv(), third.try_recv()), (Ok(11), Ok(21)));
}

/// Two consumers of one lane agree, and one that comes late finds every lane.
#[test]
fn sharing_consumers_agree() {
    let (mut producer, mut first) = ring(sharing::channel, 8);
    let mut second = first.clone();
    for lap in 0..10_u64 {
        assert_eq!(producer.send_many(lap * 8..), 8);
        let mut received = Vec::new();
        assert_eq!(first.recv_many(&mut received, 3), 3);
        received.extend(second.try_recv());
        assert_eq!(second.recv_many(&mut received, 2), 2);
        received.extend(first.try_recv());
        let mut late = second.clone();
        received.extend(late.try_recv());
        assert_eq!(received, (lap * 8..lap * 8 + 8).collect::<Vec<_>>());
    }
}
