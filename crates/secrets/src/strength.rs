//! How hard a value is to guess, roughly.

/// Below this a value is refused: somebody who can have texts masked could try until one is.
pub(crate) const FEWEST_BITS: f64 = 60.0;

/// A kind of characters, and how many there are.
type Kind = (fn(&char) -> bool, u32);

/// An estimate of a value's bits: each character counts as one choice out of the kinds of characters that are used,
/// except those that repeat or continue the one before (`aaa`, `123`), and no more kinds count than there are different
/// characters.
pub(crate) fn bits(value: &str) -> f64 {
    let mut alphabet = 0_u32;
    let kinds: [Kind; 5] = [
        (char::is_ascii_digit, 10),
        (char::is_ascii_lowercase, 26),
        (char::is_ascii_uppercase, 26),
        (char::is_ascii_punctuation, 32),
        (|c| !c.is_ascii_alphanumeric() && !c.is_ascii_punctuation(), 8),
    ];
    for (is_kind, size) in kinds {
        alphabet += if value.chars().any(|c| is_kind(&c)) { size } else { 0 };
    }
    let different: std::collections::BTreeSet<char> = value.chars().collect();
    let choices = alphabet.min(u32::try_from(different.len()).unwrap_or(u32::MAX).saturating_mul(3));
    let mut before = None;
    let mut chosen = 0_u32;
    for c in value.chars() {
        let code = u32::from(c);
        let follows = before.is_some_and(|before: u32| before.abs_diff(code) <= 1);
        chosen += u32::from(!follows);
        before = Some(code);
    }
    f64::from(chosen) * f64::from(choices.max(1)).log2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_values_pass_and_words_do_not() {
        for value in [
            "9f86d081884c7d65",
            "Xk29fLq0PzTn",
            "sk-ant-test-key-made-up",
            "ghp_16C7e42F292c6912",
            "correct horse battery",
        ] {
            assert!(bits(value) >= FEWEST_BITS, "{value}: {}", bits(value));
        }
        for value in
            ["", "hunter2", "password", "password123456", "1234567890123456", "abababababababab", "true", "main"]
        {
            assert!(bits(value) < FEWEST_BITS, "{value}: {}", bits(value));
        }
    }
}
