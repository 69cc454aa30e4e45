//! An Aho–Corasick automaton that knows at every byte how far back a match may still begin.
//!
//! That depth is what lets a stream pass without delay: only bytes that may yet turn out to be part of a secret wait. The
//! usual crates do not tell it, do not pass over line breaks, and cannot take in further patterns later.
//!
//! States near the root, where ordinary text spends its time, have a full row of successors: one look-up for each byte.
//! The rest have their few edges and a fallback, so that hundreds of secrets in a dozen forms each fit into memory.

use zeroize::Zeroize as _;

use crate::encodings::is_line_break;

const ROOT: u32 = 0;

/// So many states, those nearest to the root, have a full row; each costs a kilobyte.
const ROWS: usize = 512;

/// Marks a successor for which there is more to do than to go there: a match ends, or a line break was passed over.
const LOOK: u32 = 1 << 31;

/// All patterns as one automaton. Scanning takes amortised constant time for each byte.
pub(crate) struct Scanner {
    /// Level by level, the root first.
    states: Vec<State>,
    /// The successors of the first states, with [`LOOK`].
    rows: Vec<[u32; 256]>,
}

#[derive(Clone, Default)]
struct State {
    edges: Vec<(u8, u32)>,
    /// The state of the longest end of what was read that is the beginning of another pattern.
    fallback: u32,
    depth: u32,
    /// True when a pattern ends here; shorter ones that end here as well are found over the fallbacks.
    ends: bool,
    /// Length of the longest pattern that ends at this state; 0 for none.
    longest_match: u32,
}

/// Where a scan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At(u32);

impl Scanner {
    pub(crate) const START: At = At(ROOT);

    pub(crate) fn new(patterns: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self::of(vec![State::default()], patterns)
    }

    /// The same with further patterns.
    pub(crate) fn with(&self, patterns: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self::of(self.states.clone(), patterns)
    }

    /// True when there is nothing to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.states.len() == 1
    }

    /// Reads until there is something to look at, or to the end: where it stands then, and how many bytes were read.
    ///
    /// There is something to look at when a match ends at the byte read last ([`Scanner::matched`] says how long it is),
    /// and when that byte is a line break within what may be a match; the state is the one before it then.
    #[inline]
    pub(crate) fn run(&self, at: At, bytes: &[u8]) -> (At, usize) {
        let mut state = at.0;
        for (index, byte) in bytes.iter().enumerate() {
            let next = match self.rows.get(state as usize) {
                Some(row) => row[usize::from(*byte)],
                None => self.step_far(state, *byte),
            };
            state = next & !LOOK;
            if next & LOOK != 0 {
                return (At(state), index + 1);
            }
        }
        (At(state), bytes.len())
    }

    /// How many of the bytes just read may still belong to a match that is not complete.
    pub(crate) fn depth(&self, at: At) -> usize {
        self.states[at.0 as usize].depth as usize
    }

    /// Length of the longest match that ends at the byte just read; 0 for none.
    pub(crate) fn matched(&self, at: At) -> usize {
        self.states[at.0 as usize].longest_match as usize
    }

    /// The successor of a state without a row.
    fn step_far(&self, mut state: u32, byte: u8) -> u32 {
        if is_line_break(byte) {
            return state | LOOK;
        }
        loop {
            let own = &self.states[state as usize];
            if let Some((_, next)) = own.edges.iter().find(|(label, _)| *label == byte) {
                return self.marked(*next);
            }
            state = own.fallback;
            if let Some(row) = self.rows.get(state as usize) {
                return row[usize::from(byte)];
            }
        }
    }

    fn marked(&self, state: u32) -> u32 {
        if self.states[state as usize].longest_match > 0 { state | LOOK } else { state }
    }

    /// Adds patterns to a tree and makes an automaton of it.
    fn of(mut tree: Vec<State>, patterns: impl IntoIterator<Item = Vec<u8>>) -> Self {
        for mut pattern in patterns {
            insert(&mut tree, &pattern);
            pattern.zeroize();
        }
        let mut scanner = Self { states: by_level(tree), rows: Vec::new() };
        for state in 0..u32::try_from(scanner.states.len()).expect("patterns of less than 2 GiB") {
            scanner.link(state);
        }
        scanner
    }

    /// Works out the fallbacks of a state's children, its longest match and its row. What it falls back to is nearer to the
    /// root, so that all of that is done there already.
    fn link(&mut self, state: u32) {
        let State { edges, fallback, depth, ends, .. } = self.states[state as usize].clone();
        for (byte, child) in &edges {
            let target = if state == ROOT { ROOT } else { self.successor(fallback, *byte) };
            let inherited = self.states[target as usize].longest_match;
            let child = &mut self.states[*child as usize];
            child.fallback = target;
            child.longest_match = if child.ends { child.depth } else { inherited };
        }
        debug_assert!(!ends || depth > 0, "the empty pattern is never inserted");
        if self.rows.len() < ROWS {
            let mut row = if state == ROOT { [ROOT; 256] } else { self.rows[fallback as usize] };
            for (byte, child) in edges {
                row[usize::from(byte)] = self.marked(child);
            }
            if state != ROOT {
                row[usize::from(b'\n')] = state | LOOK;
                row[usize::from(b'\r')] = state | LOOK;
            }
            self.rows.push(row);
        }
    }

    fn successor(&self, state: u32, byte: u8) -> u32 {
        match self.rows.get(state as usize) {
            Some(row) => row[usize::from(byte)] & !LOOK,
            None => self.step_far(state, byte) & !LOOK,
        }
    }
}

