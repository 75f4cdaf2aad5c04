//! The unsafe of the `throughput` ring: its bytes, and which end may touch which of them when.
//!
//! The two sides here keep the indices and hand out windows of the bytes. A window is given only
//! inside of what its side owns (RB-10), so that everything above, the framing of records, is safe
//! code. What the bytes mean is not known here.

#[cfg(loom)]
#[path = "raw_bytes/loom_memory.rs"]
mod memory;
#[cfg(not(loom))]
mod memory;

#[cfg(not(loom))]
use core::ptr::NonNull;

use crate::storage::{HeapWords, ReadWords, WriteWords};
use crate::tap::Intent;
use crate::throughput::frame::{CAPACITY_BYTES_MAX, CAPACITY_BYTES_MIN};
use crate::throughput::{CURSOR_WORDS, ClaimError, ReadError, SetupError};

use self::memory::Memory;

/// Word of the producer's words that holds its tail, and of the consumer's that holds its head.
const INDEX: usize = 0;

/// The producer's side of the memory: it alone writes the bytes and the tail.
#[derive(Debug)]
pub struct WriteSide<T, H> {
    memory: Memory,
    /// Published by this side.
    tail: u64,
    /// The consumer's head as last seen, plus the capacity: where writing must end.
    limit: u64,
    /// Where writing must end before [`WriteSide::allow`]: at the limit or at the intent.
    allowed: u64,
    intent: Intent<T>,
    tail_words: T,
    head_words: H,
}

/// The consumer's side of the memory: it reads the bytes, and alone writes the head.
#[derive(Debug)]
pub struct ReadSide<T, H> {
    memory: Memory,
    /// Everything before was consumed.
    head: u64,
    /// Everything before was given back to the producer.
    head_published: u64,
    /// The producer's tail as last seen.
    tail_cached: u64,
    lag_max: u64,
    tail_words: T,
    head_words: H,
}

/// The producer's side of memory on the heap.
pub type HeapWriteSide = WriteSide<HeapWords, HeapWords>;
/// The consumer's side of memory on the heap.
pub type HeapReadSide = ReadSide<HeapWords, HeapWords>;

/// A ring's memory on the heap, zeroed and aligned to pages: the side that writes and the one that
/// reads. There is never another side for the same memory.
pub(crate) fn heap_sides(
    capacity_bytes: usize,
) -> Result<(HeapWriteSide, HeapReadSide), SetupError> {
    let (write, read, ..) = heap_sides_and_words(capacity_bytes)?;
    Ok((write, read))
}

/// The same, with the words of the tail and the head, for tests that lie about them.
pub(crate) fn heap_sides_and_words(
    capacity_bytes: usize,
) -> Result<(HeapWriteSide, HeapReadSide, HeapWords, HeapWords), SetupError> {
    check_capacity(capacity_bytes)?;
    let (tail, head) = (HeapWords::new(CURSOR_WORDS), HeapWords::new(CURSOR_WORDS));
    let memory = Memory::zeroed(capacity_bytes);
    let write = WriteSide::over(memory.clone(), tail.clone(), head.clone())?;
    let read = ReadSide::over(memory, tail.clone(), head.clone())?;
    Ok((write, read, tail, head))
}

/// The same, whose producer publishes its intent, and whose bytes are words that a tap reads.
#[cfg(all(test, loom))]
pub(crate) fn heap_sides_with_tap(
    capacity_bytes: usize,
) -> Result<(HeapWriteSide, HeapReadSide, crate::tap::ThroughputTap<HeapWords>), SetupError> {
    let words = || HeapWords::new(CURSOR_WORDS);
    let (tail, head, intent) = (words(), words(), words());
    let bytes = HeapWords::new(capacity_bytes / 8);
    let memory = Memory::over(bytes.clone());
    let write = WriteSide::over(memory.clone(), tail.clone(), head.clone())?;
    let write = write.with_intent(intent.clone())?;
    let read = ReadSide::over(memory, tail.clone(), head)?;
    let start = crate::tap::Start::First;
    Ok((write, read, crate::tap::ThroughputTap::new(bytes, tail, intent, start)?))
}

