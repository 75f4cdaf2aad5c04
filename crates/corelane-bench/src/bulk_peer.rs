//! What must be offered to be measured with large payloads that stay in place.

/// A sending end whose payloads are written where they lie.
pub trait BulkSender {
    /// Lets `fill` write a free buffer and hands it over; false, without a call, when there is
    /// none.
    fn try_send(&mut self, fill: &mut impl FnMut(&mut [u8])) -> bool;
}

/// A receiving end whose payloads are read where they lie.
pub trait BulkReceiver {
    /// Lets `look` read the next buffer and gives it back; false, without a call, when there is
    /// none.
    fn try_recv(&mut self, look: &mut impl FnMut(&[u8])) -> bool;
}

/// A kind of hand-over of large payloads, one to one.
pub trait BulkPeer: 'static {
    /// Name in the tables.
    const NAME: &'static str;
    /// A sending end.
    type Sender: BulkSender + Send + 'static;
    /// A receiving end.
    type Receiver: BulkReceiver + Send + 'static;

    /// Makes both ends over so many buffers of so many bytes each.
    fn open(buffers: usize, bytes: usize) -> (Self::Sender, Self::Receiver);
}
