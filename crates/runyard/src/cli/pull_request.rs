//! `runyard pr`.

use super::{JsonArg, session::Wait};
use clap::{Args, Subcommand};
use domain::SessionNumber;
use std::str::FromStr;

/// A pull request as people write it.
#[derive(Debug, Clone, Args)]
pub struct PrNumber {
    /// The pull request's number, with or without `#`
    #[arg(value_name = "NUMBER", value_parser = number)]
    pub number: i64,
    /// The repository's name or path, when there is more than one
    #[arg(long, value_name = "NAME|PATH")]
    pub repo: Option<String>,
}

fn number(text: &str) -> Result<i64, String> {
    text.strip_prefix('#')
        .unwrap_or(text)
        .parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("`{text}` is not the number of a pull request"))
}

/// A comment on a line: `FILE:LINE=TEXT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineComment {
    /// The file.
    pub path: String,
    /// The line in the new version, from 1.
    pub line: i64,
    /// What is said.
    pub text: String,
}

impl FromStr for LineComment {
    type Err = String;

    fn from_str(comment: &str) -> Result<Self, String> {
        let (place, text) = comment.split_once('=').ok_or_else(|| format!("`{comment}` is not FILE:LINE=TEXT"))?;
        let (path, line) = place_of(place)?;
        Ok(Self { path, line, text: text.to_owned() })
    }
}

fn place_of(place: &str) -> Result<(String, i64), String> {
    place
        .rsplit_once(':')
        .and_then(|(path, line)| Some((path.to_owned(), line.parse().ok().filter(|line| *line > 0)?)))
        .filter(|(path, _)| !path.is_empty())
        .ok_or_else(|| format!("`{place}` is not FILE:LINE"))
}

/// What can be done with pull requests.
#[derive(Debug, Subcommand)]
pub enum PrCommand {
    /// List pull requests, newest first
    List {
        /// Only those of this session
        #[arg(long, value_name = "SESSION")]
        session: Option<SessionNumber>,
        /// Only those of this repository
        #[arg(long, value_name = "NAME|PATH")]
        repo: Option<String>,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Show a pull request: description, commits, checks, conversation
    Show {
        #[command(flatten)]
        pr: PrNumber,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Print the diff of a pull request
    Diff {
        #[command(flatten)]
        pr: PrNumber,
    },
    /// Merge a pull request
    Merge {
        #[command(flatten)]
        pr: PrNumber,
        /// One commit instead of all
        #[arg(long)]
        squash: bool,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Take the mark of a draft off a pull request, so that it can be merged
    Ready {
        #[command(flatten)]
        pr: PrNumber,
    },
    /// Comment on a pull request, or on a line of it
    #[command(after_help = "Example: runyard pr comment 3 --line src/lib.rs:42 \"This can overflow\"")]
    Comment {
        #[command(flatten)]
        pr: PrNumber,
        /// What to say
        body: String,
        /// Begin a review thread on this line of the new version
        #[arg(long, value_name = "FILE:LINE", value_parser = place_of)]
        line: Option<(String, i64)>,
    },
    /// Review a pull request: comments on lines, a verdict, and the changes that you want
    #[command(after_help = "\
Example:
  runyard pr review 3 --line \"src/lib.rs:42=This can overflow\" --line \"README.md:7=Typo\" \\
      \"Nearly there\" --request-changes")]
    Review {
        #[command(flatten)]
        pr: PrNumber,
        /// A comment on the whole
        body: Option<String>,
        /// A comment on a line of the new version; may be repeated
        #[arg(long = "line", value_name = "FILE:LINE=TEXT")]
        lines: Vec<LineComment>,
        /// Hand everything that is unresolved to the agent
        #[arg(long)]
        request_changes: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Hand all unresolved review threads to the agent
    Revise {
        #[command(flatten)]
        pr: PrNumber,
        /// Told on top
        instructions: Option<String>,
        #[command(flatten)]
        wait: Wait,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_comments_are_read() {
        assert_eq!(place_of("a:b.rs:7"), Ok(("a:b.rs".to_owned(), 7)));
        for text in ["a.rs", "a.rs:0", ":3", "a.rs:x"] {
            assert!(place_of(text).is_err(), "{text}");
        }
        let comment: LineComment = "a.rs:3=x = y".parse().expect("read");
        assert_eq!((comment.path.as_str(), comment.line, comment.text.as_str()), ("a.rs", 3, "x = y"));
        assert_eq!(number("#12"), Ok(12));
        assert!(number("0").is_err());
    }
}