fn check_capacity(bytes: usize) -> Result<(), SetupError> {
    if !bytes.is_power_of_two() || !(CAPACITY_BYTES_MIN..=CAPACITY_BYTES_MAX).contains(&bytes) {
        return Err(SetupError::Capacity { asked: bytes });
    }
    Ok(())
}

fn check_words(what: &'static str, words: &impl ReadWords) -> Result<(), SetupError> {
    if words.len() < CURSOR_WORDS {
        return Err(SetupError::TooFewWords { what, found: words.len() });
    }
    Ok(())
}

#[cfg(not(loom))]
fn check_alignment(base: NonNull<u8>) -> Result<(), SetupError> {
    let alignment = crate::throughput::ALIGNMENT;
    if !base.addr().get().is_multiple_of(alignment) {
        return Err(SetupError::Misaligned { alignment });
    }
    Ok(())
}

impl<T: WriteWords, H: ReadWords> WriteSide<T, H> {
    /// The producer's side of a fresh ring over memory that is not on the heap: `bytes` long (a
    /// power of two) from `base` on. `keep` keeps the memory in place as long as the side lives.
    ///
    /// # Safety
    /// - The bytes are initialised, may be read and written, and stay where they are while `keep`
    ///   lives.
    /// - As long as the ring lives nobody else writes them, and in this process nobody but the one
    ///   [`ReadSide`] of the same memory reads them.
    /// - That `ReadSide`, if it is in this process, has the same words: `tail` is stored by this
    ///   side alone, `head` by that side alone, and both are zero now.
    ///
    /// A consumer in another process need not be trusted: it can only lie about its head, which
    /// is refused (RB-5) or makes the consumer itself read what it should not.
    ///
    /// # Errors
    /// - [`SetupError`]: the capacity, the alignment or the number of words is not usable.
    #[cfg(not(loom))]
    pub unsafe fn new(
        base: NonNull<u8>,
        bytes: usize,
        keep: std::sync::Arc<dyn core::any::Any + Send + Sync>,
        tail: T,
        head: H,
    ) -> Result<Self, SetupError> {
        check_capacity(bytes)?;
        check_alignment(base)?;
        // SAFETY: the caller promises the memory, and the capacity is a power of two.
        Self::over(unsafe { Memory::new(base, bytes, keep) }, tail, head)
    }

    fn over(memory: Memory, tail_words: T, head_words: H) -> Result<Self, SetupError> {
        check_words("tail", &tail_words)?;
        check_words("head", &head_words)?;
        let limit = memory.len() as u64;
        let (allowed, intent) = (limit, Intent::untold());
        Ok(Self { memory, tail: 0, limit, allowed, intent, tail_words, head_words })
    }

    /// Publishes its intent from here on, so that a
    /// [`ThroughputTap`](crate::tap::ThroughputTap) can read along. The words must be zeroed, and
    /// nothing be published yet.
    ///
    /// # Errors
    /// - [`SetupError::TooFewWords`]: there are too few words.
    ///
    /// # Panics
    /// When something was published.
    pub fn with_intent(mut self, words: T) -> Result<Self, SetupError> {
        check_words("intent", &words)?;
        assert_eq!(self.tail, 0, "the intent is told from the first record on");
        self.intent = Intent::told(words, self.memory.len() as u64);
        self.allowed = 0;
        Ok(self)
    }

    /// Capacity in bytes.
    #[inline(always)]
    pub(crate) fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// Everything before is published.
    #[inline(always)]
    pub(crate) fn tail(&self) -> u64 {
        self.tail
    }

    /// Writing must end here, as far as is known.
    #[inline(always)]
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Writing must end here until [`allow`](Self::allow) is asked for more.
    #[inline(always)]
    pub(crate) fn allowed(&self) -> u64 {
        self.allowed
    }

    /// Tells the intent to write from `position` to `end`, which is at most the limit.
    pub(crate) fn allow(&mut self, position: u64, end: u64) {
        self.intent.raise(position, end);
        self.allowed = self.intent.end().min(self.limit);
    }

