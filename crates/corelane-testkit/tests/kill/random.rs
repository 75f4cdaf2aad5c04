//! Deaths at random moments of a process that sends and receives at full speed.

use std::time::Duration;

use corelane_shm::{WordsRo, WordsRw};
use corelane_testkit::kill::{Killing, Moment, Stage, Verdict, check};
use corelane_transport::{Port, Priority, sleep};

use super::port::{SLOTS, client, node, send, take};
use super::{RECEIVED, RETURNED, assert_nothing_held, own};

/// What the gate does; `ci/kills` does 10,000.
const ROUNDS: u64 = 300;
/// Turns between two batches that are ended.
const BATCH: u64 = 16;
/// A side with nothing to do looks again after this, if nobody rings.
const NAP: Duration = Duration::from_micros(200);

/// One side of the duplex: how many it has sent and received.
struct Side {
    port: Port,
    sent: u64,
    received: u64,
    turns: u64,
}

impl Side {
    fn new(port: Port) -> Self {
        Self { port, sent: 0, received: 0, turns: 0 }
    }

    /// Sends one, receives one; what was done.
    fn turn(&mut self) -> Result<(bool, bool), String> {
        let is_sent = send(&mut self.port, self.sent, Priority::Normal).is_ok();
        self.sent += u64::from(is_sent);
        let is_received = take(&mut self.port, self.received, Priority::Normal)?;
        self.received += u64::from(is_received);
        self.turns += 1;
        let is_idle = !is_sent && !is_received;
        if is_idle || self.turns.is_multiple_of(BATCH) {
            self.port.flush();
        }
        if is_idle {
            // tidy: sleep because it ends with the bell, and the time is for the death of the peer
            sleep(&mut [&mut self.port], None, NAP).map_err(|error| error.to_string())?;
        }
        Ok((is_sent, is_received))
    }
}

/// In the child: until it is killed.
fn flood(stage: &Stage, test: &str) {
    let (own, port) = client(stage, test);
    let mut side = Side::new(port);
    loop {
        let turn = side.turn();
        // What it found broken is told by its death, which then comes from itself.
        turn.expect("the survivor's records are whole and in order");
        own.store_release(RETURNED, side.sent);
        own.store_release(RECEIVED, side.received);
    }
}

struct Survivor {
    side: Side,
    dead: WordsRo,
    _own: WordsRw,
    outcome: Verdict,
}

impl Survivor {
    fn live(&mut self, moment: &mut Moment<'_>) {
        while self.outcome.is_ok() && !moment.is_due() {
            match self.side.turn() {
                Ok((_, true)) => moment.record(),
                Ok(_) => {}
                Err(what) => self.outcome = Err(what),
            }
        }
    }

    /// Every record whose commit returned came, in order, once and whole; what the dead took with
    /// it is bounded.
    fn judge(mut self) -> Verdict {
        self.outcome?;
        while take(&mut self.side.port, self.side.received, Priority::Normal)? {
            self.side.received += 1;
        }
        let (returned, received) = (self.dead.load_acquire(RETURNED), self.side.received);
        check(received == returned || received == returned + 1, || {
            format!("{returned} sends had returned, {received} records came")
        })?;
        let (sent, taken) = (self.side.sent, self.dead.load_acquire(RECEIVED));
        let lost = self.side.port.undelivered();
        check(taken <= sent && lost <= SLOTS as u64, || {
            format!("of {sent} the dead had {taken}, and {lost} are said to be lost")
        })?;
        // One more may have been received than counted.
        check(sent - lost <= taken + 1, || {
            format!("{} were given back, {taken} were received", sent - lost)
        })?;
        self.side.port.flush();
        Ok(())
    }
}

#[test]
fn a_process_dies_at_a_random_moment_and_the_next_takes_over() {
    const TEST: &str = "random::a_process_dies_at_a_random_moment_and_the_next_takes_over";
    let recovery = Killing::of(TEST).at_random(
        ROUNDS,
        |stage| flood(stage, TEST),
        |meeting| {
            let (dead, _own, port) = node(&meeting, TEST);
            Survivor { side: Side::new(port), dead: own(&dead), _own, outcome: Ok(()) }
        },
        Survivor::live,
        Survivor::judge,
    );
    if let Some(recovery) = recovery {
        println!("{recovery}\n{}", recovery.json());
        assert!(recovery.count() > 0, "no generation received anything");
    }
    assert_nothing_held(TEST);
}
