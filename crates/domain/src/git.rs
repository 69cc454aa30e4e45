//! Names of git objects and branches, checked once where they enter.

use crate::text::is_unseen_in_a_name;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A text that is not a full object id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a full object id: expected 40 or 64 hexadecimal digits in lower case")]
pub struct InvalidCommit(pub String);

/// The full id of a git object, SHA-1 or SHA-256, in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(String);

impl CommitId {
    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl FromStr for CommitId {
    type Err = InvalidCommit;

    fn from_str(text: &str) -> Result<Self, InvalidCommit> {
        let hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hex && matches!(text.len(), 40 | 64) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidCommit(text.to_owned()))
        }
    }
}

impl TryFrom<String> for CommitId {
    type Error = InvalidCommit;

    fn try_from(text: String) -> Result<Self, InvalidCommit> {
        text.parse()
    }
}

impl From<CommitId> for String {
    fn from(commit: CommitId) -> Self {
        commit.0
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommitId({})", self.0)
    }
}

/// A branch name that git would refuse, or that could be read as something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a branch name: {reason}", all_shown(name))]
pub struct InvalidBranch {
    /// What was read.
    pub name: String,
    /// Which rule it breaks.
    pub reason: &'static str,
}

/// A refused name with everything in it that is not seen as its number.
fn all_shown(name: &str) -> String {
    name.chars().fold(String::new(), |mut shown, c| {
        if is_unseen_in_a_name(c) && c != ' ' {
            shown.extend(c.escape_unicode());
        } else {
            shown.extend(c.escape_debug());
        }
        shown
    })
}

/// A branch name without `refs/heads/`, as git's `check-ref-format --branch` accepts it, that shows all its characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BranchName(String);

impl BranchName {
    /// The name without `refs/heads/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full name of the ref.
    pub fn full_ref(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

impl FromStr for BranchName {
    type Err = InvalidBranch;

    /// The rules of gitrevisions and git-check-ref-format(1), no more than 200 bytes, and nothing that cannot be seen: a
    /// branch that looks like `main` and is another would be pushed to and merged by people who read its name.
    fn from_str(name: &str) -> Result<Self, InvalidBranch> {
        let refuse = |reason| Err(InvalidBranch { name: name.to_owned(), reason });
        if name.is_empty() || name.len() > 200 {
            return refuse("it must have 1 to 200 bytes");
        }
        if name.starts_with('-') || name == "HEAD" || name == "@" {
            return refuse("it could be read as an option or as a revision");
        }
        if name.chars().any(|c| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\')) {
            return refuse("it must not hold blanks, control characters or any of ~^:?*[\\");
        }
        if name.chars().any(is_unseen_in_a_name) {
            return refuse(
                "it must not hold characters that are not seen or that reorder the text; rename the branch with `git branch -m`",
            );
        }
        if name.contains("..") || name.contains("@{") || name.contains("//") {
            return refuse("it must not hold `..`, `@{` or `//`");
        }
        let bad_part = |part: &str| {
            part.is_empty()
                || part.starts_with('.')
                || part.ends_with('.')
                || std::path::Path::new(part).extension().is_some_and(|extension| extension == "lock")
        };
        if name.split('/').any(bad_part) {
            return refuse("no part between slashes may be empty, start or end with a dot, or end with `.lock`");
        }
        Ok(Self(name.to_owned()))
    }
}

impl TryFrom<String> for BranchName {
    type Error = InvalidBranch;

    fn try_from(name: String) -> Result<Self, InvalidBranch> {
        name.parse()
    }
}

impl From<BranchName> for String {
    fn from(branch: BranchName) -> Self {
        branch.0
    }
}

impl fmt::Display for BranchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BranchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BranchName({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_branch_names_are_refused() {
        for name in [
            "",
            "-x",
            "--output=/etc/x",
            "a..b",
            "refs/heads/../../x",
            "a\nb",
            "a\u{1b}[31m",
            "x.lock",
            "x.lock/y",
            "@{-1}",
            "HEAD",
            "a b",
            "a//b",
            "/a",
            "a/",
            ".a",
            "a/.b",
            "a:b",
            "a?b",
            "a\\b",
            "a.",
        ] {
            assert!(name.parse::<BranchName>().is_err(), "{name:?}");
        }
        for name in ["main", "runyard/r-42/1-schema", "feature/ünïcode", "功能/登录", "привет", "a-b_c.d"] {
            assert_eq!(name.parse::<BranchName>().expect(name).as_str(), name);
        }
    }

    #[test]
    fn names_that_look_like_others_are_refused_and_shown_by_their_numbers() {
        // Reordering, without a width, a blank of another alphabet, a filler, a variation, a tag, an end of line.
        let unseen = "\u{202e}\u{2066}\u{200e}\u{61c}\u{200b}\u{200d}\u{2060}\u{feff}\u{ad}\u{a0}\u{2003}\u{3000}\u{3164}\u{2800}\u{34f}\u{fe0f}\u{e0061}\u{e0100}\u{2028}\u{85}\u{9b}";
        for c in unseen.chars() {
            for name in [format!("{c}main"), format!("ma{c}in"), format!("main{c}")] {
                let refused = name.parse::<BranchName>().expect_err("it is refused").to_string();
                assert!(!refused.contains(c), "{refused:?}");
                let as_stored = serde_json::to_string(&name).expect("text");
                assert!(serde_json::from_str::<BranchName>(&as_stored).is_err(), "{name:?}");
            }
        }
    }

    #[test]
    fn only_full_object_ids_are_commits() {
        assert!("abc".parse::<CommitId>().is_err());
        assert!("--exec=x".parse::<CommitId>().is_err());
        assert!("A".repeat(40).parse::<CommitId>().is_err());
        assert_eq!("a".repeat(40).parse::<CommitId>().expect("valid").short(), "aaaaaaaaaaaa");
    }
}
