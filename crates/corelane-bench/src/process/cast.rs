//! All queues between processes that a program knows: the measuring process and the processes of
//! the ends have the same list, and meet by name.

use serde::{Deserialize, Serialize};

use crate::{
    harness::PassError,
    process::{
        Attendant, Meeting, Opened, ProcessBulkPeer, ProcessPeer, ProcessSleepingPeer,
        play::{self, Scene},
    },
};

/// What a queue carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Messages by value.
    Messages,
    /// Payloads in place.
    Bulk,
    /// Numbers between ends that sleep.
    Sleeping,
}

/// Does the part of an end.
type PlayFn = fn(&mut Scene<'_>) -> Result<(), PassError>;

/// What is known of a queue without its types.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) has_batches: bool,
    pub(crate) fans_out: bool,
    pub(crate) has_cursors: bool,
    pub(crate) in_one_process: bool,
    pub(crate) has_threads_beside: bool,
    pub(crate) is_attended: bool,
    pub(crate) probe: fn() -> Result<(), String>,
    pub(super) attend: fn(&Meeting) -> Opened<Attendant>,
    pub(super) play: PlayFn,
}

/// A list of queues between processes.
#[derive(Debug, Clone, Default)]
pub struct ProcessCast {
    pub(crate) entries: Vec<Entry>,
    /// Queues that this build does not have, and why.
    pub(crate) absent: Vec<(&'static str, &'static str)>,
}

impl ProcessCast {
    /// Adds a queue of messages.
    pub fn add_queue<P: ProcessPeer>(&mut self) {
        self.entries.push(Entry {
            name: P::NAME,
            kind: Kind::Messages,
            has_batches: P::HAS_BATCHES,
            fans_out: P::FANS_OUT,
            has_cursors: P::HAS_CURSORS,
            in_one_process: P::IN_ONE_PROCESS,
            has_threads_beside: P::HAS_THREADS_BESIDE,
            is_attended: P::IS_ATTENDED,
            probe: P::probe,
            attend: P::attend,
            play: play::messages::<P>,
        });
    }

    /// Adds a hand-over of large payloads.
    pub fn add_bulk<P: ProcessBulkPeer>(&mut self) {
        self.entries.push(Entry {
            name: P::NAME,
            kind: Kind::Bulk,
            has_batches: false,
            fans_out: false,
            has_cursors: false,
            in_one_process: false,
            has_threads_beside: P::HAS_THREADS_BESIDE,
            is_attended: P::IS_ATTENDED,
            probe: P::probe,
            attend: P::attend,
            play: play::payloads::<P>,
        });
    }

    /// Adds a queue whose ends sleep.
    pub fn add_sleeping<P: ProcessSleepingPeer>(&mut self) {
        self.entries.push(Entry {
            name: P::NAME,
            kind: Kind::Sleeping,
            has_batches: false,
            fans_out: false,
            has_cursors: false,
            in_one_process: false,
            has_threads_beside: P::HAS_THREADS_BESIDE,
            is_attended: P::IS_ATTENDED,
            probe: P::probe,
            attend: P::attend,
            play: play::wake_ups::<P>,
        });
    }

    /// Says that this program was built without a queue; a report tells it.
    pub fn add_absent(&mut self, name: &'static str, reason: &'static str) {
        self.absent.push((name, reason));
    }

    /// Keeps only what is wanted by name. The processes of the ends may know more.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(&str) -> bool) {
        self.entries.retain(|entry| is_wanted(entry.name));
        self.absent.retain(|(name, _)| is_wanted(name));
    }

    pub(super) fn find(&self, kind: Kind, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| (entry.kind, entry.name) == (kind, name))
    }
}
