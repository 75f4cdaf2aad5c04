//! Seeded stress over real threads: every message once, whole, and in the order of its producer.

use std::collections::HashMap;
use std::thread;

use crate::ends::{Channel, Receives, Sends};
use crate::error::{TryRecvError, TrySendError};
use crate::{Spin, fan_in, mpmc, mpsc, sharing};

const COUNT: u64 = 10_000;

/// Steps of a producer's number when it is replaced by its clone, so that messages of one number
/// came from one end.
const SUCCESSOR: u64 = 8;

/// The number of the producer, the number of the message, and a checksum over both.
type Message = [u64; 4];

fn message(from: u64, number: u64) -> Message {
    let mixed = (from << 48 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    [from, number, mixed, from ^ number.rotate_left(32) ^ mixed]
}

fn send<P: Sends<Message>>(mut producer: P, mut from: u64, mut random: fastrand::Rng) {
    let mut number = 0;
    while number < COUNT {
        match random.u32(..20) {
            // Lanes come and go.
            0 if random.u32(..50) == 0 => {
                producer = producer.clone();
                from += SUCCESSOR;
            }
            0..8 => {
                let end = COUNT.min(number + random.u64(1..20));
                let batch = (number..end).map(|number| message(from, number));
                let sent = producer.send_many(batch) as u64;
                number += sent;
                if sent == 0 {
                    thread::yield_now();
                }
            }
            8..20 if random.u32(..100) > 0 => match producer.try_send(message(from, number)) {
                Ok(()) => number += 1,
                Err(TrySendError::Full(_)) => thread::yield_now(),
                Err(error) => panic!("{error}"),
            },
            _ => {
                producer.send(message(from, number)).expect("because a consumer stays");
                number += 1;
            }
        }
    }
}

fn receive<C: Receives<Message>>(mut consumer: C, mut random: fastrand::Rng) -> Vec<(u64, u64)> {
    let mut received = Vec::new();
    let mut note = |[from, number, rest @ ..]: Message| {
        assert_eq!(message(from, number)[2..], rest, "checksum");
        received.push((from, number));
    };
    loop {
        if random.bool() {
            consumer.recv_with(random.usize(1..100), &mut note);
            thread::yield_now();
        } else {
            match consumer.try_recv() {
                Ok(message) => note(message),
                Err(TryRecvError::Closed) => return received,
                // With fewer cores than threads a spin is a waste.
                Err(TryRecvError::Empty) => thread::yield_now(),
            }
        }
    }
}

fn stress<P: Sends<Message>, C: Receives<Message>>(
    channel: Channel<P, C>,
    clone_consumer: fn(&C) -> Option<C>,
) {
    let seed = fastrand::u64(..);
    println!("seed={seed}: put it into `stress` to see this run again");
    let mut random = fastrand::Rng::with_seed(seed);
    for producers in 2..=4 {
        let capacity = 1 << random.u32(..8);
        let (producer, consumer) = channel(capacity, Spin).expect("because it is in range");
        let mut consumers = vec![consumer];
        for _ in 1..random.usize(1..4) {
            consumers.extend(clone_consumer(&consumers[0]));
        }
        println!("producers={producers} consumers={} capacity={capacity}", consumers.len());
        let receivers: Vec<_> = consumers
            .into_iter()
            .map(|consumer| {
                let random = random.fork();
                thread::spawn(move || receive(consumer, random))
            })
            .collect();
        let senders: Vec<_> = (0..producers)
            .map(|from| {
                let (producer, random) = (producer.clone(), random.fork());
                thread::spawn(move || send(producer, from, random))
            })
            .collect();
        drop(producer);
        for sender in senders {
            sender.join().expect("because no sender panics");
        }
        let received = receivers.into_iter().map(|receiver| receiver.join());
        let received: Vec<_> = received.map(|r| r.expect("because no receiver panics")).collect();
        for of_one in &received {
            let mut last = HashMap::new();
            for &(from, number) in of_one {
                let before = last.insert(from, number);
                assert!(before.is_none_or(|before| before < number), "order of producer {from}");
            }
        }
        let of_producers = received.concat().into_iter().map(|(from, n)| (from % SUCCESSOR, n));
        let mut received: Vec<_> = of_producers.collect();
        received.sort_unstable();
        let sent = (0..producers).flat_map(|from| (0..COUNT).map(move |number| (from, number)));
        assert!(received.into_iter().eq(sent), "every message once");
    }
}

#[test]
fn mpsc_stress_with_checksums() {
    stress(mpsc::channel, |_| None);
}

#[test]
fn mpmc_stress_with_checksums() {
    stress(mpmc::channel, |consumer: &mpmc::Consumer<Message, Spin>| Some(consumer.clone()));
}

#[test]
fn fan_in_stress_with_checksums() {
    stress(fan_in::channel, |_| None);
}

#[test]
fn sharing_stress_with_checksums() {
    let clone = |consumer: &sharing::Consumer<Message, Spin>| Some(consumer.clone());
    stress(sharing::channel, clone);
}
