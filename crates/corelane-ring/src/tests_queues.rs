//! Property tests: any sequence of operations of several ends behaves like plain queues.

use std::collections::VecDeque;

use proptest::prelude::*;

use crate::ends::{Channel, Receives, Sends};
use crate::error::{TryRecvError, TrySendError};
use crate::producers::Producer;
use crate::{Spin, fan_in, mpmc, mpsc, sharing};

/// An operation; the first number chooses the end.
#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    SendMany(usize, u64),
    Clone(usize),
    Drop(usize),
    Receive(usize),
    ReceiveMany(usize, usize),
    CloneConsumer(usize),
    DropConsumer(usize),
    /// A claim of so many positions, of which some are filled, committed or not.
    Claim(usize, usize, usize, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end = 0..5_usize;
    let step = prop_oneof![
        6 => end.clone().prop_map(Step::Send),
        3 => (end.clone(), 0..7_u64).prop_map(|(end, count)| Step::SendMany(end, count)),
        1 => end.clone().prop_map(Step::Clone),
        1 => end.clone().prop_map(Step::Drop),
        6 => end.clone().prop_map(Step::Receive),
        3 => (end.clone(), 0..7_usize).prop_map(|(end, count)| Step::ReceiveMany(end, count)),
        1 => end.clone().prop_map(Step::CloneConsumer),
        1 => end.clone().prop_map(Step::DropConsumer),
        2 => (end, 1..5_usize, 0..5_usize, any::<bool>())
            .prop_map(|(end, count, filled, commits)| Step::Claim(end, count, filled, commits)),
    ];
    proptest::collection::vec(step, 0..300)
}

/// Ends beyond the ring's traits: how a consumer is cloned, if it can be, and how a producer
/// claims, if it can. The claim answers how many positions it got.
struct Extras<P, C> {
    clone_consumer: fn(&C) -> Option<C>,
    claim: fn(&mut P, usize, &[u64], bool) -> Option<usize>,
}

fn claim(
    producer: &mut Producer<u64, Spin>,
    count: usize,
    messages: &[u64],
    commits: bool,
) -> Option<usize> {
    let Some(mut claim) = producer.claim(count) else { return Some(0) };
    let got = claim.remaining();
    messages.iter().take(got).for_each(|&message| claim.put(message));
    if commits {
        assert_eq!(claim.commit(), messages.len().min(got));
    }
    Some(got)
}

/// The ring as one queue of positions, or a queue per producer.
struct Model {
    /// `None` was given up.
    queues: Vec<VecDeque<Option<u64>>>,
    capacity: usize,
    next: u64,
}

impl Model {
    fn room(&self, queue: usize) -> usize {
        self.capacity - self.queues[queue].len()
    }

    /// How much of `wanted` must have found room, given that `got` did: what was given up in front
    /// counts as passed over once its room was used.
    fn fits(&mut self, queue: usize, wanted: usize, got: usize) -> usize {
        let given_up = self.queues[queue].iter().take_while(|message| message.is_none()).count();
        let passed = got.saturating_sub(self.room(queue)).min(given_up);
        self.queues[queue].drain(..passed);
        self.room(queue).min(wanted)
    }

    fn push(&mut self, queue: usize, count: usize) {
        for _ in 0..count {
            self.queues[queue].push_back(Some(self.next));
            self.next += 1;
        }
    }

    fn messages(&self) -> usize {
        self.queues.iter().flatten().flatten().count()
    }

    /// Takes `message` if it is the first of a queue.
    fn take(&mut self, message: u64) -> bool {
        self.queues.iter_mut().any(|queue| {
            let first = queue.iter().position(Option::is_some);
            let is_here = first.is_some_and(|first| queue[first] == Some(message));
            if is_here {
                queue.drain(..=first.unwrap_or(0));
            }
            is_here
        })
    }

    /// Nothing was found: consumers passed over all that was given up.
    fn pass(&mut self) {
        self.queues.iter_mut().for_each(VecDeque::clear);
    }
}

/// The ends of a ring beside its model; `producers` carry the number of their queue.
struct Run<P, C> {
    producers: Vec<(P, usize)>,
    consumers: Vec<C>,
    model: Model,
    has_lanes: bool,
    extras: Extras<P, C>,
}

fn behaves_like_queues<P: Sends<u64>, C: Receives<u64>>(
    channel: Channel<P, C>,
    capacity: usize,
    has_lanes: bool,
    extras: Extras<P, C>,
    steps: Vec<Step>,
) {
    let (producer, consumer) = channel(capacity, Spin).expect("because it is in range");
    let model = Model { queues: vec![VecDeque::new()], capacity, next: 0 };
    let (producers, consumers) = (vec![(producer, 0)], vec![consumer]);
    let mut run = Run { producers, consumers, model, has_lanes, extras };
    for step in steps {
        match step {
            Step::Send(..) | Step::SendMany(..) | Step::Claim(..) if !run.producers.is_empty() => {
                run.send(step);
            }
            Step::Receive(..) | Step::ReceiveMany(..) if !run.consumers.is_empty() => {
                run.receive(step);
            }
            step => run.make_or_drop(step),
        }
    }
}

