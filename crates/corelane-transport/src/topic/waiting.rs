//! How a subscriber waits: it looks, then sleeps on the tails of all its publishers.

use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use corelane_ring::broadcast::TAIL;
use corelane_shm::futex;

use crate::strategy::SharedBarrier;
use crate::wait::SLEEP_MAX;

use super::connection::Connection;
use super::error::ReceiveError;
use super::group::{FALLS_ASLEEP, SLEEPERS};
use super::subscriber::RawSubscriber;

impl RawSubscriber {
    /// Waits until a message is there, or something is to be told, or `timeout` has passed; true
    /// when it is worth another look. May park.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Result<bool, ReceiveError> {
        let started = Instant::now();
        for _ in 0..self.options.spins {
            if self.has_something() {
                return Ok(true);
            }
            std::hint::spin_loop();
        }
        loop {
            let seen = self.hub.news.bell.now();
            if self.has_something() {
                return Ok(true);
            }
            let left = timeout.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            self.sleep(seen, left.min(SLEEP_MAX))?;
        }
    }

    pub(super) fn has_something(&mut self) -> bool {
        self.hub.news.version() != self.version
            || self.connections.iter_mut().any(Connection::has_something)
    }

    /// Sleeps once, unless something is there.
    fn sleep(&mut self, seen: u64, timeout: Duration) -> Result<(), ReceiveError> {
        let tails: Vec<u64> =
            self.connections.iter().map(|link| link.link.data.load_relaxed(TAIL)).collect();
        for connection in &self.connections {
            let sleepers = &connection.link.group.as_atomics()[SLEEPERS];
            sleepers.fetch_add(FALLS_ASLEEP, Ordering::Relaxed);
        }
        // Pairs with the barrier of a publisher between its tail and its look for sleepers; one
        // that was told to pay for itself needs no other.
        if self.hub.is_fenced {
            fence(Ordering::SeqCst)
        } else {
            SharedBarrier::of_sleeper()
        }
        let result = if self.has_something() {
            Ok(())
        } else {
            let waiters: Vec<_> = self
                .connections
                .iter()
                .zip(&tails)
                .map(|(connection, &tail)| futex::Waiter {
                    words: &connection.link.data,
                    index: TAIL,
                    expected: tail as u32,
                })
                .chain([self.hub.news.bell.waiter(seen)])
                .collect();
            futex::wait_any(&waiters, Some(timeout)).map(|_| ())
        };
        for connection in &self.connections {
            connection.link.group.as_atomics()[SLEEPERS].fetch_sub(1, Ordering::Relaxed);
        }
        Ok(result?)
    }
}
