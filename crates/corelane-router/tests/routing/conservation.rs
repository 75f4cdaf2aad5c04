//! Nothing is lost or counted twice, whatever happens in which order (RT-1, RT-2).

use std::collections::BTreeMap;

use corelane_router::STALL_NS;
use corelane_transport::{AgentId, Envelope, Flags, Priority};
use proptest::prelude::*;

use super::{Fabric, envelope, receive};

const CLIENTS: u16 = 3;

#[derive(Debug, Clone)]
enum Step {
    Send { from: u16, to: u16, priority: Priority, kind: Kind },
    Turn,
    Receive { client: u16, count: usize },
    Die { client: u16 },
    Attach { client: u16 },
    Wait { eighths: u64 },
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Good,
    UnderAnotherAddress,
    WithReservedFlag,
    ToNobody,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![
        12 => Just(Kind::Good),
        1 => Just(Kind::UnderAnotherAddress),
        1 => Just(Kind::WithReservedFlag),
        1 => Just(Kind::ToNobody),
    ];
    let send = (0..CLIENTS, 0..CLIENTS, 0usize..3, kind).prop_map(|(from, to, priority, kind)| {
        Step::Send { from, to, priority: Priority::ALL[priority], kind }
    });
    let step = prop_oneof![
        20 => send,
        6 => Just(Step::Turn),
        4 => (0..CLIENTS, 1usize..8).prop_map(|(client, count)| Step::Receive { client, count }),
        1 => (0..CLIENTS).prop_map(|client| Step::Die { client }),
        2 => (0..CLIENTS).prop_map(|client| Step::Attach { client }),
        1 => (1u64..8).prop_map(|eighths| Step::Wait { eighths }),
    ];
    proptest::collection::vec(step, 0..300)
}

/// A fabric and what its clients saw.
struct Observed {
    fabric: Fabric,
    sent: u64,
    broken: u64,
    to_nobody: u64,
    received: u64,
    undelivered: u64,
    /// Last number by sender, receiver and priority.
    last: BTreeMap<(AgentId, AgentId, Priority), u64>,
}

impl Observed {
    fn new() -> Self {
        let fabric = Fabric::new(CLIENTS);
        let (sent, broken, to_nobody, received, undelivered) = (0, 0, 0, 0, 0);
        Self { fabric, sent, broken, to_nobody, received, undelivered, last: BTreeMap::new() }
    }

    fn is_up(&self, client: u16) -> bool {
        self.fabric.clients[client as usize].is_some()
    }

    fn send(&mut self, from: u16, to: u16, priority: Priority, kind: Kind) {
        // A number that grows over all generations: order holds across a death as well (RT-4).
        let mut envelope = envelope(from, to, priority, self.sent + 1);
        let counter = match kind {
            Kind::Good => None,
            Kind::UnderAnotherAddress => {
                envelope.sender = super::agent((from + 1) % CLIENTS);
                Some(&mut self.broken)
            }
            Kind::WithReservedFlag => {
                envelope = Envelope { flags: Flags::LOAN, ..envelope };
                Some(&mut self.broken)
            }
            Kind::ToNobody => {
                envelope.receiver = super::agent(CLIENTS);
                Some(&mut self.to_nobody)
            }
        };
        if self.fabric.try_send(from, &envelope).is_ok() {
            self.sent += 1;
            counter.into_iter().for_each(|counter| *counter += 1);
        }
    }

    fn receive(&mut self, client: u16, count: usize) {
        for _ in 0..count {
            let Some(envelope) = receive(self.fabric.client(client)) else { break };
            let Envelope { sender, receiver, priority, correlation, .. } = envelope;
            assert_eq!(receiver, super::agent(client));
            let before = self.last.insert((sender, receiver, priority), correlation);
            assert!(before < Some(correlation), "RT-2: {correlation} came after {before:?}");
            self.received += 1;
        }
        self.fabric.client(client).flush();
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Send { from, to, priority, kind } if self.is_up(from) => {
                self.send(from, to, priority, kind);
            }
            Step::Receive { client, count } if self.is_up(client) => self.receive(client, count),
            Step::Die { client } if self.is_up(client) => {
                self.fabric.kill(client);
                self.undelivered += self.fabric.detach(client).undelivered;
            }
            Step::Attach { client } if !self.is_up(client) => self.fabric.attach(client),
            Step::Turn => {
                let before = self.counted();
                let moved = self.fabric.turn() as u64;
                assert_eq!(self.counted() - before, moved, "RT-1");
            }
            Step::Wait { eighths } => {
                let now_ns = &self.fabric.now_ns;
                now_ns.set(now_ns.get() + eighths * STALL_NS / 8);
            }
            _ => {}
        }
    }

    fn counted(&self) -> u64 {
        let totals = self.fabric.totals();
        totals.forwarded + totals.dropped()
    }

    /// Empties every lane; what comes out is what was still in lanes.
    fn drain(&mut self) -> u64 {
        let mut moved = 0;
        for _ in 0..8 {
            moved += self.fabric.turn() as u64;
            for client in (0..CLIENTS).filter(|&client| self.is_up(client)).collect::<Vec<_>>() {
                self.receive(client, usize::MAX);
            }
        }
        moved
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// RT-1: sent = forwarded + dropped (each once, under its own reason) + still in lanes, and
    /// forwarded = received + told as undelivered when the receiver died.
    #[test]
    fn every_record_is_accounted_for(steps in steps()) {
        let mut observed = Observed::new();
        for step in steps {
            observed.take(step);
            prop_assert!(observed.counted() <= observed.sent);
        }
        let in_lanes = observed.sent - observed.counted();
        prop_assert_eq!(observed.drain(), in_lanes);
        let totals = observed.fabric.totals();
        prop_assert_eq!(totals.forwarded + totals.dropped(), observed.sent);
        prop_assert_eq!(totals.malformed, observed.broken);
        prop_assert_eq!(totals.dropped_unknown, observed.to_nobody);
        prop_assert_eq!(totals.forwarded, observed.received + observed.undelivered);
        prop_assert!(observed.fabric.switch.take_corrupt().is_empty());
    }
}
