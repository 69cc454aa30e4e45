//! Ids of steps that survive edits.

use std::collections::HashMap;

use uuid::Uuid;

use crate::model::Document;
use crate::number::StepNumber;

/// What a step is recognised by in the next version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepKey {
    /// Its number.
    pub number: StepNumber,
    /// Its title, without tags.
    pub title: String,
    /// Its own text without the heading.
    pub body: String,
}

impl Document {
    /// The key of each step, in the order of [`Document::steps`].
    pub fn step_keys(&self) -> Vec<StepKey> {
        let key = |step: &crate::model::Step| StepKey {
            number: step.number.clone(),
            title: step.title.clone(),
            body: self.text[step.body.clone()].to_owned(),
        };
        self.steps.iter().map(key).collect()
    }
}

/// Gives each step of `new`, in its order, an id: that of the step of the version before which it continues, else a
/// fresh one from `mint`.
///
/// One to one, in rounds: same number and title; same title, where it is unique in both versions; same number with at
/// least half of the non-blank lines of the body in common.
pub fn assign_ids(old: &[(StepKey, Uuid)], new: &Document, mint: &mut dyn FnMut() -> Uuid) -> Vec<Uuid> {
    let keys = new.step_keys();
    let mut matching = Matching { old: vec![false; old.len()], new: vec![None; keys.len()] };

    let mut by_both: HashMap<(&StepNumber, &str), Vec<usize>> = HashMap::new();
    let mut by_number: HashMap<&StepNumber, Vec<usize>> = HashMap::new();
    for (i, (key, _)) in old.iter().enumerate().rev() {
        by_both.entry((&key.number, &key.title)).or_default().push(i);
        by_number.entry(&key.number).or_default().push(i);
    }
    for (n, key) in keys.iter().enumerate() {
        let candidates = by_both.get(&(&key.number, key.title.as_str()));
        matching.first(n, candidates, |_| true);
    }
    let old_titles = unique_titles(old.iter().map(|(key, _)| key));
    let new_titles = unique_titles(keys.iter());
    for (title, n) in &new_titles {
        if let (Some(n), Some(Some(o))) = (n, old_titles.get(title)) {
            matching.first(*n, Some(&vec![*o]), |_| true);
        }
    }
    for (n, key) in keys.iter().enumerate() {
        let alike = |o: usize| similarity_at_least_half(&old[o].0.body, &key.body);
        matching.first(n, by_number.get(&key.number), alike);
    }
    matching.new.into_iter().map(|o| o.map_or_else(&mut *mint, |o| old[o].1)).collect()
}

struct Matching {
    old: Vec<bool>,
    new: Vec<Option<usize>>,
}

impl Matching {
    /// Pairs `new` with the first free candidate (they are listed backwards) that fits.
    fn first(&mut self, new: usize, candidates: Option<&Vec<usize>>, fits: impl Fn(usize) -> bool) {
        if self.new[new].is_some() {
            return;
        }
        let found = candidates.into_iter().flatten().rev().find(|o| !self.old[**o] && fits(**o));
        if let Some(o) = found {
            self.old[*o] = true;
            self.new[new] = Some(*o);
        }
    }
}

/// Each title with the index of its only step; `None` where several have it.
fn unique_titles<'a>(keys: impl Iterator<Item = &'a StepKey>) -> HashMap<&'a str, Option<usize>> {
    let mut titles = HashMap::new();
    for (i, key) in keys.enumerate().filter(|(_, k)| !k.title.is_empty()) {
        titles.entry(key.title.as_str()).and_modify(|only| *only = None).or_insert(Some(i));
    }
    titles
}

/// Whether 2·common/(a+b) ≥ 0.5 of the non-blank lines, counted as a bag. Two empty bodies are alike.
fn similarity_at_least_half(a: &str, b: &str) -> bool {
    let lines = |text| str::lines(text).map(str::trim_end).filter(|l| !l.is_empty());
    let mut bag: HashMap<&str, usize> = HashMap::new();
    for line in lines(a) {
        *bag.entry(line).or_default() += 1;
    }
    let mut common = 0;
    for line in lines(b) {
        if let Some(left) = bag.get_mut(line).filter(|left| **left > 0) {
            *left -= 1;
            common += 1;
        }
    }
    4 * common >= lines(a).count() + lines(b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids of `new` as letters: those of `old` are a, b, c …, fresh ones are upper case.
    fn ids(old: &str, new: &str) -> String {
        let letter = |c: u8| Uuid::from_u128(u128::from(c));
        let known: Vec<(StepKey, Uuid)> =
            Document::parse(old).step_keys().into_iter().zip((b'a'..).map(letter)).collect();
        let mut fresh = (b'A'..).map(letter);
        let assigned = assign_ids(&known, &Document::parse(new), &mut || fresh.next().unwrap());
        assigned.iter().map(|id| char::from(u8::try_from(id.as_u128()).unwrap())).collect()
    }

    const OLD: &str = "### Step 1: A\n#### 1.1: B\nx\ny\n#### 1.2: C\nz\n### Step 2: D\nw\n";

    #[test]
    fn nothing_changed() {
        assert_eq!(ids(OLD, OLD), "abcd");
        assert_eq!(ids("", OLD), "ABCD");
    }

    #[test]
    fn a_step_in_front_moves_numbers_and_ids_follow_titles() {
        assert_eq!(ids(OLD, "### Step 1: New\n### Step 2: A\n#### 2.1: B\n#### 2.2: C\n### Step 3: D\n"), "Aabcd");
    }

    #[test]
    fn swapped_steps_keep_their_ids() {
        assert_eq!(ids(OLD, "### Step 1: D\n### Step 2: A\n#### 2.1: C\n#### 2.2: B\n"), "dacb");
    }

    #[test]
    fn a_new_title_with_half_of_the_body_is_the_same_step() {
        assert_eq!(ids(OLD, &OLD.replace("1.1: B", "1.1: Renamed")), "abcd");
        // x, y against x, q, r: 2·1/5 is less than a half.
        assert_eq!(ids(OLD, &OLD.replace("1.1: B\nx\ny\n", "1.1: Renamed\nx\nq\nr\n")), "aAcd");
        // x, y against x, q: 2·1/4 is a half.
        assert_eq!(ids(OLD, &OLD.replace("1.1: B\nx\ny\n", "1.1: Renamed\n\nx\nq\n")), "abcd");
    }

    #[test]
    fn a_title_that_is_not_unique_does_not_carry_an_id() {
        let old = "### Step 1: A\n#### 1.1: T\nx\n### Step 2: B\n#### 2.1: T\ny\n";
        let new = "### Step 1: A\n#### 1.1: N\nq\n#### 1.2: T\nx\n### Step 2: B\n#### 2.1: T\ny\n";
        assert_eq!(ids(old, new), "aABcd");
    }

    #[test]
    fn one_id_goes_to_one_step_only() {
        // The first round takes b for 1.1, so the same title elsewhere gets a fresh id.
        let new = "### Step 1: A\n#### 1.1: B\n#### 1.2: C\n### Step 2: E\n#### 2.1: B\n";
        assert_eq!(ids(OLD, new), "abcAB");
    }

    #[test]
    fn bodies_count_lines_as_a_bag() {
        assert!(similarity_at_least_half("", "\n \n"));
        assert!(!similarity_at_least_half("a\n", ""));
        assert!(!similarity_at_least_half("a\n", "a\na\na\na\n"));
        assert!(similarity_at_least_half("a\na\n", "a\nb\n"));
    }
}
