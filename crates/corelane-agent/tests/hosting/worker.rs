//! A worker with its agents: messages, questions, panics, commands, the end.

use std::{cell::Cell, sync::mpsc, thread};

use corelane_agent::{Agent, Command, Context, TellError, WorkerError, WorkerHandle, WorkerTotals};
use corelane_ring::{ClaimError, PeekError};
use corelane_transport::{AgentId, Envelope, Flags, LaneShape, Priority, ReceiveError, SendError};

use super::{Acts, Call, Received, Running, ask, echo, pair, pairing, take, try_take};

const FIRST: AgentId = AgentId(10);

fn boxed(act: impl FnMut(&mut Context<'_>, Call<'_>) + 'static) -> Box<dyn Agent> {
    Box::new(Acts(act))
}

/// The parts of an answer that do not depend on the time.
fn answer(sender: u32, correlation: u64, flags: Flags, payload: &[u8]) -> Received {
    let (sender, receiver) = (AgentId(sender), AgentId(1));
    let envelope = Envelope { sender, receiver, correlation, flags, ..Envelope::default() };
    Received { envelope, payload: payload.to_vec() }
}

fn take_answer(port: &mut corelane_transport::Port) -> Received {
    let mut received = take(port);
    assert_ne!(std::mem::take(&mut received.envelope.timestamp_ns), 0, "an answer has a time");
    received
}

fn text(received: &Received) -> &str {
    std::str::from_utf8(&received.payload).expect("because errors are texts")
}

#[test]
fn questions_are_answered_by_the_agent_that_was_asked() {
    let (endpoint, mut port) = pair(16);
    let worker = Running::start(endpoint, FIRST, || {
        (0..3).map(|index: u8| boxed(move |cx, _| cx.reply(&[index]).expect("asked"))).collect()
    });
    for (correlation, receiver) in [(7, 12), (8, 10), (9, 11)] {
        ask(&mut port, receiver, correlation, b"");
        let index = (receiver - FIRST.0) as u8;
        let expected = answer(receiver, correlation, Flags::REPLY, &[index]);
        assert_eq!(take_answer(&mut port), expected);
    }
    assert_eq!(worker.stop(), WorkerTotals { handled: 3, ..WorkerTotals::default() });
}

/// An answer goes back under the question's priority and feature.
#[test]
fn an_answer_keeps_what_the_question_was_about() {
    let (endpoint, mut port) = pair(16);
    let worker = Running::start(endpoint, FIRST, || vec![echo()]);
    let question = Envelope {
        correlation: u64::MAX,
        timestamp_ns: 1,
        sender: AgentId(77),
        receiver: FIRST,
        feature: 5,
        flags: Flags::ASK,
        priority: Priority::Low,
    };
    port.send(&question, b"same").expect("because there is room");
    port.flush();
    let received = take(&mut port);
    assert!(received.envelope.timestamp_ns > 1);
    let (sender, receiver) = (question.receiver, question.sender);
    let timestamp_ns = received.envelope.timestamp_ns;
    let expected = Envelope { sender, receiver, timestamp_ns, flags: Flags::REPLY, ..question };
    assert_eq!(received, Received { envelope: expected, payload: b"same".to_vec() });
    worker.stop();
}

#[test]
fn agents_tell_and_ask_each_other() {
    let (endpoint, mut port) = pair(16);
    let worker = Running::start(endpoint, FIRST, || {
        let asked = Cell::new(0);
        vec![boxed(move |cx, call| {
            assert_eq!(cx.me(), FIRST);
            match call {
                Call::Command(_) => {
                    cx.tell(AgentId(1), 3, Priority::High, b"told").expect("because there is room");
                    asked.set(cx.ask(AgentId(2), 4, b"asked").expect("because there is room"));
                }
                Call::Message(message) => {
                    let Envelope { flags, correlation, sender, .. } = *message.envelope();
                    assert_eq!((flags, sender), (Flags::REPLY, AgentId(2)));
                    assert_eq!((correlation, message.payload()), (asked.get(), &b"answer"[..]));
                    cx.report("answered", serde_json::Value::Null);
                }
            }
        })]
    });
    worker.command("go");
    let told = take(&mut port);
    let Envelope { sender, receiver, feature, flags, priority, .. } = told.envelope;
    assert_eq!((sender, receiver, feature), (FIRST, AgentId(1), 3));
    assert_eq!((flags, priority, &told.payload[..]), (Flags(0), Priority::High, &b"told"[..]));
    let asked = take(&mut port);
    let Envelope { sender, receiver, feature, flags, priority, .. } = asked.envelope;
    assert_eq!((sender, receiver, feature), (FIRST, AgentId(2), 4));
    assert_eq!(
        (flags, priority, &asked.payload[..]),
        (Flags::ASK, Priority::Normal, &b"asked"[..])
    );
    let (sender, receiver) = (AgentId(2), FIRST);
    let reply = Envelope { sender, receiver, flags: Flags::REPLY, ..asked.envelope };
    port.send(&reply, b"answer").expect("because there is room");
    port.flush();
    assert_eq!(worker.report(), "answered");
    worker.stop();
}

