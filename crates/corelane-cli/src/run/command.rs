//! An agent that asks a command-line tool, in a thread of its own: its worker goes on meanwhile.
//!
//! One question at a time is at work, the others wait in the thread's queue, in order.

use std::{collections::VecDeque, sync::mpsc, thread};

use corelane_agent::{
    Agent, Context, Deferred, Waker,
    process::{Conversation, Tool},
};
use corelane_config::Each;
use corelane_topology::{CpuSet, pin_current_thread_to};
use corelane_transport::{Flags, Message};

use super::work::{PASS, check_length};

type Answer = Result<Vec<u8>, String>;

/// Asks one tool.
pub(super) struct CommandAgent {
    tool: Tool,
    each: Each,
    /// Where the tool may run.
    cpus: CpuSet,
    runner: Option<Runner>,
    questions: VecDeque<Deferred>,
}

/// The thread, as its agent knows it.
struct Runner {
    records: mpsc::Sender<Vec<u8>>,
    answers: mpsc::Receiver<Answer>,
}

impl CommandAgent {
    pub(super) fn new(tool: Tool, each: Each, cpus: CpuSet) -> Self {
        Self { tool, each, cpus, runner: None, questions: VecDeque::new() }
    }

    fn runner(&mut self, waker: Waker) -> Result<&Runner, String> {
        if self.runner.is_none() {
            self.runner = Some(start(self.tool.clone(), self.each, self.cpus.clone(), waker)?);
        }
        self.runner.as_ref().ok_or_else(|| "the thread of the tool is gone".to_owned())
    }

    fn hand_over(&mut self, cx: &mut Context<'_>, record: &[u8]) -> Result<(), String> {
        let runner = self.runner(cx.waker())?;
        let sent = runner.records.send(record.to_vec());
        sent.map_err(|_| "the thread of the tool is gone".to_owned())?;
        self.questions.push_back(cx.defer().map_err(|error| error.to_string())?);
        Ok(())
    }
}

impl Agent for CommandAgent {
    fn on_message(&mut self, cx: &mut Context<'_>, message: &Message) {
        if !message.envelope().flags.contains(Flags::ASK) {
            return;
        }
        if let Err(reason) = self.hand_over(cx, message.payload()) {
            // A reply of this length is never refused.
            let _ = cx.reply_error(&reason);
        }
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        while let Some(answer) = self.runner.as_ref().and_then(|one| one.answers.try_recv().ok()) {
            let Some(question) = self.questions.pop_front() else { return };
            cx.resume(question);
            let replied = answer.and_then(|mut answer| {
                check_length(answer.len(), self.tool.output_bytes_max)?;
                answer.insert(0, PASS);
                cx.reply(&answer).map_err(|error| error.to_string())
            });
            if let Err(reason) = replied {
                // A reply of this length is never refused.
                let _ = cx.reply_error(&reason);
            }
        }
    }
}

/// Starts the thread. It ends when its agent does.
fn start(tool: Tool, each: Each, cpus: CpuSet, waker: Waker) -> Result<Runner, String> {
    let (records, inbox) = mpsc::channel::<Vec<u8>>();
    let (outbox, answers) = mpsc::channel();
    let run = move || {
        // A tool is no agent and need not share the worker's core; if it must, it still works.
        let _ = pin_current_thread_to(&cpus);
        let mut conversation = Conversation::new(tool.clone());
        for record in inbox {
            let answer = match each {
                Each::Line => tool.run(&record),
                Each::Stream => conversation.ask(&record),
            };
            let answer = answer.map_err(|error| format!("{error} ({})", error.code()));
            if outbox.send(answer).is_err() {
                return;
            }
            waker.wake();
        }
    };
    let started = thread::Builder::new().name("corelane-tool".into()).spawn(run);
    started.map_err(|error| format!("thread of the tool cannot be started: {error}"))?;
    Ok(Runner { records, answers })
}
