//! Workers and askers over real lanes: with the test at the router's end, and with a router.
//!
//! A lost wake-up makes these tests hang: nobody here wakes up by himself within an hour, except a
//! worker whose lanes are full.

#[path = "../../../corelane-transport/tests/pairing/mod.rs"]
mod pairing;

mod asker;
mod death;
mod deferred;
mod full;
mod worker;

use std::{sync::mpsc, thread, time::Duration};

use corelane_agent::{Agent, Command, Context, Worker, WorkerError, WorkerHandle, WorkerTotals};
use corelane_transport::{
    AgentId, Endpoint, Envelope, Flags, HEADER_BYTES, HEADER_WORDS, LaneShape, Message, Port,
    Priority, RECORD_WORDS_MAX, WaitPolicy, sleep,
};

const HOUR: Duration = Duration::from_secs(3600);
/// Sleeps as soon as there is nothing to do, and wakes only when woken.
const SLEEPY: WaitPolicy =
    WaitPolicy { spins: 0, yields: 0, sleep_max: HOUR, ..WaitPolicy::SHARED };

/// What an agent of these tests is called for.
enum Call<'a> {
    Message(&'a Message),
    Command(&'a Command),
}

/// An agent that is a function.
struct Acts<F>(F);

impl<F: FnMut(&mut Context<'_>, Call<'_>)> Agent for Acts<F> {
    fn on_message(&mut self, cx: &mut Context<'_>, message: &Message) {
        (self.0)(cx, Call::Message(message));
    }

    fn on_command(&mut self, cx: &mut Context<'_>, command: &Command) {
        (self.0)(cx, Call::Command(command));
    }
}

/// An agent that answers questions with their own payload.
fn echo() -> Box<dyn Agent> {
    Box::new(Acts(|cx: &mut Context<'_>, call: Call<'_>| {
        if let Call::Message(message) = call {
            cx.reply(message.payload()).expect("because the message is a question");
        }
    }))
}

/// A worker on a thread of its own.
struct Running {
    handle: WorkerHandle,
    thread: thread::JoinHandle<Result<WorkerTotals, WorkerError>>,
    reports: mpsc::Receiver<Command>,
}

impl Running {
    fn start(
        endpoint: Endpoint,
        first: AgentId,
        agents: impl FnOnce() -> Vec<Box<dyn Agent>> + Send + 'static,
    ) -> Self {
        let (report, reports) = mpsc::channel();
        let (started, handle) = mpsc::channel();
        let thread = thread::spawn(move || {
            let reporter = move |command| {
                // The test may not care.
                let _ = report.send(command);
            };
            let worker = Worker::new(endpoint, first, agents(), Box::new(reporter)).unwrap();
            started.send(worker.handle()).expect("because the test waits for it");
            worker.run(SLEEPY)
        });
        let handle = handle.recv().expect("because the thread sends it first");
        Self { handle, thread, reports }
    }

    fn command(&self, name: &str) {
        self.handle.command(Command { name: name.to_owned(), body: serde_json::Value::Null });
    }

    /// The next report, as its name.
    fn report(&self) -> String {
        self.reports.recv().expect("because the worker runs").name
    }

    fn stop(self) -> WorkerTotals {
        self.handle.stop();
        self.end().expect("because its lanes are good")
    }

    /// Waits for an end that comes by itself.
    fn end(self) -> Result<WorkerTotals, WorkerError> {
        self.thread.join().expect("because panics of agents are caught")
    }
}

/// A client and the router's end of its lanes, for the test to play the router.
fn pair(slots: usize) -> (Endpoint, Port) {
    let shape = LaneShape::new(slots, 2).expect("because the shape is valid");
    let (client, node) = pairing::sides(shape, 1);
    (pairing::endpoint(&client, shape, 1), pairing::port(&node, shape, 0))
}

/// A message as the test receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Received {
    envelope: Envelope,
    payload: Vec<u8>,
}

/// Takes what is in the client's lane out, the most urgent first.
fn try_take(port: &mut Port) -> Option<Received> {
    for priority in Priority::ALL {
        let record = port.peek(priority).expect("because the client is honest");
        let Some(record) = record else { continue };
        let mut words = [0; RECORD_WORDS_MAX];
        let length = record.length_bytes() as usize;
        record.read(0, &mut words[..length.div_ceil(8)]);
        record.consume();
        let header = words.first_chunk::<HEADER_WORDS>().expect("because it has more words");
        let envelope = Envelope::decode(header, length as u32).expect("because it was encoded");
        let payload = words[HEADER_WORDS..].iter().flat_map(|word| word.to_le_bytes());
        let payload = payload.take(length - HEADER_BYTES).collect();
        return Some(Received { envelope, payload });
    }
    None
}

/// The same, after sleeping for it if need be.
fn take(port: &mut Port) -> Received {
    loop {
        if let Some(received) = try_take(port) {
            return received;
        }
        port.flush();
        // tidy: sleep because it ends with the bell, not with time
        sleep(&mut [port], None, HOUR).expect("because the kernel can wait");
    }
}

fn ask(port: &mut Port, receiver: u32, correlation: u64, payload: &[u8]) {
    let (sender, receiver) = (AgentId(1), AgentId(receiver));
    let flags = Flags::ASK;
    let envelope = Envelope { sender, receiver, correlation, flags, ..Envelope::default() };
    port.send(&envelope, payload).expect("because there is room");
    port.flush();
}
