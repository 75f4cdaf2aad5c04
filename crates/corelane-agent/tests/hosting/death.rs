//! The main flow with a death in it: asker, router, worker, the worker's next generation.

use std::sync::Arc;

use arc_swap::ArcSwap;
use corelane_agent::{Agent, Asker, Context, ask::AskCounters};
use corelane_router::{ClientId, Router, RouterConfig, RoutingTable};
use corelane_transport::{AgentId, Endpoint};

use super::{Acts, Call, HOUR, Running, SLEEPY, echo, pair};

const ASKER: ClientId = ClientId(0);
const WORKER: ClientId = ClientId(1);
const FIRST: AgentId = AgentId(10);
const AGENTS: u64 = 8;
const QUESTIONS: u64 = 40;
const LONG_NS: u64 = 3_600_000_000_000;

fn router() -> Router {
    let table = RoutingTable::default();
    let table = table.with(1..2, ASKER).and_then(|table| table.with(10..18, WORKER));
    let table = table.expect("because the ranges are apart");
    let config = RouterConfig {
        name: "rt-death".to_owned(),
        cpus: None,
        wait: SLEEPY,
        table: Arc::new(ArcSwap::from_pointee(table)),
        on_corrupt: Box::new(|client, reason| panic!("client={client}: {reason}")),
    };
    Router::start(config).expect("because threads are left")
}

fn connect(router: &Router, client: ClientId) -> Endpoint {
    let (endpoint, port) = pair(64);
    router.attach(client, port);
    endpoint
}

/// Answers questions below `last_key` and keeps the others; reports each that it saw.
fn answers_below(last_key: u64) -> Vec<Box<dyn Agent>> {
    let act = move |cx: &mut Context<'_>, call: Call<'_>| {
        let Call::Message(message) = call else { return };
        let key = message.payload().try_into().map(u64::from_le_bytes);
        if key.expect("because a question is its key") < last_key {
            cx.reply(message.payload()).expect("because it is a question");
        }
        cx.report("seen", serde_json::Value::Null);
    };
    (0..AGENTS).map(|_| Box::new(Acts(act)) as Box<dyn Agent>).collect()
}

#[test]
fn every_question_is_answered_once_although_the_worker_dies() {
    let router = router();
    let mut asker = Asker::new(AgentId(1), 0, connect(&router, ASKER), QUESTIONS as u32);
    let keys: Vec<[u8; 8]> = (0..QUESTIONS).map(u64::to_le_bytes).collect();
    let first = Running::start(connect(&router, WORKER), FIRST, || answers_below(15));
    for key in 0..QUESTIONS {
        let receiver = AgentId(FIRST.0 + (key % AGENTS) as u32);
        asker.ask(receiver, LONG_NS, key).expect("because so many may be open");
    }
    asker.pump(|key| &keys[key as usize]).expect("because the lanes hold them");
    for _ in 0..QUESTIONS {
        assert_eq!(first.report(), "seen");
    }
    // Answers to 15 questions are on their way when it dies, and 25 questions die with it.
    assert_eq!(first.stop().handled, QUESTIONS);
    assert_eq!(router.detach(WORKER).undelivered, 0);

    let agents = || (0..AGENTS).map(|_| echo()).collect();
    let second = Running::start(connect(&router, WORKER), FIRST, agents);
    assert_eq!(asker.redeliver(|receiver| receiver >= FIRST), QUESTIONS as usize);
    asker.pump(|key| &keys[key as usize]).expect("because the lanes hold them");
    let mut seen = vec![0; QUESTIONS as usize];
    let expected = QUESTIONS + 15;
    while asker.counters().answered + asker.counters().duplicates < expected {
        while let Some(answered) = asker.answer().expect("because the node is honest") {
            let payload = answered.payload.expect("because no agent failed");
            assert_eq!(payload, keys[answered.key as usize]);
            assert_eq!(answered.receiver.0, FIRST.0 + (answered.key % AGENTS) as u32);
            seen[answered.key as usize] += 1;
        }
        if asker.counters().answered + asker.counters().duplicates < expected {
            asker.endpoint().sleep(None, HOUR).expect("because the kernel can wait");
        }
    }
    assert_eq!(seen, vec![1; QUESTIONS as usize]);
    let counters = AskCounters {
        opened: QUESTIONS,
        answered: QUESTIONS,
        redelivered: QUESTIONS,
        duplicates: 15,
        ..AskCounters::default()
    };
    assert_eq!((asker.counters(), asker.open_count()), (counters, 0));
    assert_eq!(second.stop().handled, QUESTIONS);
    router.detach(ASKER);
    let totals = router.stats().totals();
    assert_eq!((totals.forwarded, totals.dropped()), (2 * QUESTIONS + expected, 0));
}

/// Questions that were still in the dead worker's lane: told as undelivered, delivered again.
#[test]
fn questions_that_never_reached_the_worker_are_delivered_again() {
    let router = router();
    let mut asker = Asker::new(AgentId(1), 0, connect(&router, ASKER), QUESTIONS as u32);
    let dead = connect(&router, WORKER);
    for key in 0..QUESTIONS {
        asker.ask(FIRST, LONG_NS, key).expect("because so many may be open");
    }
    asker.pump(|_| b"question").expect("because the lanes hold them");
    while router.stats().totals().forwarded < QUESTIONS {
        std::thread::yield_now();
    }
    drop(dead);
    assert_eq!(router.detach(WORKER).undelivered, QUESTIONS);
    let worker = Running::start(connect(&router, WORKER), FIRST, || vec![echo()]);
    assert_eq!(asker.redeliver(|receiver| receiver == FIRST), QUESTIONS as usize);
    asker.pump(|_| b"question").expect("because the lanes hold them");
    while asker.open_count() > 0 {
        if asker.answer().expect("because the node is honest").is_none() {
            asker.endpoint().sleep(None, HOUR).expect("because the kernel can wait");
        }
    }
    assert_eq!(asker.counters().duplicates, 0);
    assert_eq!(worker.stop().handled, QUESTIONS);
}
