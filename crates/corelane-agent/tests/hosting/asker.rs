//! An asker with the test as router and as everybody who is asked.

use corelane_agent::{
    Asker, AskerError,
    ask::{AskCounters, AskError},
};
use corelane_transport::{AgentId, Envelope, Flags, Port, Priority, SendError};

use super::{Received, pair, try_take};

const ME: AgentId = AgentId(1);
const FEATURE: u32 = 6;
const LONG_NS: u64 = 3_600_000_000_000;

fn asker(slots: usize, open_max: u32) -> (Asker, Port) {
    let (endpoint, port) = pair(slots);
    (Asker::new(ME, FEATURE, endpoint, open_max), port)
}

fn questions(port: &mut Port) -> Vec<Received> {
    let questions = std::iter::from_fn(|| try_take(port)).collect();
    port.flush();
    questions
}

fn reply(port: &mut Port, question: &Envelope, flags: Flags, payload: &[u8]) {
    let (sender, receiver) = (question.receiver, question.sender);
    let envelope = Envelope { sender, receiver, flags, ..*question };
    port.send(&envelope, payload).expect("because there is room");
}

/// Key and payload of the next first answer.
fn answer(asker: &mut Asker) -> Option<(u64, Vec<u8>)> {
    let answered = asker.answer().expect("because the node is honest")?;
    Some((answered.key, answered.payload.expect("because it is no error").to_vec()))
}

#[test]
fn a_question_is_sent_as_it_was_asked_and_answered_once() {
    let (mut asker, mut port) = asker(16, 8);
    for (receiver, key) in [(20, 0), (21, 1)] {
        asker.ask(AgentId(receiver), LONG_NS, key).expect("because few are open");
    }
    let payloads = [&b"zero"[..], b"one"];
    assert!(asker.pump(|key| payloads[key as usize]).expect("because there is room"));
    assert!(!asker.pump(|_| unreachable!("nothing is left to send")).expect("because"));
    let asked = questions(&mut port);
    let heads = asked.iter().map(|question| {
        let Envelope { sender, receiver, feature, flags, priority, .. } = question.envelope;
        assert_eq!((sender, feature, flags), (ME, FEATURE, Flags::ASK));
        assert_eq!(priority, Priority::Normal);
        (receiver.0, &question.payload[..])
    });
    assert!(heads.eq([(20, payloads[0]), (21, payloads[1])]));

    reply(&mut port, &asked[1].envelope, Flags::REPLY, b"answer");
    reply(&mut port, &asked[1].envelope, Flags::REPLY, b"answer again");
    reply(&mut port, &asked[0].envelope, Flags::REPLY | Flags::ERROR, b"refused");
    let answered = asker.answer().expect("because the node is honest").expect("because it came");
    assert_eq!((answered.key, answered.receiver, answered.deliveries), (1, AgentId(21), 1));
    assert_eq!(answered.payload, Ok(&b"answer"[..]));
    let answered = asker.answer().expect("because the node is honest").expect("because it came");
    assert_eq!((answered.key, answered.payload), (0, Err("refused")));
    assert!(asker.answer().expect("because the node is honest").is_none());
    assert_eq!(asker.open_count(), 0);
    let expected = AskCounters { opened: 2, answered: 2, duplicates: 1, ..AskCounters::default() };
    assert_eq!(asker.counters(), expected);
}

#[test]
fn what_is_no_answer_is_passed_over() {
    let (mut asker, mut port) = asker(16, 8);
    asker.ask(AgentId(20), LONG_NS, 3).expect("because few are open");
    asker.pump(|_| b"question").expect("because there is room");
    let question = questions(&mut port)[0].envelope;
    // A message that is no answer, an answer by somebody who was not asked, one to a question that
    // was never asked, and a record that is no message.
    reply(&mut port, &question, Flags::default(), b"");
    reply(&mut port, &Envelope { receiver: AgentId(21), ..question }, Flags::REPLY, b"forged");
    let unknown = Envelope { correlation: question.correlation + 1, ..question };
    reply(&mut port, &unknown, Flags::REPLY, b"");
    port.forward(Priority::Normal, &[1], 8).expect("because there is room");
    reply(&mut port, &question, Flags::REPLY, b"answer");
    assert_eq!(answer(&mut asker), Some((3, b"answer".to_vec())));
    assert_eq!(answer(&mut asker), None);
    assert_eq!(asker.counters().unknown, 1);
}

