//! Groups of subscribers that come and go while the publisher is at work.
//!
//! Another thread of the publisher's process hears of them, because they have to be made known by
//! other means than the log. The publisher takes the news in when it looks at cursors anyway.

/// What happened to a group of cursors.
#[derive(Debug)]
pub enum Change<C> {
    /// A group came, whose storage is zeroed or already has cursors in it.
    Came {
        /// Its first seat. With all its seats it lies apart from every other group.
        first: usize,
        /// Its cursors.
        cursors: C,
    },
    /// A group left: its cursors hold nobody back any more.
    Left {
        /// Its first seat.
        first: usize,
    },
}

/// Where a publisher hears of groups that came and left.
///
/// Whoever tells it must store the news, pass a SeqCst fence (C28), and only then let a subscriber
/// join in the group: then either the publisher sees the news behind its own fence (P23), or the
/// joiner sees the intent that the publisher raised before (RB-22).
pub trait Arrivals<C> {
    /// Whether there is news. One relaxed load will do.
    fn has_news(&self) -> bool;

    /// The news, in the order in which it happened. May allocate and lock.
    fn take(&mut self) -> Vec<Change<C>>;
}

/// No group comes or goes but by [`WordPublisher::add_group`](super::WordPublisher::add_group).
#[derive(Debug, Clone, Copy, Default)]
pub struct NoArrivals;

impl<C> Arrivals<C> for NoArrivals {
    #[inline(always)]
    fn has_news(&self) -> bool {
        false
    }

    fn take(&mut self) -> Vec<Change<C>> {
        Vec::new()
    }
}
