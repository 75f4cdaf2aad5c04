//! Tests of the ask table: its limits one by one, then all of it against a naive model that keeps
//! every ask for ever.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[test]
fn refuses_over_the_limit_and_takes_again_after_an_answer() {
    let mut asks = AskTable::new(2);
    let first = asks.open(0, 1, 10, 0).expect("two asks fit");
    asks.open(0, 1, 10, 0).expect("two asks fit");
    assert_eq!(asks.open(0, 1, 10, 0), Err(AskError::TooManyOpen { limit: 2 }));
    assert!(matches!(asks.answered(first), Answer::First { .. }));
    assert!(asks.open(0, 1, 10, 0).is_ok());
    assert_eq!((asks.counters().refused, asks.open_count()), (1, 2));
    assert_eq!(AskTable::new(0).open(0, 1, 1, 0), Err(AskError::TooManyOpen { limit: 0 }));
}

#[test]
fn one_slow_ask_holds_up_nobody() {
    let mut asks = AskTable::new(2);
    let slow = asks.open(3, 9, u64::MAX, 77).expect("the table is empty");
    let mut last = slow;
    for _ in 0..1_000 {
        let id = asks.open(4, 1, u64::MAX, 0).expect("one of two places is free");
        assert!(id > last, "AK-4: {id:?} after {last:?}");
        assert!(matches!(asks.answered(id), Answer::First { receiver: 1, .. }));
        last = id;
    }
    let slow_answer = Answer::First { receiver: 9, opened_at_ns: 3, key: 77, deliveries: 1 };
    assert_eq!(asks.answered(slow), slow_answer);
}

#[test]
fn a_full_table_that_expires_at_once_is_remembered() {
    let mut asks = AskTable::new(100);
    let open = |asks: &mut AskTable, deadline_ns| {
        (0..100).map(|_| asks.open(0, 1, deadline_ns, 0).expect("it is empty")).collect::<Vec<_>>()
    };
    let ids = open(&mut asks, 5);
    assert_eq!(asks.expire(4), []);
    assert_eq!(asks.expire(5).iter().map(|ask| ask.id).collect::<Vec<_>>(), ids);
    for _ in 0..10 {
        for id in open(&mut asks, 9) {
            asks.answered(id);
        }
    }
    assert!(ids.iter().all(|id| asks.answered(*id) == Answer::Late));
    assert_eq!((asks.counters().late, asks.counters().duplicates), (100, 0));
}

#[test]
fn an_ask_past_its_deadline_is_not_delivered_again_but_may_be_answered() {
    let mut asks = AskTable::new(4);
    let id = asks.open(0, 1, 10, 0).expect("the table is empty");
    assert_eq!(asks.redeliver(10, |_| true), []);
    assert!(matches!(asks.answered(id), Answer::First { deliveries: 1, .. }));
    assert_eq!(asks.expire(10), []);
}

#[test]
fn ids_that_were_never_given_out_are_unknown() {
    let mut asks = AskTable::new(4);
    let id = asks.open(0, 1, 10, 0).expect("the table is empty");
    for stranger in [0, id.0 + 1, u64::MAX] {
        assert_eq!(asks.answered(CorrelationId(stranger)), Answer::Unknown);
    }
    assert_eq!((asks.counters().unknown, asks.open_count()), (3, 1));
}

#[derive(Clone, Debug)]
enum Op {
    Open {
        receiver: u32,
        patience_ns: u64,
    },
    /// Answers one of the last ids given out, open or not.
    Answer {
        back: usize,
    },
    AnswerId {
        id: u64,
    },
    Redeliver {
        receiver: u32,
    },
    Advance {
        by_ns: u64,
    },
    Expire,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..3_u32, 0..200_u64).prop_map(|(receiver, patience_ns)| {
            Op::Open { receiver, patience_ns }
        }),
        6 => (0..24_usize).prop_map(|back| Op::Answer { back }),
        1 => (0..80_u64).prop_map(|id| Op::AnswerId { id }),
        1 => (0..3_u32).prop_map(|receiver| Op::Redeliver { receiver }),
        3 => (0..60_u64).prop_map(|by_ns| Op::Advance { by_ns }),
        2 => Just(Op::Expire),
    ]
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Open,
    Answered,
    Expired,
}

/// Every ask that ever was, in the order of opening.
#[derive(Default)]
struct Model {
    asks: BTreeMap<CorrelationId, (OpenAsk, Fate)>,
    /// By slot, the last id that expired there: the one thing that the table may forget.
    remembered: BTreeMap<u64, CorrelationId>,
    counters: AskCounters,
}