/// An answer to a question of an earlier generation finds no question of the next one.
#[test]
fn correlation_ids_are_not_given_again_by_the_next_generation() {
    let mut last = 0;
    for _ in 0..3 {
        let (endpoint, mut port) = pair(16);
        let worker = Running::start(endpoint, FIRST, || {
            vec![boxed(|cx, _| {
                for _ in 0..8 {
                    cx.ask(AgentId(1), 0, b"").expect("because there is room");
                }
            })]
        });
        worker.command("go");
        for _ in 0..8 {
            let correlation = take(&mut port).envelope.correlation;
            assert!(correlation > last, "{correlation} came after {last}");
            last = correlation;
        }
        worker.stop();
    }
}

/// WK-1: a panic ends one agent; whoever waits for its answer is told, the others go on.
#[test]
fn a_panic_ends_one_agent() {
    let (endpoint, mut port) = pair(16);
    let worker = Running::start(endpoint, FIRST, || {
        let on_question = boxed(|_, _| panic!("this panic is part of the test"));
        let after_answer = boxed(|cx, _| {
            cx.reply(b"in time").expect("because it is the first answer");
            panic!("this panic is part of the test");
        });
        vec![on_question, echo(), after_answer]
    });
    let failed = Flags::REPLY | Flags::ERROR;
    ask(&mut port, 10, 1, b"");
    let told = take_answer(&mut port);
    assert_eq!(told.envelope, answer(10, 1, failed, b"").envelope);
    assert!(text(&told).contains("panicked"));
    ask(&mut port, 10, 2, b"");
    let told = take_answer(&mut port);
    assert_eq!(told.envelope, answer(10, 2, failed, b"").envelope);
    assert!(text(&told).contains("not running"));
    // One that answered first is not answered for again.
    ask(&mut port, 12, 3, b"");
    assert_eq!(take_answer(&mut port), answer(12, 3, Flags::REPLY, b"in time"));
    ask(&mut port, 11, 4, b"echo");
    assert_eq!(take_answer(&mut port), answer(11, 4, Flags::REPLY, b"echo"));
    let expected = WorkerTotals { handled: 3, undeliverable: 1, malformed: 0, panicked: 2 };
    assert_eq!(worker.stop(), expected);
    assert_eq!(try_take(&mut port), None);
}

#[test]
fn a_panic_over_a_command_ends_one_agent() {
    let (endpoint, mut port) = pair(16);
    let worker = Running::start(endpoint, FIRST, || {
        let fragile = boxed(|_, _| panic!("this panic is part of the test"));
        let sturdy = boxed(|cx, _| cx.report("obeyed", serde_json::Value::Null));
        vec![fragile, sturdy]
    });
    for _ in 0..2 {
        worker.command("go");
        assert_eq!(worker.report(), "obeyed");
    }
    assert_eq!(worker.stop(), WorkerTotals { panicked: 1, ..WorkerTotals::default() });
    assert_eq!(try_take(&mut port), None, "nobody had asked");
}

/// WK-3: who asks an agent that is not here gets an error, who tells it something does not.
#[test]
fn agents_that_are_not_here_are_answered_for() {
    let (endpoint, mut port) = pair(16);
    let worker = Running::start(endpoint, FIRST, || vec![echo()]);
    for receiver in [9, 11, 0, u32::MAX] {
        let (sender, receiver) = (AgentId(1), AgentId(receiver));
        let told = Envelope { sender, receiver, ..Envelope::default() };
        port.send(&told, b"").expect("because there is room");
        // An error is not answered with an error, or two workers could do so for ever.
        let flags = Flags::REPLY | Flags::ERROR;
        port.send(&Envelope { flags, ..told }, b"").expect("because there is room");
        ask(&mut port, receiver.0, 5, b"");
        let error = take_answer(&mut port);
        assert_eq!(error.envelope, answer(receiver.0, 5, flags, b"").envelope);
        assert!(text(&error).contains("not running"));
    }
    let expected = WorkerTotals { undeliverable: 12, ..WorkerTotals::default() };
    assert_eq!(worker.stop(), expected);
    assert_eq!(try_take(&mut port), None);
}

