//! Stand-ins that look like a secret and open nothing.

use rand::Rng;
use rand::distr::uniform::SampleRange;
use zeroize::Zeroizing;

use crate::Secret;

/// Public beginnings of well-known credentials; programs look at them to tell kinds apart. Longer ones first.
const KNOWN_PREFIXES: [&str; 18] = [
    "sk-ant-admin01-",
    "sk-ant-api03-",
    "sk-ant-oat01-",
    "sk-ant-ort01-",
    "sk-ant-",
    "sk-proj-",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "ghr_",
    "AKIA",
    "sk-",
];

/// Fewer varying characters than this could be guessed or met by chance; then the prefix varies too.
const FEWEST_VARYING: usize = 6;

/// A stand-in of the same shape as `secret`: the same well-known prefix, the same length, and digit for digit, capital for
/// capital, small letter for small letter; other characters stay. It is never the secret itself.
pub fn surrogate(secret: &Secret, rng: &mut impl Rng) -> Secret {
    let value = secret.expose();
    let prefix = KNOWN_PREFIXES.iter().find(|prefix| value.starts_with(**prefix)).map_or(0, |prefix| prefix.len());
    let varying = value[prefix..].chars().filter(char::is_ascii_alphanumeric).count();
    let kept = if varying >= FEWEST_VARYING { prefix } else { 0 };
    for _ in 0..64 {
        let made = Zeroizing::new(alike(&value[..kept], &value[kept..], rng));
        if *made != value {
            return Secret::new(made.as_str());
        }
    }
    // Only a value with hardly a letter or digit comes here; its shape gives way.
    Secret::new((0..value.chars().count().max(16)).map(|_| one_of(rng, b'a'..=b'z')).collect::<String>())
}

fn alike(prefix: &str, rest: &str, rng: &mut impl Rng) -> String {
    let varied = rest.chars().map(|c| match c {
        '0'..='9' => one_of(rng, b'0'..=b'9'),
        'a'..='z' => one_of(rng, b'a'..=b'z'),
        'A'..='Z' => one_of(rng, b'A'..=b'Z'),
        other => other,
    });
    prefix.chars().chain(varied).collect()
}

fn one_of(rng: &mut impl Rng, range: impl SampleRange<u8>) -> char {
    char::from(rng.random_range(range))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn class(c: char) -> char {
        match c {
            '0'..='9' => '0',
            'a'..='z' => 'a',
            'A'..='Z' => 'A',
            other => other,
        }
    }

    #[test]
    fn a_key_keeps_its_prefix_and_nothing_else() {
        let key = Secret::new("sk-ant-api03-AbCdEf0123456789_-xyzXYZ");
        let made = surrogate(&key, &mut ChaCha8Rng::seed_from_u64(7));
        let shape = |text: &str| text.chars().map(class).collect::<String>();
        assert!(made.expose().starts_with("sk-ant-api03-"));
        assert_eq!(shape(made.expose()), shape(key.expose()));
        let same = made.expose()[13..].chars().zip(key.expose()[13..].chars()).filter(|(a, b)| a == b).count();
        assert!(same < 10, "{same} characters are the secret's own");
    }

    proptest! {
        #[test]
        fn it_is_never_the_secret(value in ".{0,24}", seed: u64) {
            let made = surrogate(&Secret::new(value.clone()), &mut ChaCha8Rng::seed_from_u64(seed));
            prop_assert_ne!(made.expose(), value);
        }
    }
}
