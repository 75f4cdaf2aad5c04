//! What the ends of every typed ring that many may share have in common, so that one test or model
//! is written once and runs over each of them.

use bytemuck::Pod;

use crate::error::{CapacityError, RecvError, SendError, TryRecvError, TrySendError};
use crate::{Spin, Wait, fan_in, mpmc, mpsc, sharing};

/// The sending end of any of the rings. The models need fewer of its calls than the tests.
#[cfg_attr(loom, allow(dead_code))]
pub(crate) trait Sends<T>: Clone + Send + 'static {
    fn try_send(&mut self, message: T) -> Result<(), TrySendError<T>>;
    fn send(&mut self, message: T) -> Result<(), SendError<T>>;
    fn send_many(&mut self, messages: impl IntoIterator<Item = T>) -> usize;
    fn is_closed(&self) -> bool;
}

/// The receiving end of any of the rings.
#[cfg_attr(loom, allow(dead_code))]
pub(crate) trait Receives<T>: Send + 'static {
    fn try_recv(&mut self) -> Result<T, TryRecvError>;
    fn recv(&mut self) -> Result<T, RecvError>;
    fn recv_with(&mut self, count: usize, take: impl FnMut(T)) -> usize;
    fn recv_many(&mut self, messages: &mut Vec<T>, count: usize) -> usize;
    fn is_closed(&self) -> bool;
}

/// How a ring is made.
pub(crate) type Channel<P, C, W = Spin> = fn(usize, W) -> Result<(P, C), CapacityError>;

macro_rules! sends {
    ($end:ty, $($bound:tt)+) => {
        impl<T: $($bound)+ + Send + 'static, W: Wait + Clone> Sends<T> for $end {
            fn try_send(&mut self, message: T) -> Result<(), TrySendError<T>> {
                <$end>::try_send(self, message)
            }
            fn send(&mut self, message: T) -> Result<(), SendError<T>> {
                <$end>::send(self, message)
            }
            fn send_many(&mut self, messages: impl IntoIterator<Item = T>) -> usize {
                <$end>::send_many(self, messages)
            }
            fn is_closed(&self) -> bool {
                <$end>::is_closed(self)
            }
        }
    };
}

macro_rules! receives {
    ($end:ty, $($bound:tt)+) => {
        impl<T: $($bound)+ + Send + 'static, W: Wait + Clone> Receives<T> for $end {
            fn try_recv(&mut self) -> Result<T, TryRecvError> {
                <$end>::try_recv(self)
            }
            fn recv(&mut self) -> Result<T, RecvError> {
                <$end>::recv(self)
            }
            fn recv_with(&mut self, count: usize, take: impl FnMut(T)) -> usize {
                <$end>::recv_with(self, count, take)
            }
            fn recv_many(&mut self, messages: &mut Vec<T>, count: usize) -> usize {
                <$end>::recv_many(self, messages, count)
            }
            fn is_closed(&self) -> bool {
                <$end>::is_closed(self)
            }
        }
    };
}

// The producer of `mpsc` and `mpmc` is the same.
sends!(mpmc::Producer<T, W>, Sized);
sends!(fan_in::Producer<T, W>, Sized);
sends!(sharing::Producer<T, W>, Pod);
receives!(mpsc::Consumer<T, W>, Sized);
receives!(mpmc::Consumer<T, W>, Sized);
receives!(fan_in::Consumer<T, W>, Sized);
receives!(sharing::Consumer<T, W>, Pod);

/// Makes a test of every function for every ring named: `for_each_ring!([mpsc, mpmc] one, two)`.
#[cfg(not(loom))]
macro_rules! for_each_ring {
    ([$($ring:ident),+] $test:ident) => {
        mod $test {
            $(
                #[test]
                fn $ring() {
                    super::$test(crate::$ring::channel);
                }
            )+
        }
    };
    ([$($ring:ident),+] $test:ident, $($more:ident),+ $(,)?) => {
        for_each_ring!([$($ring),+] $test);
        for_each_ring!([$($ring),+] $($more),+);
    };
}
#[cfg(not(loom))]
pub(crate) use for_each_ring;

/// Runs a model through every interleaving of at most `preemptions` preemptions; the environment
/// variable `LOOM_MAX_PREEMPTIONS` sets another limit.
#[cfg(loom)]
pub(crate) fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(model);
}

/// Waits for the end of a model's thread.
#[cfg(loom)]
pub(crate) fn join<T>(thread: loom::thread::JoinHandle<T>) -> T {
    thread.join().expect("because no thread of a model panics")
}

/// What is there at `looks` looks: models that wait for messages have too many interleavings.
#[cfg(loom)]
pub(crate) fn receive<T>(consumer: &mut impl Receives<T>, looks: usize) -> Vec<T> {
    (0..looks).filter_map(|_| consumer.try_recv().ok()).collect()
}

/// What is left when nobody sends any more.
#[cfg(loom)]
pub(crate) fn receive_rest<T>(consumer: &mut impl Receives<T>) -> Vec<T> {
    core::iter::from_fn(|| consumer.try_recv().ok()).collect()
}