    /// Bytes from `position` to the end of the memory.
    #[inline(always)]
    pub(crate) fn to_end(&self, position: u64) -> u64 {
        self.memory.to_end(position)
    }

    /// Looks at the consumer's head.
    pub(crate) fn refresh(&mut self) -> Result<(), ClaimError> {
        // P11: pairs with C11; what the consumer read of released bytes was read before this.
        let head = self.head_words.load_acquire(INDEX);
        let capacity = self.memory.len() as u64;
        let (low, high) = (self.limit - capacity, self.tail);
        if !(low..=high).contains(&head) {
            return Err(ClaimError::CorruptHead { head, low, high });
        }
        self.limit = head + capacity;
        Ok(())
    }

    /// The offset of `length` bytes at `position`, all of which this side owns (RB-10).
    #[inline(always)]
    fn owned(&self, position: u64, length: usize) -> usize {
        let is_owned = position >= self.tail && position + length as u64 <= self.allowed;
        assert!(is_owned && length as u64 <= self.to_end(position), "window beyond the own bytes");
        self.memory.offset(position)
    }

    /// Bytes to write; they hold whatever was there a lap before.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn window(&mut self, position: u64, length: usize) -> &mut [u8] {
        let offset = self.owned(position, length);
        // SAFETY: RB-10: the consumer touches nothing between the tail and its head a lap later,
        // and this side is borrowed mutably as long as the window lives.
        unsafe { self.memory.slice_mut(offset, length) }
    }

    /// Copies bytes to `position` on.
    #[inline(always)]
    pub(crate) fn write(&mut self, position: u64, bytes: &[u8]) {
        let offset = self.owned(position, bytes.len());
        // SAFETY: RB-10, as above.
        unsafe { self.memory.write(offset, bytes) }
    }

    /// Writes a word at `position`, a multiple of its size.
    #[inline(always)]
    pub(crate) fn put_word(&mut self, position: u64, word: u64) {
        let offset = self.owned(position, 8);
        // SAFETY: RB-10, as above; `put` checks that the word is aligned.
        unsafe { self.memory.put(offset, word) }
    }

    /// Publishes everything before `to`.
    #[inline(always)]
    pub(crate) fn publish(&mut self, to: u64) {
        assert!((self.tail..=self.limit).contains(&to), "tail beyond the own bytes");
        self.tail = to;
        // P10: pairs with C10; the bytes before the tail are visible to whoever sees it.
        self.tail_words.store_release(INDEX, to);
    }
}

impl<T: ReadWords, H: WriteWords> ReadSide<T, H> {
    /// The consumer's side of a fresh ring over memory that is not on the heap: `bytes` long (a
    /// power of two) from `base` on. `keep` keeps the memory in place as long as the side lives.
    ///
    /// # Safety
    /// - The bytes are initialised, may be read, and stay where they are while `keep` lives.
    /// - **The producer is trusted**: whoever may write the bytes writes none between the head
    ///   that this side stored last and the tail that it can load. A sealed segment of a process
    ///   that could be hostile does not qualify: records are read as `&[u8]`, in place.
    /// - `head` is stored by this side alone, and `head` and `tail` are zero now.
    ///
    /// # Errors
    /// - [`SetupError`]: the capacity, the alignment or the number of words is not usable.
    #[cfg(not(loom))]
    pub unsafe fn new(
        base: NonNull<u8>,
        bytes: usize,
        keep: std::sync::Arc<dyn core::any::Any + Send + Sync>,
        tail: T,
        head: H,
    ) -> Result<Self, SetupError> {
        check_capacity(bytes)?;
        check_alignment(base)?;
        // SAFETY: the caller promises the memory, and the capacity is a power of two.
        Self::over(unsafe { Memory::new(base, bytes, keep) }, tail, head)
    }

