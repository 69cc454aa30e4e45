//! Which texts fit what is asked best: BM25 over their words. One ranking for every database, so that all of them give
//! the same, and always in the same order.

use std::collections::{BTreeMap, HashMap, HashSet};

/// How much the same word again counts.
const SATURATION: f64 = 1.2;
/// How much a long text is held against it.
const LENGTH: f64 = 0.75;
/// So many different words of a question are looked at.
const MOST_ASKED: usize = 2_000;

/// Words that say nothing about what a text is about.
const EMPTY: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "can", "do", "does", "for", "from", "has", "have", "if",
    "in", "into", "is", "it", "its", "must", "no", "not", "of", "on", "or", "should", "so", "that", "the", "then",
    "there", "this", "to", "up", "was", "when", "will", "with", "you", "your",
];

/// The words of a text as they are compared: in lower case, without the endings of plurals and verbs.
pub(crate) fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase);
    words.filter(|word| !EMPTY.contains(&word.as_str())).map(|word| stem(&word).to_owned()).collect()
}

fn stem(word: &str) -> &str {
    let without = |word, ending| -> Option<&str> {
        let rest: &str = str::strip_suffix(word, ending)?;
        (rest.chars().count() >= 3 && !rest.ends_with('s')).then_some(rest)
    };
    let word = without(word, "s").unwrap_or(word);
    let word = without(word, "ing").or_else(|| without(word, "ed")).unwrap_or(word);
    without(word, "e").unwrap_or(word)
}

/// How well each text fits what is asked, in millionths; 0: it has none of its words.
pub(crate) fn scores(texts: &[Vec<String>], asked: &[String]) -> Vec<u64> {
    let asked: Vec<&str> = {
        let mut seen = HashSet::new();
        asked.iter().map(String::as_str).filter(|word| seen.insert(*word)).take(MOST_ASKED).collect()
    };
    let counts: Vec<HashMap<&str, u32>> = texts.iter().map(|text| counted(text)).collect();
    let mut holding: BTreeMap<&str, u32> = BTreeMap::new();
    for word in &asked {
        let count = counts.iter().filter(|text| text.contains_key(word)).count();
        holding.insert(word, u32::try_from(count).unwrap_or(u32::MAX));
    }
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let all = number(texts.len());
    let mean = (texts.iter().map(|text| number(text.len())).sum::<f64>() / all.max(1.0)).max(1.0);
    let score = |(text, counts): (&Vec<String>, &HashMap<&str, u32>)| {
        let length = 1.0 - LENGTH + LENGTH * number(text.len()) / mean;
        let each = asked.iter().filter_map(|word| {
            let count = f64::from(*counts.get(word)?);
            let holding = f64::from(holding[word]);
            let rarity = (1.0 + (all - holding + 0.5) / (holding + 0.5)).ln();
            Some(rarity * count * (SATURATION + 1.0) / (count + SATURATION * length))
        });
        millionths(each.sum())
    };
    texts.iter().zip(&counts).map(score).collect()
}

/// Rounded, so that the last bits of a machine's arithmetic decide nothing.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "scores are small and not negative")]
fn millionths(score: f64) -> u64 {
    (score * 1e6).round() as u64
}

fn counted(text: &[String]) -> HashMap<&str, u32> {
    let mut counts = HashMap::new();
    for word in text {
        *counts.entry(word.as_str()).or_insert(0) += 1;
    }
    counts
}

/// Whether two texts say nearly the same: of their different words they share four in five.
pub(crate) fn nearly_same(one: &[String], other: &[String]) -> bool {
    let one: HashSet<&String> = one.iter().collect();
    let other: HashSet<&String> = other.iter().collect();
    let (shared, all) = (one.intersection(&other).count(), one.union(&other).count());
    all > 0 && shared * 5 >= all * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(texts: &[&str], asked: &str) -> Vec<usize> {
        let texts: Vec<_> = texts.iter().map(|text| words(text)).collect();
        let scores = scores(&texts, &words(asked));
        let mut places: Vec<usize> = (0..texts.len()).filter(|place| scores[*place] > 0).collect();
        places.sort_by_key(|place| (std::cmp::Reverse(scores[*place]), *place));
        places
    }

    #[test]
    fn what_has_more_and_rarer_words_of_the_question_comes_first() {
        let texts = [
            "The tests fail when the database is down",
            "The migration of the database fails when a column has no default",
            "The tests need a display",
            "Frobnicate the widget before the tests",
        ];
        assert_eq!(ranked(&texts, "add a column to the database by a migration"), [1, 0]);
        assert_eq!(
            ranked(&texts, "Testing the widgets"),
            [3, 2, 0],
            "endings do not matter, and short ones come first"
        );
        assert_eq!(ranked(&texts, "the of when"), Vec::<usize>::new(), "empty words find nothing");
        assert_eq!(ranked(&[], "x"), Vec::<usize>::new());
    }

    #[test]
    fn repeating_a_word_does_not_win_over_saying_more() {
        let texts = ["token token token token token token", "a token in the header of a request"];
        assert_eq!(ranked(&texts, "which header has the token"), [1, 0]);
    }

    #[test]
    fn nearly_the_same_is_seen() {
        let same = |one, other| nearly_same(&words(one), &words(other));
        assert!(same("run make db before the tests of the shop", "Before tests of shops, run `make db`"));
        assert!(!same("run make db before the tests", "run make web before the demo"));
        assert!(!same("", ""));
    }
}
