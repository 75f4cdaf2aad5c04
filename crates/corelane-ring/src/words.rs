//! Plain data as words, so that a racing copy of it is made of whole atomic words.

use bytemuck::Pod;

use crate::storage::{ReadWords, WriteWords};

/// Words that a `T` takes, the last one padded with zeros.
pub(crate) const fn words_of<T>() -> usize {
    size_of::<T>().div_ceil(8)
}

/// Writes the words of `value` from `first` on.
#[inline(always)]
pub(crate) fn write<T: Pod>(words: &impl WriteWords, first: usize, value: &T) {
    if let Ok(whole) = bytemuck::try_cast_slice(core::slice::from_ref(value)) {
        return words.write(first, whole);
    }
    // It is not aligned like words, or has a rest: word by word.
    for (offset, bytes) in bytemuck::bytes_of(value).chunks(8).enumerate() {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        words.store_relaxed(first + offset, u64::from_ne_bytes(word));
    }
}

/// Makes a `T` of the words from `first` on.
#[inline(always)]
pub(crate) fn read<T: Pod>(words: &impl ReadWords, first: usize) -> T {
    let mut value = T::zeroed();
    if let Ok(whole) = bytemuck::try_cast_slice_mut(core::slice::from_mut(&mut value)) {
        words.read(first, whole);
        return value;
    }
    for (offset, bytes) in bytemuck::bytes_of_mut(&mut value).chunks_mut(8).enumerate() {
        let word = words.load_relaxed(first + offset).to_ne_bytes();
        bytes.copy_from_slice(&word[..bytes.len()]);
    }
    value
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::storage::HeapWords;

    #[test]
    fn a_value_survives_the_way_over_words() {
        fn there_and_back<T: Pod + PartialEq + core::fmt::Debug>(value: T) {
            let words = HeapWords::new(1 + words_of::<T>());
            write(&words, 1, &value);
            assert_eq!(read::<T>(&words, 1), value);
            assert_eq!(words.load_relaxed(0), 0);
        }
        there_and_back([1_u64, 2, 3]);
        there_and_back([7_u8; 13]);
        there_and_back(0x1234_u16);
        there_and_back(());
    }
}
