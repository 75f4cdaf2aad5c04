//! Sealed shared-memory segments, descriptor hand-over and process liveness.
//!
//! A producer creates a segment, maps it writable, seals it and hands its descriptor over; all
//! others can only read. This crate holds the Linux side of that: [`OwnedSegment`], [`PeerSegment`]
//! over memfds, word access ([`WordsRo`], [`WordsRw`]), [`futex`] sleep and wake on those words,
//! [`fdpass`] for the sockets that carry descriptors, [`process`] for pidfds, and [`poll_any`].
//!
//! What it does not do: it lays out no record and runs no ring (`storage` only lends words to the
//! rings of `corelane-ring`), writes no page that belongs to a peer, leaves no name in the file
//! system but a listening socket (removed on drop), and retries nothing but interrupted calls.
//!
//! # Invariants
//!
//! - **SM-1** One process writes a segment, its creator: the only writable mapping is made before
//!   the seal `FUTURE_WRITE`, and no fork inherits it (`MADV_DONTFORK`).
//! - **SM-2** A segment never changes its size and has no holes, so an access in bounds never
//!   faults: `SHRINK`, `GROW` and `SEAL` are set, all blocks are allocated, `FUTURE_WRITE` refuses
//!   to punch holes; a peer checks all of it before it maps.
//! - **SM-3** A peer's mapping is read-only and stays so: it is mapped `PROT_READ`, and
//!   `FUTURE_WRITE` refuses `mprotect`.
//! - **SM-4** Mapped memory is accessed as aligned atomic 64-bit words, which may be copied two at
//!   a time by an instruction that the compiler does not look through; the kernel alone accesses
//!   the 32-bit futex half. Payloads are accessed as bytes: copied in such a way too, or in place
//!   where SL-1, SL-3 or RB-10 says that nobody writes.
//! - **SM-5** What a peer wrote into a header is read once, validated, and the copy is used:
//!   `pread` copies it before anything is mapped, and words start behind the header.
//! - **SM-6** A mapping lives as long as any words over it, in the process that made it: words hold
//!   it in an `Arc`; a forked child has no mapping and unmaps nothing.
//!
//! # Example
//!
//! ```
//! use corelane_shm::{OwnedSegment, PeerSegment, SegmentExpect, SegmentInfo};
//!
//! let info = SegmentInfo { kind: 1, generation: 7, layout_version: 1, layout_hash: 0xfeed };
//! let owned = OwnedSegment::create("corelane-example", 512, info)?;
//! owned.words().store_release(3, 42);
//!
//! // The descriptor normally travels over a `fdpass::Channel`.
//! let expect = SegmentExpect {
//!     kind: 1, layout_version: 1, layout_hash: 0xfeed, min_words: 512, max_words: 512,
//! };
//! let peer = PeerSegment::open(owned.fd().try_clone_to_owned()?, &expect)?;
//! assert_eq!(peer.words().load_acquire(3), 42);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(unsafe_code)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!(
    "corelane-shm needs a 64-bit Linux: it stands on sealed memfds, futexes on shared memory and \
     pidfds; other systems are not supported yet"
);

#[allow(unsafe_code)]
pub mod byte_ring;
mod deadline;
pub mod fdpass;
#[allow(unsafe_code)]
mod ffi;
pub mod futex;
mod header;
mod make;
mod placement;
mod poll;
pub mod process;
#[allow(unsafe_code)]
mod raw;
mod segment;
mod segment_error;
pub mod slab;
mod storage;
mod words;

pub use header::{
    FileShape, HEADER_WORDS, SEGMENT_FORMAT, SEGMENT_MAGIC, SEGMENT_WORDS_MAX, SegmentExpect,
    SegmentInfo, check_header,
};
pub use placement::{
    HugePages, NodePlacement, NotHuge, Pages, PeerOptions, Placement, SegmentOptions,
};
pub use poll::poll_any;
pub use segment::{OwnedSegment, PeerSegment};
pub use segment_error::SegmentError;
pub use words::{WindowError, WordsRo, WordsRw};