fn insert(tree: &mut Vec<State>, pattern: &[u8]) {
    if pattern.is_empty() {
        return;
    }
    let mut state = ROOT;
    for (depth, byte) in (1..).zip(pattern) {
        let edge = tree[state as usize].edges.iter().find(|(label, _)| label == byte).map(|(_, next)| *next);
        state = edge.unwrap_or_else(|| {
            let added = u32::try_from(tree.len()).expect("patterns of less than 2 GiB");
            tree.push(State { depth, ..State::default() });
            tree[state as usize].edges.push((*byte, added));
            added
        });
    }
    tree[state as usize].ends = true;
}

/// The same tree with its states numbered level by level.
fn by_level(mut tree: Vec<State>) -> Vec<State> {
    let mut ordered: Vec<State> = Vec::with_capacity(tree.len());
    let mut order = vec![ROOT];
    let mut next = 0;
    while next < order.len() {
        let mut state = std::mem::take(&mut tree[order[next] as usize]);
        for (_, child) in &mut state.edges {
            let number = u32::try_from(order.len()).expect("patterns of less than 2 GiB");
            order.push(std::mem::replace(child, number));
        }
        ordered.push(state);
        next += 1;
    }
    ordered
}

impl Drop for Scanner {
    fn drop(&mut self) {
        for (label, _) in self.states.iter_mut().flat_map(|state| &mut state.edges) {
            label.zeroize();
        }
        for row in &mut self.rows {
            row.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn every_state_says_what_a_search_says(
            patterns in prop::collection::vec("[ab]{1,5}", 0..6),
            later in prop::collection::vec("[abc]{1,5}", 0..4),
            text in "[abc]{0,40}",
            rows in 1_usize..8,
        ) {
            let bytes = |texts: &[String]| texts.iter().map(|text| text.clone().into_bytes()).collect::<Vec<_>>();
            let mut scanner = Scanner::new(bytes(&patterns)).with(bytes(&later));
            // With few rows, most states take the long way.
            scanner.rows.truncate(rows);
            let all: Vec<&String> = patterns.iter().chain(&later).collect();
            let mut at = Scanner::START;
            for (index, byte) in text.bytes().enumerate() {
                let (next, read) = scanner.run(at, &[byte]);
                prop_assert_eq!(read, 1);
                at = next;
                let read = &text[..=index];
                let matched = all.iter().filter(|it| read.ends_with(it.as_str())).map(|it| it.len()).max();
                prop_assert_eq!(scanner.matched(at), matched.unwrap_or(0));
                let begun = (0..=read.len()).find(|from| all.iter().any(|it| it.starts_with(&read[*from..])));
                prop_assert_eq!(scanner.depth(at), read.len() - begun.unwrap_or(read.len()));
            }
            let (_, read) = scanner.run(Scanner::START, text.as_bytes());
            let first = (1..=text.len()).find(|end| all.iter().any(|it| text[..*end].ends_with(it.as_str())));
            prop_assert_eq!(read, first.unwrap_or(text.len()), "it runs up to the first match");
        }
    }
}
