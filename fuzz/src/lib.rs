//! What the targets share.

use std::{fs, path::Path};

/// Splits an input into two: the first byte says how long the first part is.
pub fn split(input: &[u8]) -> (&[u8], &[u8]) {
    match input.split_first() {
        Some((length, rest)) => rest.split_at(usize::from(*length).min(rest.len())),
        None => (input, input),
    }
}

/// Puts `seeds` into the search's own folder, which is its first, when that is empty. Each becomes an input without a
/// first part.
pub fn plant(seeds: impl IntoIterator<Item = Vec<u8>>) {
    let Some(folder) = std::env::args().skip(1).find(|word| Path::new(word).is_dir()) else { return };
    let empty = fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_none());
    for (number, seed) in seeds.into_iter().enumerate().filter(|_| empty) {
        fs::write(Path::new(&folder).join(format!("seed-{number}")), [vec![0], seed].concat()).expect("a seed");
    }
}