impl Model {
    fn take(&mut self, is_taken: impl Fn(&OpenAsk) -> bool) -> Vec<&mut (OpenAsk, Fate)> {
        let is_open = |entry: &&mut (OpenAsk, Fate)| entry.1 == Fate::Open && is_taken(&entry.0);
        self.asks.values_mut().filter(is_open).collect()
    }

    fn open_count(&self) -> usize {
        self.asks.values().filter(|entry| entry.1 == Fate::Open).count()
    }

    fn answered(&mut self, id: CorrelationId, slot_count: u64) -> Answer {
        let highest = self.asks.keys().last().map_or(0, |last| last.0);
        let is_remembered = self.remembered.get(&(id.0 % slot_count)) == Some(&id);
        match self.asks.get_mut(&id) {
            Some((ask, fate @ Fate::Open)) => {
                *fate = Fate::Answered;
                self.counters.answered += 1;
                let OpenAsk { receiver, opened_at_ns, key, deliveries, .. } = *ask;
                Answer::First { receiver, opened_at_ns, key, deliveries }
            }
            Some((_, Fate::Expired)) if is_remembered => {
                self.counters.late += 1;
                Answer::Late
            }
            None if id.0 == 0 || id.0 > highest => {
                self.counters.unknown += 1;
                Answer::Unknown
            }
            _ => {
                self.counters.duplicates += 1;
                Answer::Duplicate
            }
        }
    }

    fn expire(&mut self, now_ns: u64, slot_count: u64) -> Vec<OpenAsk> {
        let mut expired = Vec::new();
        for entry in self.take(|ask| ask.deadline_ns <= now_ns) {
            entry.1 = Fate::Expired;
            expired.push(entry.0);
        }
        for ask in &expired {
            self.remembered.insert(ask.id.0 % slot_count, ask.id);
        }
        self.counters.expired += expired.len() as u64;
        expired
    }
}

proptest! {
    /// AK-1 to AK-4: the table says of every ask what a model says that forgets none.
    #[test]
    fn agrees_with_a_model_that_forgets_nothing(
        open_max in 0..9_u32,
        ops in prop::collection::vec(op(), 1..300),
    ) {
        let mut table = AskTable::new(open_max);
        let slot_count = u64::from(2 * open_max.max(1)).next_power_of_two();
        let mut model = Model::default();
        let mut now_ns = 0;
        for (step, op) in ops.into_iter().enumerate() {
            match op {
                Op::Open { receiver, patience_ns } => {
                    let (deadline_ns, key) = (now_ns + patience_ns, step as u64);
                    let opened = table.open(now_ns, receiver, deadline_ns, key);
                    if model.open_count() == open_max as usize {
                        prop_assert_eq!(opened, Err(AskError::TooManyOpen { limit: open_max }));
                        model.counters.refused += 1;
                    } else {
                        let id = opened.expect("fewer asks are open than may be");
                        prop_assert!(model.asks.keys().all(|older| *older < id), "AK-4");
                        let ask = OpenAsk {
                            id, receiver, opened_at_ns: now_ns, deadline_ns, key, deliveries: 1,
                        };
                        model.asks.insert(id, (ask, Fate::Open));
                        model.counters.opened += 1;
                    }
                }
                Op::Answer { back } => {
                    if let Some(id) = model.asks.keys().rev().nth(back).copied() {
                        prop_assert_eq!(table.answered(id), model.answered(id, slot_count));
                    }
                }
                Op::AnswerId { id } => {
                    let id = CorrelationId(id);
                    prop_assert_eq!(table.answered(id), model.answered(id, slot_count));
                }
                Op::Redeliver { receiver } => {
                    let due = |ask: &OpenAsk| ask.receiver == receiver && ask.deadline_ns > now_ns;
                    let mut expected = Vec::new();
                    for (ask, _) in model.take(due) {
                        ask.deliveries += 1;
                        expected.push(*ask);
                    }
                    model.counters.redelivered += expected.len() as u64;
                    prop_assert_eq!(table.redeliver(now_ns, |asked| asked == receiver), expected);
                }
                Op::Advance { by_ns } => now_ns += by_ns,
                Op::Expire => {
                    prop_assert_eq!(table.expire(now_ns), model.expire(now_ns, slot_count));
                }
            }
            let counters = table.counters();
            prop_assert_eq!(counters, model.counters);
            prop_assert_eq!(table.open_count() as usize, model.open_count());
            let closed = counters.answered + counters.expired;
            prop_assert_eq!(counters.opened, closed + u64::from(table.open_count()), "AK-3");
        }
    }
}
