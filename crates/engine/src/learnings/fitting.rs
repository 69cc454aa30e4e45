//! Which learnings a run is told of.

use crate::ranking;
use domain::{Knowledge, Learning, LearningState, Piece};
use std::{cmp::Reverse, collections::HashSet};

/// So many a run is told of at most.
pub(crate) const MOST_TOLD: usize = 8;

/// How much of them a run is told, in bytes of what they say.
pub(crate) const TOLD_BUDGET: usize = 8 * 1024;

/// Files in the root that say with what a repository is built.
pub(crate) const MANIFESTS: &[&str] = &[
    "Cargo.toml",
    "package.json",
    "pyproject.toml",
    "requirements.txt",
    "requirements-dev.txt",
    "setup.cfg",
    "tox.ini",
    "go.mod",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "Gemfile",
    "composer.json",
    "mix.exs",
    "Makefile",
    "Dockerfile",
];

/// What is written in files that end so.
const LANGUAGES: &[(&str, &str)] = &[
    ("rs", "rust"),
    ("py", "python"),
    ("go", "golang"),
    ("ts", "typescript"),
    ("tsx", "typescript"),
    ("js", "javascript"),
    ("jsx", "javascript"),
    ("rb", "ruby"),
    ("kt", "kotlin"),
    ("cs", "csharp"),
    ("ex", "elixir"),
    ("sh", "bash"),
];

/// What a repository shows of the files, frameworks and commands that it has.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    paths: Vec<String>,
    words: HashSet<String>,
}

impl Evidence {
    /// From its paths and the texts of its manifests.
    pub fn new(paths: Vec<String>, manifests: &[String]) -> Self {
        let mut words: HashSet<String> = manifests.iter().flat_map(|text| ranking::words(text)).collect();
        for path in &paths {
            // Deeper ones name what the repository is about, not what it is built with.
            if path.matches('/').count() < 2 {
                words.extend(ranking::words(path));
            }
            let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
            if let Some((_, language)) = LANGUAGES.iter().find(|(of, _)| *of == ending) {
                words.extend(ranking::words(language));
            }
            if path.ends_with("conftest.py") {
                words.insert("pytest".to_owned());
            }
        }
        Self { paths, words }
    }

    /// Whether the repository, or what is asked, has to do with a file, a framework or a command.
    fn shows(&self, subject: &str, asked: &HashSet<&str>) -> bool {
        let subject = subject.trim();
        if (subject.contains(['/', '*']) || subject.contains('.')) && self.paths.iter().any(|path| names(subject, path))
        {
            return true;
        }
        // Of a command its program, of a framework its name: `pytest -x`, `React 19`.
        let first = ranking::words(subject).into_iter().next();
        !subject.contains(['/', '*'])
            && first.is_some_and(|word| self.words.contains(&word) || asked.contains(word.as_str()))
    }
}

/// Whether a subject names a file: by its whole path, by its name, or by a folder that it is in.
fn names(subject: &str, path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let folder = subject.strip_suffix('/').map(|folder| format!("{folder}/"));
    domain::fits(subject, path)
        || (!subject.contains('/') && domain::fits(subject, name))
        || folder.is_some_and(|folder| path.starts_with(&folder))
}

/// The words of everything that it says.
pub(crate) fn about(learning: &Learning) -> Vec<String> {
    let mut words = ranking::words(&learning.pattern);
    words.extend(ranking::words(&learning.solution));
    words.extend(learning.applies_to.iter().flat_map(|subject| ranking::words(subject)));
    words
}