impl<P: Sends<u64>, C: Receives<u64>> Run<P, C> {
    fn send(&mut self, step: Step) {
        let (Step::Send(end) | Step::SendMany(end, _) | Step::Claim(end, ..)) = step else {
            return;
        };
        let chosen = end % self.producers.len();
        let (producer, queue) = &mut self.producers[chosen];
        let queue = *queue;
        let model = &mut self.model;
        match step {
            Step::SendMany(_, count) => {
                let sent = producer.send_many(model.next..model.next + count);
                assert_eq!(sent, model.fits(queue, count as usize, sent));
                model.push(queue, sent);
            }
            Step::Claim(_, count, filled, commits) => {
                let messages: Vec<u64> = (model.next..).take(filled).collect();
                if let Some(got) = (self.extras.claim)(producer, count, &messages, commits) {
                    assert_eq!(got, model.fits(queue, count, got));
                    let sent = if commits { filled.min(got) } else { 0 };
                    model.push(queue, sent);
                    model.queues[queue].extend((sent..got).map(|_| None));
                }
            }
            _ => match producer.try_send(model.next) {
                Ok(()) => {
                    assert_eq!(model.fits(queue, 1, 1), 1);
                    model.push(queue, 1);
                }
                Err(error) => {
                    let is_closed = matches!(error, TrySendError::Closed(_));
                    assert_eq!(is_closed, self.consumers.is_empty());
                    assert_eq!(error.into_inner(), model.next);
                    assert_eq!(model.room(queue), 0);
                }
            },
        }
    }

    fn receive(&mut self, step: Step) {
        let (Step::Receive(end) | Step::ReceiveMany(end, _)) = step else { return };
        let chosen = end % self.consumers.len();
        let consumer = &mut self.consumers[chosen];
        let (mut messages, mut most) = (Vec::new(), 1);
        if let Step::ReceiveMany(_, count) = step {
            most = count;
            let taken = consumer.recv_many(&mut messages, most);
            assert_eq!(taken, messages.len());
            assert!(taken <= most);
        } else {
            match consumer.try_recv() {
                Ok(message) => messages.push(message),
                Err(error) => {
                    assert_eq!(error == TryRecvError::Closed, self.producers.is_empty());
                }
            }
        }
        if messages.is_empty() && most > 0 {
            assert_eq!(self.model.messages(), 0);
            self.model.pass();
        }
        for message in messages {
            assert!(self.model.take(message), "{message} is not due");
        }
    }

    fn make_or_drop(&mut self, step: Step) {
        let (producer_count, consumer_count) = (self.producers.len(), self.consumers.len());
        match step {
            Step::Clone(end) if (1..5).contains(&producer_count) => {
                let &(ref producer, mut queue) = &self.producers[end % producer_count];
                let producer = producer.clone();
                if self.has_lanes {
                    queue = self.model.queues.len();
                    self.model.queues.push(VecDeque::new());
                }
                self.producers.push((producer, queue));
            }
            Step::Drop(end) if producer_count > 0 => {
                self.producers.swap_remove(end % producer_count);
            }
            Step::CloneConsumer(end) if (1..4).contains(&consumer_count) => {
                let consumer = &self.consumers[end % consumer_count];
                self.consumers.extend((self.extras.clone_consumer)(consumer));
            }
            // The last one goes seldom.
            Step::DropConsumer(end) if consumer_count > usize::from(end != 0) => {
                self.consumers.swap_remove(end % consumer_count);
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn mpsc_behaves_like_a_queue(log2 in 0..4_u32, steps in steps()) {
        let extras = Extras { clone_consumer: |_| None, claim };
        behaves_like_queues(mpsc::channel, 1 << log2, false, extras, steps);
    }

    #[test]
    fn mpmc_behaves_like_a_queue(log2 in 0..4_u32, steps in steps()) {
        let extras = Extras {
            clone_consumer: |consumer: &mpmc::Consumer<u64, Spin>| Some(consumer.clone()),
            claim,
        };
        behaves_like_queues(mpmc::channel, 1 << log2, false, extras, steps);
    }

    #[test]
    fn fan_in_behaves_like_a_queue_per_producer(log2 in 0..2_u32, steps in steps()) {
        // Above two slots a lane gives room back later than it is there.
        let extras = Extras { clone_consumer: |_| None, claim: |_, _, _, _| None };
        behaves_like_queues(fan_in::channel, 1 << log2, true, extras, steps);
    }

    #[test]
    fn sharing_behaves_like_a_queue_per_producer(log2 in 0..3_u32, steps in steps()) {
        // Above four slots a lane gives room back later than it is there.
        let extras = Extras {
            clone_consumer: |consumer: &sharing::Consumer<u64, Spin>| Some(consumer.clone()),
            claim: |_, _, _, _| None,
        };
        behaves_like_queues(sharing::channel, 1 << log2, true, extras, steps);
    }
}