#[test]
fn only_questions_are_answered_and_only_once() {
    let (endpoint, mut port) = pair(16);
    let worker = Running::start(endpoint, FIRST, || {
        vec![boxed(|cx, call| {
            let Call::Message(message) = call else { return };
            let is_asked = message.envelope().flags == Flags::ASK;
            // Too long is no answer yet: the question stays open.
            let too_long = TellError::TooLong { bytes: 81, max: 80 };
            let refused = if is_asked { too_long } else { TellError::NotAsked };
            assert_eq!(cx.reply(&[0; 81]), Err(refused));
            let outcome = cx.reply_error(&"é".repeat(100));
            assert_eq!(outcome, if is_asked { Ok(()) } else { Err(TellError::NotAsked) });
            assert_eq!(cx.reply(b"again"), Err(TellError::NotAsked));
            cx.report("checked", serde_json::Value::Null);
        })]
    });
    let told = Envelope { sender: AgentId(1), receiver: FIRST, ..Envelope::default() };
    port.send(&told, b"").expect("because there is room");
    ask(&mut port, 10, 1, b"");
    assert_eq!((worker.report(), worker.report()), ("checked".into(), "checked".into()));
    // Cut to what a lane carries, at a whole character.
    assert_eq!(text(&take_answer(&mut port)), "é".repeat(40));
    assert_eq!(worker.stop().panicked, 0);
    assert_eq!(try_take(&mut port), None);
}

#[test]
fn commands_reach_every_agent_of_a_sleeping_worker() {
    let (endpoint, _port) = pair(16);
    let worker = Running::start(endpoint, FIRST, || {
        let obey = |cx: &mut Context<'_>, call: Call<'_>| {
            if let Call::Command(command) = call {
                let name = format!("{} {}", cx.me().0, command.name);
                cx.report(&name, command.body.clone());
            }
        };
        vec![boxed(obey), boxed(obey), boxed(obey)]
    });
    for round in 0..100 {
        worker.command(&round.to_string());
        for agent in 10..13 {
            assert_eq!(worker.report(), format!("{agent} {round}"));
        }
    }
    assert_eq!(worker.stop(), WorkerTotals::default());
}

/// What an agent sent in the worker's last turn wakes the router as well.
#[test]
fn a_stop_ends_a_sleeping_worker_and_rings_for_its_last_words() {
    const SLEEP: usize = 0;
    let shape = LaneShape::new(4, 2).expect("because the shape is valid");
    let (client, node) = pairing::sides(shape, 1);
    let (give, handle) = mpsc::channel::<WorkerHandle>();
    let worker = Running::start(pairing::endpoint(&client, shape, 1), FIRST, || {
        vec![boxed(move |cx, _| {
            cx.tell(AgentId(1), 0, Priority::Low, b"last").expect("because there is room");
            handle.recv().expect("because the test sends it").stop();
        })]
    });
    give.send(worker.handle.clone()).expect("because the agent lives");
    let (handle, body) = (worker.handle.clone(), serde_json::Value::Null);
    thread::scope(|scope| {
        scope.spawn(|| {
            while client.peer.load_acquire(SLEEP).is_multiple_of(2) {
                thread::yield_now();
            }
            handle.command(Command { name: "go".to_owned(), body });
        });
        let mut port = pairing::port(&node, shape, 0);
        assert_eq!(take(&mut port).payload, b"last");
    });
    assert_eq!(worker.stop(), WorkerTotals::default());
}

#[test]
fn what_is_no_message_is_counted_and_passed_over() {
    let (endpoint, mut port) = pair(16);
    let worker = Running::start(endpoint, FIRST, || vec![echo()]);
    port.forward(Priority::Normal, &[1], 8).expect("because there is room");
    ask(&mut port, 10, 1, b"echo");
    assert_eq!(take_answer(&mut port), answer(10, 1, Flags::REPLY, b"echo"));
    assert_eq!(worker.stop(), WorkerTotals { handled: 1, malformed: 1, ..Default::default() });
}

/// A node that writes nonsense ends the worker with an error that says so.
#[test]
fn a_broken_node_ends_the_worker() {
    const LANES: usize = 512 / 8;
    const CURSORS: usize = 128 / 8;
    let shape = LaneShape::new(2, 2).expect("because the shape is valid");
    let (client, node) = pairing::sides(shape, 1);
    let worker = Running::start(pairing::endpoint(&client, shape, 1), FIRST, || vec![echo()]);
    node.own.store_release(LANES, 121 << 32 | 1);
    worker.command("look");
    let ended = worker.end().expect_err("because a slot has 120 bytes");
    let WorkerError::Receive(ReceiveError::Peer(error)) = ended else { panic!("{ended}") };
    assert_eq!(error, PeekError::CorruptLength { position: 0, length: 121, max: 120 });

    let (client, node) = pairing::sides(shape, 1);
    let worker = Running::start(pairing::endpoint(&client, shape, 1), FIRST, || {
        vec![boxed(|cx, _| {
            for _ in 0..3 {
                cx.tell(AgentId(1), 0, Priority::High, b"").expect("because it can be queued");
            }
        })]
    });
    node.own.store_release(CURSORS, 9);
    worker.command("go");
    let ended = worker.end().expect_err("because nobody can have released nine records");
    let WorkerError::Send(SendError::Peer(error)) = ended else { panic!("{ended}") };
    assert_eq!(error, ClaimError::CorruptHead { head: 9, low: 0, high: 2 });
}
