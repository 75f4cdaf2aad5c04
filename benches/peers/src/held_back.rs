//! Messages that a queue hands over all at once, though fewer were asked for.

/// What was received and not yet taken.
#[derive(Debug)]
pub(crate) struct HeldBack<M> {
    /// What the queue gave.
    pub(crate) messages: Vec<M>,
    taken: usize,
}

impl<M: Copy> HeldBack<M> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { messages: Vec::with_capacity(capacity), taken: 0 }
    }

    /// The next message; the buffer is empty and ready to be filled when there is none.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<M> {
        let message = self.messages.get(self.taken).copied();
        match message {
            Some(_) => self.taken += 1,
            None => self.clear(),
        }
        message
    }

    /// Hands out up to `count` messages and returns how many; empties the buffer after the last.
    #[inline]
    pub(crate) fn hand_out(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize {
        let rest = &self.messages[self.taken..];
        let count = count.min(rest.len());
        rest[..count].iter().for_each(take);
        self.taken += count;
        if self.taken == self.messages.len() {
            self.clear();
        }
        count
    }

    fn clear(&mut self) {
        self.messages.clear();
        self.taken = 0;
    }
}
