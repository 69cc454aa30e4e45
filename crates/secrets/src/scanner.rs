//! An Aho–Corasick automaton that knows at every byte how far back a match may still begin.
//!
//! That depth is what lets a stream pass without delay: only bytes that may yet turn out to be part of a secret wait. The
//! usual crates do not tell it.

use std::collections::VecDeque;

use zeroize::Zeroize as _;

const ROOT: u32 = 0;

/// All patterns as one automaton. Scanning takes amortised constant time for each byte.
pub(crate) struct Scanner {
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    edges: Vec<(u8, u32)>,
    fallback: u32,
    depth: usize,
    /// Length of the longest pattern that ends here; 0 for none.
    longest_match: usize,
}

/// Where a scan stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At(u32);

impl Scanner {
    pub(crate) const START: At = At(ROOT);

    pub(crate) fn new(patterns: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut scanner = Self { nodes: vec![Node::default()] };
        for mut pattern in patterns {
            scanner.insert(&pattern);
            pattern.zeroize();
        }
        scanner.link();
        scanner
    }

    pub(crate) fn step(&self, at: At, byte: u8) -> At {
        let mut state = at.0;
        loop {
            if let Some(next) = self.edge(state, byte) {
                return At(next);
            }
            if state == ROOT {
                return Self::START;
            }
            state = self.node(state).fallback;
        }
    }

    /// How many of the bytes just read may still belong to a match that is not complete.
    pub(crate) fn depth(&self, at: At) -> usize {
        self.node(at.0).depth
    }

    /// Length of the longest match that ends at the byte just read; 0 for none.
    pub(crate) fn matched(&self, at: At) -> usize {
        self.node(at.0).longest_match
    }

    fn insert(&mut self, pattern: &[u8]) {
        let mut state = ROOT;
        for (index, byte) in pattern.iter().enumerate() {
            state = self.edge(state, *byte).unwrap_or_else(|| {
                let added = u32::try_from(self.nodes.len()).expect("patterns of less than 4 GiB");
                self.nodes.push(Node { depth: index + 1, ..Node::default() });
                self.nodes[state as usize].edges.push((*byte, added));
                added
            });
        }
        self.nodes[state as usize].longest_match = pattern.len();
    }

    fn link(&mut self) {
        let mut queue: VecDeque<u32> = self.nodes[0].edges.iter().map(|(_, child)| *child).collect();
        while let Some(state) = queue.pop_front() {
            for (byte, child) in self.node(state).edges.clone() {
                let fallback = self.step(At(self.node(state).fallback), byte).0;
                let inherited = self.node(fallback).longest_match;
                let node = &mut self.nodes[child as usize];
                node.fallback = fallback;
                node.longest_match = node.longest_match.max(inherited);
                queue.push_back(child);
            }
        }
    }

    fn edge(&self, state: u32, byte: u8) -> Option<u32> {
        self.node(state).edges.iter().find(|(label, _)| *label == byte).map(|(_, next)| *next)
    }

    fn node(&self, state: u32) -> &Node {
        &self.nodes[state as usize]
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        for (label, _) in self.nodes.iter_mut().flat_map(|node| &mut node.edges) {
            label.zeroize();
        }
    }
}
