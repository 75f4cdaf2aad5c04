//! The sizes that chunks have: four to a doubling, so that a payload wastes a fifth at most.

use super::PAYLOAD_BYTES_MAX;

/// Smallest chunk in bytes.
pub(super) const CHUNK_BYTES_MIN: usize = 512;

/// Steps in a doubling.
const STEPS: usize = 4;
/// Number of sizes.
pub(super) const CLASSES: usize =
    STEPS * (PAYLOAD_BYTES_MAX / CHUNK_BYTES_MIN).trailing_zeros() as usize + 1;

const _: () = assert!(chunk_bytes(CLASSES - 1) == PAYLOAD_BYTES_MAX, "the largest chunk is full");

/// Bytes of the chunks of a class, a multiple of a cache line from the second doubling on.
pub(super) const fn chunk_bytes(class: usize) -> usize {
    (CHUNK_BYTES_MIN / STEPS * (STEPS + class % STEPS)) << (class / STEPS)
}

/// The smallest class whose chunks hold `bytes`, which is [`PAYLOAD_BYTES_MAX`] at most.
pub(super) fn class_of(bytes: usize) -> usize {
    let bytes = bytes.max(CHUNK_BYTES_MIN);
    let doubling = (bytes / CHUNK_BYTES_MIN).ilog2() as usize;
    let step = (CHUNK_BYTES_MIN / STEPS) << doubling;
    STEPS * doubling + (bytes - (CHUNK_BYTES_MIN << doubling)).div_ceil(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_gets_the_smallest_chunk_that_holds_it() {
        for class in 0..CLASSES {
            let bytes = chunk_bytes(class);
            assert_eq!(class_of(bytes), class, "{bytes}");
            if class > 0 {
                assert_eq!(class_of(chunk_bytes(class - 1) + 1), class, "{bytes}");
                assert!(bytes * 4 <= chunk_bytes(class - 1) * 5, "a fifth is wasted at most");
            }
        }
        assert_eq!((class_of(0), class_of(1)), (0, 0));
        assert_eq!(class_of(PAYLOAD_BYTES_MAX), CLASSES - 1);
    }
}