    fn over(memory: Memory, tail_words: T, head_words: H) -> Result<Self, SetupError> {
        check_words("tail", &tail_words)?;
        check_words("head", &head_words)?;
        let lag_max = memory.len() as u64 / 4;
        let side = Self {
            memory,
            head: 0,
            head_published: 0,
            tail_cached: 0,
            lag_max,
            tail_words,
            head_words,
        };
        Ok(side)
    }

    /// Capacity in bytes.
    #[inline(always)]
    pub(crate) fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// Everything before was consumed.
    #[inline(always)]
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Everything before may be read, as far as is known.
    #[inline(always)]
    pub(crate) fn tail(&self) -> u64 {
        self.tail_cached
    }

    /// Bytes from `position` to the end of the memory.
    #[inline(always)]
    pub(crate) fn to_end(&self, position: u64) -> u64 {
        self.memory.to_end(position)
    }

    /// Looks at the producer's tail, and gives room back when everything is consumed; true when
    /// there was any.
    pub(crate) fn refresh(&mut self) -> Result<bool, ReadError> {
        // C10: pairs with P10. Read once, then only the copy is used (RB-6).
        let tail = self.tail_words.load_acquire(INDEX);
        let (low, high) = (self.tail_cached, self.head_published + self.memory.len() as u64);
        if !(low..=high).contains(&tail) || !tail.is_multiple_of(8) {
            return Err(ReadError::CorruptTail { tail, low, high });
        }
        self.tail_cached = tail;
        Ok(tail == self.head && self.release())
    }

    /// The offset of `length` bytes at `position`, all of which this side owns (RB-10).
    #[inline(always)]
    fn owned(&self, position: u64, length: usize) -> usize {
        let is_owned = position >= self.head && position + length as u64 <= self.tail_cached;
        assert!(is_owned && length as u64 <= self.to_end(position), "window beyond the own bytes");
        self.memory.offset(position)
    }

    /// Bytes to read.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn window(&self, position: u64, length: usize) -> &[u8] {
        let offset = self.owned(position, length);
        // SAFETY: RB-10: the producer writes nothing between the head and its tail, and the head
        // cannot move as long as the window borrows this side.
        unsafe { self.memory.slice(offset, length) }
    }

    /// Copies bytes from `position` on.
    #[inline(always)]
    pub(crate) fn read(&self, position: u64, bytes: &mut [u8]) {
        let offset = self.owned(position, bytes.len());
        // SAFETY: RB-10, as above.
        unsafe { self.memory.read(offset, bytes) }
    }

    /// Reads the word at `position`, a multiple of its size.
    #[inline(always)]
    pub(crate) fn word(&self, position: u64) -> u64 {
        let offset = self.owned(position, 8);
        // SAFETY: RB-10, as above; `get` checks that the word is aligned.
        unsafe { self.memory.get(offset) }
    }

    /// Consumes everything before `to`; true when that gave room back, every quarter of a lap.
    #[inline(always)]
    pub(crate) fn advance(&mut self, to: u64) -> bool {
        assert!((self.head..=self.tail_cached).contains(&to), "head beyond the own bytes");
        self.head = to;
        to - self.head_published >= self.lag_max && self.release()
    }

    /// Gives the room of what was consumed back; true when there was any.
    #[inline]
    pub(crate) fn release(&mut self) -> bool {
        if self.head_published == self.head {
            return false;
        }
        // C11: pairs with P11; every byte before the head was read before this.
        self.head_words.store_release(INDEX, self.head);
        self.head_published = self.head;
        true
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::throughput::ALIGNMENT;

    #[test]
    fn memory_that_does_not_fit_is_refused() {
        let within_a_line = core::ptr::without_provenance_mut(ALIGNMENT + 8);
        let refused = check_alignment(NonNull::new(within_a_line).unwrap());
        assert_eq!(refused, Err(SetupError::Misaligned { alignment: ALIGNMENT }));
        let refused = check_words("tail", &HeapWords::new(CURSOR_WORDS - 1));
        let found = CURSOR_WORDS - 1;
        assert_eq!(refused, Err(SetupError::TooFewWords { what: "tail", found }));
        assert_eq!(check_words("tail", &HeapWords::new(CURSOR_WORDS)), Ok(()));
    }
}
