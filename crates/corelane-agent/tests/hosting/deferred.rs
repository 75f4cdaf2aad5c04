//! Questions that are answered later, by an agent that another thread wakes.

use std::{collections::VecDeque, sync::mpsc, thread};

use corelane_agent::{Agent, Context, Deferred, TellError};
use corelane_transport::{AgentId, Flags, Message};

use super::{Running, ask, pair, take};

/// Has its questions answered by a thread that waits for a word of the test.
struct Defers {
    go: Option<mpsc::Receiver<()>>,
    questions: VecDeque<(Deferred, Vec<u8>)>,
}

impl Agent for Defers {
    fn on_message(&mut self, cx: &mut Context<'_>, message: &Message) {
        let question = cx.defer().expect("because it is a question");
        assert!(matches!(cx.defer(), Err(TellError::NotAsked)));
        assert_eq!(cx.reply(b"too early"), Err(TellError::NotAsked));
        self.questions.push_back((question, message.payload().to_vec()));
        if let Some(go) = self.go.take() {
            let waker = cx.waker();
            thread::spawn(move || go.into_iter().for_each(|()| waker.wake()));
        }
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        assert_eq!(cx.reply(b"to nobody"), Err(TellError::NotAsked));
        let (question, payload) = self.questions.pop_front().expect("because there are two");
        cx.resume(question);
        cx.reply(&payload.to_ascii_uppercase()).expect("because it was not answered yet");
    }
}

#[test]
fn a_deferred_question_is_answered_after_the_wake_and_holds_nobody_up() {
    let (endpoint, mut port) = pair(16);
    let (go, wait) = mpsc::channel();
    let running = Running::start(endpoint, AgentId(5), move || {
        let defers = Defers { go: Some(wait), questions: VecDeque::new() };
        vec![Box::new(defers), super::echo()]
    });
    ask(&mut port, 5, 1, b"one");
    ask(&mut port, 5, 2, b"two");
    ask(&mut port, 6, 3, b"other");
    // The other agent answers although the first one waits.
    assert_eq!(take(&mut port).payload, b"other");
    for (correlation, payload) in [(1, b"ONE"), (2, b"TWO")] {
        go.send(()).expect("because the thread runs");
        let answer = take(&mut port);
        assert_eq!(answer.envelope.correlation, correlation);
        assert_eq!((answer.envelope.sender, answer.envelope.flags), (AgentId(5), Flags::REPLY));
        assert_eq!(answer.payload, payload);
    }
    assert_eq!(running.stop().panicked, 0);
}