#[test]
fn more_questions_than_the_lanes_hold_are_sent_in_order() {
    const COUNT: u64 = 100;
    let (mut asker, mut port) = asker(4, COUNT as u32);
    for key in 0..COUNT {
        asker.ask(AgentId(20), LONG_NS, key).expect("because few are open");
    }
    let refused = asker.ask(AgentId(20), LONG_NS, COUNT);
    let too_many = AskError::TooManyOpen { limit: COUNT as u32 };
    assert!(matches!(refused, Err(AskerError::Open(error)) if error == too_many));
    let payloads: Vec<[u8; 8]> = (0..COUNT).map(u64::to_le_bytes).collect();
    let mut keys = 0..COUNT;
    while asker.open_count() > 0 {
        asker.pump(|key| &payloads[key as usize]).expect("because there is room");
        assert!(!asker.pump(|key| &payloads[key as usize]).expect("because it can wait"));
        let asked = questions(&mut port);
        assert_eq!(asked.len(), 4);
        for question in &asked {
            reply(&mut port, &question.envelope, Flags::REPLY, &question.payload);
        }
        for _ in asked {
            let key = keys.next().expect("because no more were asked");
            assert_eq!(answer(&mut asker), Some((key, key.to_le_bytes().to_vec())));
        }
        asker.endpoint().flush();
    }
    assert_eq!(keys, COUNT..COUNT);
}

#[test]
fn open_questions_are_delivered_again_and_answers_counted_once() {
    let (mut asker, mut port) = asker(4, 16);
    for key in 0..6 {
        asker.ask(AgentId(20 + key as u32 % 2), LONG_NS, key).expect("because few are open");
    }
    asker.pump(|_| b"").expect("because there is room");
    // Four were sent, and two of them to agent 20.
    let first = questions(&mut port);
    assert_eq!(asker.redeliver(|receiver| receiver == AgentId(20)), 2);
    asker.pump(|_| b"").expect("because there is room");
    let again = questions(&mut port);
    // Key 5 was never sent and goes to agent 21; keys 0, 2 and 4 to agent 20.
    let ids = |received: &[Received]| -> Vec<u64> {
        received.iter().map(|question| question.envelope.correlation).collect()
    };
    assert_eq!(ids(&again)[1..3], [ids(&first)[0], ids(&first)[2]]);
    assert_eq!(again.len(), 4);
    let mut keys = Vec::new();
    for question in first.iter().chain(&again) {
        reply(&mut port, &question.envelope, Flags::REPLY, b"");
        keys.extend(answer(&mut asker).map(|(key, _)| key));
        asker.endpoint().flush();
    }
    keys.sort_unstable();
    assert_eq!(keys, [0, 1, 2, 3, 4, 5]);
    assert_eq!((asker.counters().duplicates, asker.open_count()), (2, 0));
    assert_eq!(asker.redeliver(|_| true), 0);
}

#[test]
fn a_question_expires_and_its_answer_comes_late() {
    let (mut asker, mut port) = asker(4, 4);
    asker.ask(AgentId(20), 0, 7).expect("because few are open");
    asker.ask(AgentId(20), LONG_NS, 8).expect("because few are open");
    asker.ask(AgentId(20), 0, 9).expect("because few are open");
    asker.pump(|_| b"").expect("because there is room");
    assert_eq!(asker.expire(), [7, 9]);
    assert!(asker.expire().is_empty());
    for question in questions(&mut port) {
        reply(&mut port, &question.envelope, Flags::REPLY, b"");
    }
    assert_eq!(answer(&mut asker), Some((8, Vec::new())));
    assert_eq!(answer(&mut asker), None);
    let AskCounters { expired, late, answered, .. } = asker.counters();
    assert_eq!((expired, late, answered), (2, 2, 1));
    // One that was never sent is not sent any more either.
    asker.ask(AgentId(20), 0, 10).expect("because few are open");
    assert_eq!(asker.expire(), [10]);
    assert!(!asker.pump(|_| unreachable!("it has expired")).expect("because it is empty"));
}

#[test]
fn a_question_that_is_too_long_is_an_error() {
    let (mut asker, _port) = asker(4, 4);
    asker.ask(AgentId(20), LONG_NS, 0).expect("because few are open");
    let refused = asker.pump(|_| &[0; 81]).expect_err("because a lane carries 80 bytes");
    assert!(matches!(refused, AskerError::Send(SendError::TooLong { bytes: 81, max: 80 })));
}
