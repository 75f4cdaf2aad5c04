//! What the demo says when its workers do not do what they should: each error, by its code.
//!
//! The node is real and lives in this process; what its workers would report, a test makes up.

use std::{
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

use corelane_agent::{
    Agent, Command, Context,
    supervisor::{ExitReason, Generation},
};
use corelane_node::NodeEvent;
use corelane_router::ClientId;
use corelane_transport::{AgentId, Endpoint, Message};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{DemoArgs, digits, digits::Digits, load};
use crate::{
    error::CliError,
    fabric::{
        Fabric,
        testing::{fabric, host},
    },
    interrupt::Interrupt,
};

/// What the command line gives without options.
fn arguments() -> DemoArgs {
    DemoArgs {
        json: true,
        agents: 2,
        workers: 1,
        routers: None,
        load_seconds: 0.1,
        window: 1,
        kill_after: None,
        seed: 1,
        floating: true,
        report: None,
    }
}

fn interrupt() -> Interrupt {
    Interrupt::install().unwrap()
}

#[track_caller]
fn code<T>(outcome: anyhow::Result<T>) -> &'static str {
    let error = outcome.err().expect("it cannot succeed");
    error.downcast::<CliError>().expect("it is of the command").code()
}

fn down() -> NodeEvent {
    let (client, generation) = (ClientId(0), Generation(1));
    NodeEvent::Down { client, generation, reason: ExitReason::Signal { signal: 9 }, undelivered: 0 }
}

fn report(name: &str, body: Value) -> NodeEvent {
    let report = Command { name: name.to_owned(), body };
    NodeEvent::Report { client: ClientId(0), report }
}

/// A load that waits for nothing, after these events.
fn load_after(events: Vec<NodeEvent>) -> anyhow::Result<load::Loaded> {
    let (mut fabric, sender, _worker, _folder) = fabric();
    events.into_iter().for_each(|event| sender.send(event).unwrap());
    short_load(&mut fabric)
}

fn short_load(fabric: &mut Fabric) -> anyhow::Result<load::Loaded> {
    let mut load = load::Load::quiet(&arguments(), Duration::ZERO);
    load.patience = Duration::ZERO;
    load::run(fabric, load, &interrupt())
}

/// What a worker counts that sent and read so many messages.
fn counts(sent: u64, received: u64, refused: u64) -> NodeEvent {
    let body = json!({
        "sent": sent, "received": received, "received_by_step": [received], "corrupt": 0,
        "refused": refused, "rtt_ns": [],
    });
    report("exchanged", body)
}

#[test]
fn workers_that_do_not_come_are_waited_for_no_longer_than_promised() {
    let (mut fabric, _sender, _worker, _folder) = fabric();
    let waited = fabric.await_workers("demo", Instant::now(), Duration::ZERO, &interrupt());
    assert_eq!(code(waited), "CL-1116");
}

#[test]
fn a_node_that_ends_by_itself_is_an_error() {
    let (mut fabric, sender, _worker, _folder) = fabric();
    drop(sender);
    assert_eq!(code(fabric.event(Duration::ZERO)), "CL-1118");
}

#[test]
fn a_worker_that_is_not_there_cannot_be_killed() {
    let (fabric, _sender, _worker, _folder) = fabric();
    assert_eq!(code(fabric.kill(0)), "CL-1119");
}

/// Answers every question with the same words, or with an error.
struct Parrot(Result<&'static [u8], &'static str>);

impl Agent for Parrot {
    fn on_message(&mut self, cx: &mut Context<'_>, _message: &Message) {
        let told = match self.0 {
            Ok(words) => cx.reply(words),
            Err(text) => cx.reply_error(text),
        };
        told.expect("there is room for one answer to each question");
    }
}

fn classify(fabric: &mut Fabric) -> anyhow::Result<digits::Classified> {
    digits::classify(fabric, &Digits::load()?, None, &interrupt())
}

#[test]
fn answers_of_another_form_end_the_digits() {
    for (answer, expected) in [(Err("no model"), "CL-1120"), (Ok(&b"four"[..3]), "CL-1121")] {
        let (mut fabric, _sender, worker, _folder) = fabric();
        host(worker, Parrot(answer));
        assert_eq!(code(classify(&mut fabric)), expected);
    }
}

#[test]
fn a_worker_that_ends_during_the_digits_is_an_error() {
    let (mut fabric, sender, _worker, _folder) = fabric();
    sender.send(down()).unwrap();
    assert_eq!(code(classify(&mut fabric)), "CL-1122");
}

#[test]
fn a_worker_that_ends_during_the_load_is_an_error() {
    assert_eq!(code(load_after(vec![down()])), "CL-1128");
}

#[test]
fn counts_that_do_not_add_up_end_the_load() {
    let quiet = || report("quiet", Value::Null);
    assert_eq!(code(load_after(vec![quiet(), counts(7, 7, 1)])), "CL-1123");
    assert_eq!(code(load_after(vec![quiet(), counts(7, 6, 0)])), "CL-1124");
    assert_eq!(code(load_after(vec![quiet(), report("exchanged", json!("many"))])), "CL-1129");
    assert_eq!(load_after(vec![quiet(), counts(7, 7, 0)]).unwrap().sent, 7);
}

#[test]
fn answers_that_do_not_come_end_the_load() {
    assert_eq!(code(load_after(vec![])), "CL-1126");
    assert_eq!(code(load_after(vec![report("quiet", Value::Null)])), "CL-1127");
}

#[test]
fn a_worker_that_stands_still_is_told_of() {
    let (mut fabric, _sender, _stands_still, _folder): (_, Sender<_>, Endpoint, TempDir) = fabric();
    for key in 0..60 {
        fabric.asker.ask(AgentId(1), u64::MAX / 2, key).unwrap();
    }
    while fabric.totals().dropped_stalled == 0 {
        fabric.asker.pump(|_| b"a question").unwrap();
        std::thread::yield_now();
    }
    assert_eq!(code(short_load(&mut fabric)), "CL-1125");
}
