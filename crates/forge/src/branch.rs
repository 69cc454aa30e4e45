//! The names of the branches that we make.

use domain::{BranchName, ChangeKey, SessionId, SessionNumber};
use sha2::{Digest, Sha256};

/// What a branch is for.
#[derive(Debug, Clone, Copy)]
pub struct BranchSeed<'a> {
    /// The session's number, for people.
    pub number: SessionNumber,
    /// The session.
    pub session: SessionId,
    /// The change.
    pub key: &'a ChangeKey,
    /// The step's number when the change is begun, such as `1`; none when it is for the whole session.
    pub step: Option<&'a str>,
    /// The step's or session's title.
    pub title: &'a str,
}

/// The longest slug of a title.
const SLUG: usize = 40;

/// `runyard/r-SESSION-STEP-SLUG-HASH`, without STEP for a change of the whole session. The hash is made of session and
/// change, so that two changes never share a branch, not even of two installations with one forge.
pub fn change_branch(seed: &BranchSeed<'_>) -> BranchName {
    let digest = Sha256::digest(format!("{}/{}", seed.session, seed.key));
    let hash = hex::encode(&digest[..4]);
    let number = seed.number.0.to_string();
    let (step, slug) = (seed.step.map(slug).unwrap_or_default(), slug(seed.title));
    let parts = ["r", &number, &step, &slug, &hash];
    let name = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    format!("runyard/{name}").parse().expect("letters, digits and dashes make a branch name")
}

/// Lower-case ASCII letters and digits of `text`, words joined by dashes.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    if slug.len() > SLUG {
        let cut = slug[..SLUG].rfind('-').filter(|at| *at > SLUG / 2).unwrap_or(SLUG);
        slug.truncate(cut);
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn seed<'a>(key: &'a ChangeKey, step: Option<&'a str>, title: &'a str) -> BranchSeed<'a> {
        BranchSeed { number: SessionNumber(42), session: SessionId(Uuid::from_u128(7)), key, step, title }
    }

    #[test]
    fn names_say_what_they_are_for() {
        let step = ChangeKey::Step(domain::StepId(Uuid::from_u128(1)));
        let named = |seed| change_branch(&seed).to_string();
        insta::assert_snapshot!(named(seed(&step, Some("1"), "Add the `users` table")), @"runyard/r-42-1-add-the-users-table-ba155f92");
        insta::assert_snapshot!(named(seed(&ChangeKey::Session, None, "Überraschung: --output=/etc/x\n..")), @"runyard/r-42-berraschung-output-etc-x-0ea6fd2f");
        insta::assert_snapshot!(named(seed(&ChangeKey::Manual(2), Some("1.2"), "")), @"runyard/r-42-1-2-1716f8b9");
    }

    proptest! {
        #[test]
        fn any_title_makes_a_branch_name(title in ".{0,120}", step in "[0-9.]{0,6}", n in 0i64..9) {
            let (a, b) = (ChangeKey::Manual(n), ChangeKey::Manual(n + 1));
            let first = change_branch(&seed(&a, Some(&step), &title));
            prop_assert_ne!(first, change_branch(&seed(&b, Some(&step), &title)));
        }
    }
}
