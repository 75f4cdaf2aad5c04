//! Plain data as words, so that a racing copy of it is made of whole atomic words.

use bytemuck::Pod;

/// Words that a `T` takes, the last one padded with zeros.
pub(crate) const fn words_of<T>() -> usize {
    size_of::<T>().div_ceil(8)
}

/// Hands every word of `value` with its index to `store`.
#[inline(always)]
pub(crate) fn store<T: Pod>(value: &T, mut store: impl FnMut(usize, u64)) {
    let (words, rest) = bytemuck::bytes_of(value).as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        store(index, u64::from_ne_bytes(*word));
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        store(words.len(), u64::from_ne_bytes(last));
    }
}

/// Makes a `T` of the words that `load` gives for each index.
#[inline(always)]
pub(crate) fn load<T: Pod>(mut load: impl FnMut(usize) -> u64) -> T {
    let mut value = T::zeroed();
    let (words, rest) = bytemuck::bytes_of_mut(&mut value).as_chunks_mut::<8>();
    let whole = words.len();
    for (index, word) in words.iter_mut().enumerate() {
        *word = load(index).to_ne_bytes();
    }
    if !rest.is_empty() {
        rest.copy_from_slice(&load(whole).to_ne_bytes()[..rest.len()]);
    }
    value
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_value_survives_the_way_over_words() {
        fn there_and_back<T: Pod + PartialEq + core::fmt::Debug>(value: T) {
            let mut words = vec![u64::MAX; words_of::<T>()];
            store(&value, |index, word| words[index] = word);
            assert_eq!(load::<T>(|index| words[index]), value);
        }
        there_and_back([1_u64, 2, 3]);
        there_and_back([7_u8; 13]);
        there_and_back(0x1234_u16);
        there_and_back(());
    }
}
