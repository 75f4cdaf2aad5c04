//! The waiting calls of the SPSC ring: without and with a time limit, and as futures.
//!
//! The futures know no executor: they leave a waker and are woken through it. Each end has one
//! waiting call at a time, because the call borrows the end.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use super::{Consumer, Producer};
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::wait::{Clock, Wait};

impl<T: Send, W: Wait> Producer<T, W> {
    /// Sends one message, waiting for room as long as it takes. May park.
    ///
    /// # Errors
    /// - [`SendError`]: the consumer is gone; the message comes back.
    pub fn send(&mut self, message: T) -> Result<(), SendError<T>> {
        if self.room_cached() == 0 && self.refresh() == 0 {
            self.wait_for_room();
        }
        self.try_send(message).map_err(|error| SendError(error.into_inner()))
    }

    /// Sends one message, waiting for room for at most `timeout`. May park.
    ///
    /// # Errors
    /// - [`TrySendError::Full`]: there still was no room when the time was up.
    /// - [`TrySendError::Closed`]: the consumer is gone.
    ///
    /// The message comes back with either.
    pub fn send_timeout(&mut self, message: T, timeout: Duration) -> Result<(), TrySendError<T>>
    where
        W: Clock,
    {
        let mut unsent = match self.try_send(message) {
            Err(TrySendError::Full(message)) => Some(message),
            done => return done,
        };
        let shared = self.shared.clone();
        shared.room.forget(&mut self.ticket);
        let done = shared.room.wait_until_timeout(|| self.send_kept(&mut unsent), timeout);
        match (done, unsent) {
            (Some(sent), _) => sent.map_err(|error| TrySendError::Closed(error.0)),
            (None, Some(message)) => Err(TrySendError::Full(message)),
            (None, None) => unreachable!("a message that was sent is an answer"),
        }
    }

    /// Sends one message as a future that waits for room.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has sent nothing; its message is dropped with
    /// it. Nothing else is lost. With a strategy that never sleeps, the future asks to be polled
    /// again at once instead of being woken.
    pub fn send_async(&mut self, message: T) -> SendFuture<'_, T, W> {
        SendFuture { ring: self, unsent: Some(message) }
    }

    /// The strategy by which this end waits for room.
    pub fn wait(&self) -> &W {
        self.shared.room.wait()
    }

    /// Waits until there is room or the consumer is gone.
    #[cold]
    fn wait_for_room(&mut self) {
        let shared = self.shared.clone();
        // Of a future that was leaked: it must not be woken in this call's place.
        shared.room.forget(&mut self.ticket);
        shared.room.wait_until(|| (self.refresh() > 0 || self.is_closed()).then_some(()));
    }

    /// Sends the message if there is room; `None` leaves it where it is.
    fn send_kept(&mut self, unsent: &mut Option<T>) -> Option<Result<(), SendError<T>>> {
        match self.try_send(unsent.take()?) {
            Ok(()) => Some(Ok(())),
            Err(TrySendError::Closed(message)) => Some(Err(SendError(message))),
            Err(TrySendError::Full(message)) => {
                *unsent = Some(message);
                None
            }
        }
    }
}

/// Sends one message; made by [`Producer::send_async`].
///
/// # Cancel safety
/// Dropped before it is ready, it has sent nothing, and drops its message.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct SendFuture<'a, T: Send, W: Wait> {
    ring: &'a mut Producer<T, W>,
    unsent: Option<T>,
}

// The message is moved into the ring and never pinned.
impl<T: Send, W: Wait> Unpin for SendFuture<'_, T, W> {}

