//! What a broadcast must offer to be measured with thousands of cursors.

use crate::peer::{Message, Receiver, Sender};

/// What fan-out sends: 64 bytes.
pub type FanoutMessage = Message<8>;

/// A kind of broadcast: one publisher, a live cursor for each subscriber, nothing is lost.
pub trait FanoutPeer: 'static {
    /// Name in the tables.
    const NAME: &'static str;
    /// The publisher.
    type Publisher: Sender<FanoutMessage> + Send + 'static;
    /// The place of one subscriber.
    type Cursor: Receiver<FanoutMessage> + Send + 'static;

    /// Makes a broadcast for at least `capacity` messages that a cursor has not read yet.
    fn open(cursors: usize, capacity: usize) -> (Self::Publisher, Vec<Self::Cursor>);
}
