//! What people type to find a session: words, and `state:`, `author:`, `repo:` and `branch:` before others.

use crate::{Phase, Problem, ProblemCode};

/// Longest text that is looked for, in bytes.
const LONGEST: usize = 1_000;

/// What is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Search {
    pub words: Vec<String>,
    pub authors: Vec<String>,
    pub repositories: Vec<String>,
    pub branches: Vec<String>,
    /// One of these is where it stands; all when there is none.
    pub states: Vec<&'static str>,
}

/// The names of where a session can stand.
const STATES: [&str; 8] = ["waiting", "planning", "executing", "working", "queued", "planned", "failed", "completed"];

impl Search {
    /// Reads what a person typed. Quotation marks hold words together; a word before a colon that is none of ours is part
    /// of a word like any other.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > LONGEST {
            let told = format!("the search has more than {LONGEST} bytes");
            return Err(Problem::new(ProblemCode::BadRequest, told).mend("look for fewer words"));
        }
        let mut search = Self::default();
        for word in words(text) {
            let (key, value) = word.split_once(':').unwrap_or(("", &word));
            match key.to_lowercase().as_str() {
                "" if word.starts_with(':') => search.words.push(word),
                "author" if !value.is_empty() => search.authors.push(value.to_owned()),
                "repo" if !value.is_empty() => search.repositories.push(value.to_owned()),
                "branch" if !value.is_empty() => search.branches.push(value.to_owned()),
                "state" => search.states.push(state(value)?),
                // What is still being typed.
                "author" | "repo" | "branch" => {}
                _ => search.words.push(word),
            }
        }
        Ok(search)
    }

    /// Whether a session that stands there is looked for.
    pub fn wants(&self, phase: &Phase) -> bool {
        let name = match phase {
            Phase::Waiting => "waiting",
            Phase::Planning => "planning",
            Phase::Executing { .. } => "executing",
            Phase::Working { .. } => "working",
            Phase::Queued => "queued",
            Phase::PlanFailed { .. } | Phase::Failed { .. } => "failed",
            Phase::Planned => "planned",
            Phase::Completed => "completed",
        };
        self.states.is_empty() || self.states.contains(&name)
    }
}

fn state(name: &str) -> Result<&'static str, Problem> {
    let found = STATES.into_iter().find(|state| state.eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let told = format!("no session can be `{}`", name.escape_debug());
        Problem::new(ProblemCode::BadRequest, told).mend(format!("`state:` takes one of: {}", STATES.join(", ")))
    })
}

/// Words between blanks; what stands between quotation marks is held together.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            blank if blank.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    words.retain(|word| !word.trim().is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_what_stands_before_a_colon_are_told_apart() {
        let text = r#"http "the client"  state:Waiting repo:back author:"Ada L" branch:r42 Author:grace https://x :y "#;
        let search = Search::parse(text).expect("reads");
        assert_eq!(search.words, ["http", "the client", "https://x", ":y"]);
        assert_eq!((search.states.as_slice(), search.repositories), (["waiting"].as_slice(), vec!["back".to_owned()]));
        assert_eq!((search.authors, search.branches), (vec!["Ada L".into(), "grace".into()], vec!["r42".into()]));
        assert_eq!(Search::parse("author: repo: branch:").expect("reads"), Search::default());
        assert_eq!(Search::parse("  \"\" ").expect("reads"), Search::default());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        let problem = Search::parse("state:happy").expect_err("no state");
        assert_eq!(problem.message, "no session can be `happy`");
        assert!(problem.mend.expect("a mend").contains("waiting, planning"));
        assert!(Search::parse("state:").is_err());
        assert!(Search::parse(&"x".repeat(1_001)).is_err());
    }
}