/// The learnings that a run on the repository is told of, best first: active ones about it whose files, frameworks or
/// commands it has, or, when they name none, whose words are asked for. Where they fit alike, those that were used more
/// come first, then newer ones. Of several that say nearly the same, the best one.
pub(crate) fn fitting<'a>(
    all: &'a [Knowledge],
    repository: &str,
    asked: &str,
    evidence: &Evidence,
) -> Vec<(&'a Knowledge, &'a Learning)> {
    let candidates: Vec<(&Knowledge, &Learning)> = all
        .iter()
        .filter_map(|known| match &known.piece {
            Piece::Learning(learning) => Some((known, learning)),
            Piece::ContextFile(_) | Piece::Persona(_) => None,
        })
        .filter(|(_, learning)| learning.state == LearningState::Active && learning.concerns(repository))
        .collect();
    let texts: Vec<Vec<String>> = candidates.iter().map(|(_, learning)| about(learning)).collect();
    let asked = ranking::words(asked);
    let scores = ranking::scores(&texts, &asked);
    let asked: HashSet<&str> = asked.iter().map(String::as_str).collect();
    let mut fitting: Vec<usize> = (0..candidates.len())
        .filter(|place| {
            let (subjects, score) = (&candidates[*place].1.applies_to, scores[*place]);
            if subjects.is_empty() { score > 0 } else { subjects.iter().any(|it| evidence.shows(it, &asked)) }
        })
        .collect();
    fitting.sort_by_key(|place| {
        let known = candidates[*place].0;
        (Reverse(scores[*place]), Reverse(known.used), Reverse(known.changed_at), known.id)
    });
    let mut told: Vec<usize> = Vec::new();
    let mut room = TOLD_BUDGET;
    for place in fitting {
        let learning = candidates[place].1;
        let length = learning.pattern.len() + learning.solution.len();
        if told.len() == MOST_TOLD {
            break;
        }
        if length > room || told.iter().any(|other| ranking::nearly_same(&texts[*other], &texts[place])) {
            continue;
        }
        room -= length;
        told.push(place);
    }
    told.into_iter().map(|place| candidates[place]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{AccountId, KnowledgeId, Timestamp};
    use uuid::Uuid;

    fn known(n: u128, pattern: &str, applies_to: &[&str]) -> Knowledge {
        Knowledge {
            id: KnowledgeId(Uuid::from_u128(n)),
            account: AccountId(Uuid::nil()),
            owner: None,
            version: 1,
            piece: Piece::Learning(Learning {
                pattern: pattern.to_owned(),
                solution: format!("remedy{n}"),
                applies_to: applies_to.iter().map(|subject| (*subject).to_owned()).collect(),
                repositories: Vec::new(),
                state: LearningState::Active,
            }),
            author: None,
            created_at: Timestamp(0),
            changed_at: Timestamp(0),
            used: 0,
            used_at: None,
        }
    }

    fn changed(mut known: Knowledge, change: impl FnOnce(&mut Learning)) -> Knowledge {
        if let Piece::Learning(learning) = &mut known.piece {
            change(learning);
        }
        known
    }

    fn told(all: &[Knowledge], asked: &str, evidence: &Evidence) -> Vec<u128> {
        fitting(all, "shop", asked, evidence).iter().map(|(known, _)| known.id.0.as_u128()).collect()
    }

    fn python() -> Evidence {
        let paths = ["src/shop/cart.py", "tests/conftest.py", "pyproject.toml"];
        Evidence::new(paths.map(str::to_owned).to_vec(), &["[tool.pytest.ini_options]\ndjango = 5".to_owned()])
    }

    fn go() -> Evidence {
        Evidence::new(["go.mod", "cmd/main.go"].map(str::to_owned).to_vec(), &["module shop".to_owned()])
    }

    #[test]
    fn one_about_a_framework_is_told_where_the_framework_is_and_nowhere_else() {
        let all = [known(1, "pytest finds no tests", &["pytest"])];
        assert_eq!(told(&all, "Add a discount", &python()), [1]);
        assert_eq!(told(&all, "Add a discount and tests", &go()), Vec::<u128>::new());
        assert_eq!(told(&all, "Move to pytest", &go()), [1], "what is asked counts too");
        let subjects = ["Django 5", "*.py", "cart.py", "src/shop/*", "tests/", "pytest -x", "Python"];
        for subject in subjects {
            let all = [known(1, "x", &[subject])];
            assert_eq!(told(&all, "y", &python()), [1], "{subject}");
            assert_eq!(told(&all, "y", &go()), Vec::<u128>::new(), "{subject}");
        }
    }

    #[test]
    fn what_is_not_active_or_not_about_the_repository_is_told_to_nobody() {
        let here = known(1, "the cart loses items", &[]);
        let all = [
            changed(here.clone(), |it| it.state = LearningState::Proposed),
            changed(here.clone(), |it| it.state = LearningState::Off),
            changed(here.clone(), |it| it.repositories = vec!["api".to_owned()]),
        ];
        assert_eq!(told(&all, "the cart", &python()), Vec::<u128>::new());
        assert_eq!(told(std::slice::from_ref(&here), "the cart", &python()), [1]);
        assert_eq!(told(&[here], "the invoice", &python()), Vec::<u128>::new(), "it has nothing to do with it");
    }

    #[test]
    fn better_ones_come_first_then_those_used_more_then_newer_ones() {
        let same = |n| known(n, "the cart loses items", &[]);
        let all = [
            known(1, "the cart and the invoice differ", &[]),
            Knowledge { used: 3, ..same(2) },
            Knowledge {
                changed_at: Timestamp(9),
                ..changed(same(3), |it| it.solution = "something else entirely done".to_owned())
            },
            changed(same(4), |it| it.solution = "turn around three times".to_owned()),
        ];
        assert_eq!(told(&all, "cart invoice", &python())[0], 1);
        let all = [
            changed(same(1), |it| it.solution = "one two".to_owned()),
            Knowledge { changed_at: Timestamp(9), ..changed(same(2), |it| it.solution = "three four".to_owned()) },
            Knowledge { used: 3, ..changed(same(3), |it| it.solution = "five six".to_owned()) },
        ];
        assert_eq!(told(&all, "cart", &python()), [3, 2, 1]);
    }

    #[test]
    fn there_is_a_bound_to_how_many_and_to_how_much() {
        let many: Vec<Knowledge> = (0..40_u32)
            .map(|n| changed(known(n.into(), "cart", &[]), |it| it.solution = format!("a{n} b{n} c{n} d{n}")))
            .collect();
        assert_eq!(told(&many, "cart", &python()).len(), MOST_TOLD);
        let long: Vec<Knowledge> = (0..40_u32)
            .map(|n| changed(known(n.into(), "cart", &[]), |it| it.solution = format!("w{n}x ").repeat(400)))
            .collect();
        let bytes: usize = fitting(&long, "shop", "cart", &python()).iter().map(|(_, it)| it.solution.len()).sum();
        assert!(bytes > TOLD_BUDGET / 2 && bytes <= TOLD_BUDGET, "{bytes}");
        let same: Vec<Knowledge> =
            (0..40).map(|n| changed(known(n, "cart", &[]), |it| it.solution = "do it well".to_owned())).collect();
        assert_eq!(told(&same, "cart", &python()).len(), 1, "what says the same is told once");
    }
}
