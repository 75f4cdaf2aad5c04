//! What a queue between processes must offer to be measured.
//!
//! Each end is opened in its own process; a [`Meeting`] says how they find each other. A queue that
//! carries messages, payloads in place and wake-ups implements several of these traits.

use std::error::Error;

use crate::{
    bulk_peer::{BulkReceiver, BulkSender},
    fanout_peer::FanoutMessage,
    peer::{Receiver, Sender, SleepingReceiver, SleepingSender},
    process::{Attendant, Meeting},
};

/// An end, or why there is none.
pub type Opened<T> = Result<T, Box<dyn Error>>;

/// A queue of messages of 64 bytes between processes, one to one or one to each.
///
/// Nothing is lost: a sending end that has no room says so, or waits.
pub trait ProcessPeer: 'static {
    /// Name in the tables.
    const NAME: &'static str;
    /// Whether it has batches of its own: if not, it has no row in the batch workloads.
    const HAS_BATCHES: bool = false;
    /// Whether one sender serves receivers in many processes, each of which gets everything.
    const FANS_OUT: bool = false;
    /// Whether a process can have very many receivers, so that their price for the sender is
    /// measured; then the sender has room for all that a receiver may lag behind.
    const HAS_CURSORS: bool = false;
    /// Whether it is measured within one process, too, over the same kind of memory.
    const IN_ONE_PROCESS: bool = false;
    /// Whether threads that are no ends work for it; then the ends cannot have CPUs of their own.
    const HAS_THREADS_BESIDE: bool = false;
    /// Whether [`attend`](Self::attend) has to run beside the ends.
    const IS_ATTENDED: bool = false;

    /// The sending end.
    type Sender: Sender<FanoutMessage>;
    /// A receiving end.
    type Receiver: Receiver<FanoutMessage>;

    /// Whether it can run here; if not, a sentence that says what is missing.
    ///
    /// # Errors
    /// What is missing.
    fn probe() -> Result<(), String> {
        Ok(())
    }

    /// Starts what has to run beside the ends, in a process of its own, before they are opened.
    ///
    /// # Errors
    /// Whatever kept it from starting.
    fn attend(_meeting: &Meeting) -> Opened<Attendant> {
        Ok(Attendant::Nobody)
    }

    /// Opens the sending end.
    ///
    /// # Errors
    /// Whatever kept it from opening.
    fn sender(meeting: &Meeting) -> Opened<Self::Sender>;

    /// Opens the receiving ends of this process: as many as [`Meeting::receivers`] says.
    ///
    /// # Errors
    /// Whatever kept them from opening.
    fn receivers(meeting: &Meeting) -> Opened<Vec<Self::Receiver>>;
}

/// A hand-over of large payloads between processes, one to one, written and read where they lie.
pub trait ProcessBulkPeer: 'static {
    /// Name in the tables.
    const NAME: &'static str;
    /// As in [`ProcessPeer`].
    const HAS_THREADS_BESIDE: bool = false;
    /// As in [`ProcessPeer`].
    const IS_ATTENDED: bool = false;

    /// The sending end.
    type Sender: BulkSender;
    /// The receiving end.
    type Receiver: BulkReceiver;

    /// Whether it can run here; if not, a sentence that says what is missing.
    ///
    /// # Errors
    /// What is missing.
    fn probe() -> Result<(), String> {
        Ok(())
    }

    /// As in [`ProcessPeer`].
    ///
    /// # Errors
    /// Whatever kept it from starting.
    fn attend(_meeting: &Meeting) -> Opened<Attendant> {
        Ok(Attendant::Nobody)
    }

    /// Opens the sending end, for [`Meeting::capacity`] payloads of [`Meeting::payload_bytes`].
    ///
    /// # Errors
    /// Whatever kept it from opening.
    fn sender(meeting: &Meeting) -> Opened<Self::Sender>;

    /// Opens the receiving end.
    ///
    /// # Errors
    /// Whatever kept it from opening.
    fn receiver(meeting: &Meeting) -> Opened<Self::Receiver>;
}

/// A one-to-one queue between processes whose ends sleep as soon as they can, without spinning.
pub trait ProcessSleepingPeer: 'static {
    /// Name in the tables.
    const NAME: &'static str;
    /// As in [`ProcessPeer`].
    const HAS_THREADS_BESIDE: bool = false;
    /// As in [`ProcessPeer`].
    const IS_ATTENDED: bool = false;

    /// The sending end.
    type Sender: SleepingSender;
    /// The receiving end.
    type Receiver: SleepingReceiver;

    /// Whether it can run here; if not, a sentence that says what is missing.
    ///
    /// # Errors
    /// What is missing.
    fn probe() -> Result<(), String> {
        Ok(())
    }

    /// As in [`ProcessPeer`].
    ///
    /// # Errors
    /// Whatever kept it from starting.
    fn attend(_meeting: &Meeting) -> Opened<Attendant> {
        Ok(Attendant::Nobody)
    }

    /// Opens the sending end, with room for a few numbers.
    ///
    /// # Errors
    /// Whatever kept it from opening.
    fn sender(meeting: &Meeting) -> Opened<Self::Sender>;

    /// Opens the receiving end.
    ///
    /// # Errors
    /// Whatever kept it from opening.
    fn receiver(meeting: &Meeting) -> Opened<Self::Receiver>;
}