impl<T: Send, W: Wait> Future for SendFuture<'_, T, W> {
    type Output = Result<(), SendError<T>>;

    /// # Panics
    /// When it was ready before.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { ring, unsent } = self.get_mut();
        assert!(unsent.is_some(), "the future is polled after it was ready");
        if !ring.ticket.is_issued()
            && let Some(sent) = ring.send_kept(unsent)
        {
            return Poll::Ready(sent);
        }
        let shared = ring.shared.clone();
        let mut ticket = core::mem::take(&mut ring.ticket);
        let sent = shared.room.poll_until(&mut ticket, cx, || ring.send_kept(unsent));
        ring.ticket = ticket;
        sent
    }
}

impl<T: Send, W: Wait> Drop for SendFuture<'_, T, W> {
    fn drop(&mut self) {
        self.ring.shared.room.forget(&mut self.ring.ticket);
    }
}

impl<T: Send, W: Wait> Consumer<T, W> {
    /// Takes the next message, waiting for one as long as it takes. May park.
    ///
    /// # Errors
    /// - [`RecvError`]: the producer is gone and every message was received.
    pub fn recv(&mut self) -> Result<T, RecvError> {
        loop {
            match self.try_recv() {
                Ok(message) => return Ok(message),
                Err(TryRecvError::Closed) => return Err(RecvError),
                Err(TryRecvError::Empty) => self.wait_for_message(),
            }
        }
    }

    /// Takes the next message, waiting for one for at most `timeout`. May park.
    ///
    /// # Errors
    /// - [`TryRecvError::Empty`]: there still was none when the time was up.
    /// - [`TryRecvError::Closed`]: the producer is gone and every message was received.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, TryRecvError>
    where
        W: Clock,
    {
        if let Some(received) = self.recv_now() {
            return received.map_err(|RecvError| TryRecvError::Closed);
        }
        let shared = self.shared.clone();
        shared.messages.forget(&mut self.ticket);
        let received = shared.messages.wait_until_timeout(|| self.recv_now(), timeout);
        received.map_or(Err(TryRecvError::Empty), |received| {
            received.map_err(|RecvError| TryRecvError::Closed)
        })
    }

    /// Takes the next message as a future that waits for one.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has taken nothing: the message is there for the
    /// next call. With a strategy that never sleeps, the future asks to be polled again at once
    /// instead of being woken.
    pub fn recv_async(&mut self) -> RecvFuture<'_, T, W> {
        RecvFuture { ring: self }
    }

    /// The strategy by which this end waits for messages.
    pub fn wait(&self) -> &W {
        self.shared.messages.wait()
    }

    #[cold]
    fn wait_for_message(&mut self) {
        let shared = self.shared.clone();
        // Of a future that was leaked: it must not be woken in this call's place.
        shared.messages.forget(&mut self.ticket);
        shared.messages.wait_until(|| (self.refresh() > 0 || self.is_closed()).then_some(()));
    }

    /// The message or the end, if either is there.
    fn recv_now(&mut self) -> Option<Result<T, RecvError>> {
        match self.try_recv() {
            Ok(message) => Some(Ok(message)),
            Err(TryRecvError::Closed) => Some(Err(RecvError)),
            Err(TryRecvError::Empty) => None,
        }
    }
}

/// Takes the next message; made by [`Consumer::recv_async`].
///
/// # Cancel safety
/// Dropped before it is ready, it has taken nothing.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct RecvFuture<'a, T: Send, W: Wait> {
    ring: &'a mut Consumer<T, W>,
}

impl<T: Send, W: Wait> Future for RecvFuture<'_, T, W> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ring = &mut *self.get_mut().ring;
        if !ring.ticket.is_issued()
            && let Some(received) = ring.recv_now()
        {
            return Poll::Ready(received);
        }
        let shared = ring.shared.clone();
        let mut ticket = core::mem::take(&mut ring.ticket);
        let received = shared.messages.poll_until(&mut ticket, cx, || ring.recv_now());
        ring.ticket = ticket;
        received
    }
}

impl<T: Send, W: Wait> Drop for RecvFuture<'_, T, W> {
    fn drop(&mut self) {
        self.ring.shared.messages.forget(&mut self.ring.ticket);
    }
}
