//! Commits that we make: their messages and who made them.

use crate::{Error, Mirror};
use domain::{CommitId, RunId, SessionNumber, Timestamp, is_invisible};

/// The widest line of a message, in characters.
const WIDTH: usize = 72;

/// Who made a commit, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Their name.
    pub name: String,
    /// Their mail address.
    pub email: String,
    /// When; git keeps whole seconds.
    pub at: Timestamp,
}

/// A commit message: a subject, paragraphs, trailers.
///
/// Whatever text goes in, the subject is one clean line of at most 72 characters, and only [`Message::trailer`] and its
/// kin make trailers: a line of the text that could be read as one, or as the end of the message, is set off by `> `.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    subject: String,
    body: String,
    trailers: Vec<(String, String)>,
}

impl Message {
    /// A message with this subject. Backticks are dropped from it: it is shown where Markdown is not.
    pub fn new(subject: &str) -> Self {
        let mut subject = one_line(subject).replace('`', "");
        // Git takes a line that begins so for the end of the message.
        if subject.starts_with("---") {
            subject = subject.trim_start_matches(['-', ' ']).to_owned();
        }
        if subject.is_empty() {
            "Change files".clone_into(&mut subject);
        }
        Self { subject: shortened(&subject), body: String::new(), trailers: Vec::new() }
    }

    /// Adds text after a blank line. Long lines of prose are wrapped; indented and fenced lines stay as they are.
    #[must_use]
    pub fn paragraph(mut self, text: &str) -> Self {
        let text = wrapped(text);
        if !text.is_empty() {
            if !self.body.is_empty() {
                self.body.push_str("\n\n");
            }
            self.body.push_str(&text);
        }
        self
    }

    /// Adds a trailer. Line breaks and control characters of the value become blanks; characters other than letters,
    /// digits and `-` are dropped from the key.
    #[must_use]
    pub fn trailer(mut self, key: &str, value: &str) -> Self {
        let key: String = key.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        let value = one_line(value);
        if !key.is_empty() && !value.is_empty() {
            self.trailers.push((key, value));
        }
        self
    }

    /// Says which session, step and run made it, as people write them: trailers `Runyard-Session: r/42`, `Runyard-Step:
    /// 1.1`, `Runyard-Run` with the run's id.
    #[must_use]
    pub fn provenance(self, session: SessionNumber, step: Option<&str>, run: Option<RunId>) -> Self {
        let message = self.trailer("Runyard-Session", &session.to_string());
        let message = match step {
            Some(step) => message.trailer("Runyard-Step", step),
            None => message,
        };
        match run {
            Some(run) => message.trailer("Runyard-Run", &run.to_string()),
            None => message,
        }
    }

    /// Names somebody who shares in it: `Co-authored-by`.
    #[must_use]
    pub fn co_author(self, name: &str, email: &str) -> Self {
        let who = format!("{} <{}>", clean_name(name, email), clean_email(email));
        self.trailer("Co-authored-by", &who)
    }

    /// The subject line.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The whole text, ending in a line break.
    pub fn render(&self) -> String {
        let mut text = format!("{}\n", self.subject);
        if !self.body.is_empty() {
            text.push('\n');
            text.push_str(&self.body);
            text.push('\n');
        }
        if !self.trailers.is_empty() {
            text.push('\n');
            for (key, value) in &self.trailers {
                text.push_str(key);
                text.push_str(": ");
                text.push_str(value);
                text.push('\n');
            }
        }
        text
    }
}

impl Mirror {
    /// Makes a commit of a tree that the mirror has. The same arguments give the same commit.
    pub async fn commit_tree(
        &self,
        tree: &CommitId,
        parents: &[CommitId],
        message: &Message,
        author: &Signature,
        committer: &Signature,
    ) -> Result<CommitId, Error> {
        // The one place where words of ours and of strangers get into objects of git.
        let safe = |text: &str| self.git().safe(text);
        let mut call = self.call("commit-tree");
        for parent in parents {
            call = call.args(["-p", parent.as_str()]);
        }
        for (role, who) in [("AUTHOR", author), ("COMMITTER", committer)] {
            call = call
                .env(format!("GIT_{role}_NAME"), clean_name(&safe(&who.name), &who.email))
                .env(format!("GIT_{role}_EMAIL"), clean_email(&who.email))
                .env(format!("GIT_{role}_DATE"), format!("@{} +0000", who.at.0.max(0) / 1_000_000));
        }
        call.arg(tree.as_str()).stdin(safe(&message.render())).run().await?.id()
    }
}

/// A name as git takes it, never empty.
fn clean_name(name: &str, email: &str) -> String {
    let clean = |text: &str| {
        one_line(text).replace(['<', '>'], "").trim_matches([' ', '.', ',', ':', ';', '"', '\'', '\\']).to_owned()
    };
    let name = clean(name);
    if !name.is_empty() {
        return name;
    }
    let local = clean(email.split('@').next().unwrap_or_default());
    if local.is_empty() { "unknown".to_owned() } else { local }
}

fn clean_email(email: &str) -> String {
    let email: String = one_line(email).chars().filter(|c| !matches!(c, '<' | '>' | ' ')).collect();
    if email.is_empty() { "unknown@localhost".to_owned() } else { email }
}

fn one_line(text: &str) -> String {
    let spaced: String = text
        .chars()
        .filter(|c| !is_invisible(*c))
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shortened(subject: &str) -> String {
    if subject.chars().count() <= WIDTH {
        return subject.to_owned();
    }
    let cut: String = subject.chars().take(WIDTH - 1).collect();
    let at = cut.rfind(' ').filter(|at| *at > cut.len() / 2).unwrap_or(cut.len());
    format!("{}…", cut[..at].trim_end())
}

fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        let line: String = line
            .chars()
            .filter(|c| !is_invisible(*c) && (!c.is_control() || *c == '\t'))
            .map(|c| if matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
            .collect();
        let line = line.trim_end();
        let fence = line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
        let verbatim = fenced || fence || line.starts_with("    ") || line.starts_with('\t');
        fenced ^= fence;
        if verbatim {
            lines.push(set_off(line));
        } else {
            wrap_line(line, &mut lines);
        }
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    let begin = lines.iter().position(|line| !line.is_empty()).unwrap_or(lines.len());
    lines.split_off(begin).join("\n")
}

/// Continuation lines keep the indent of a list item's text.
fn wrap_line(line: &str, lines: &mut Vec<String>) {
    let indent = line.len() - line.trim_start().len();
    let marker = ["- ", "* ", "+ "].iter().find(|marker| line[indent..].starts_with(**marker)).map_or(0, |m| m.len());
    let hanging = " ".repeat(indent + marker);
    let mut current = line[..indent].to_owned();
    let mut empty = true;
    for word in line[indent..].split_whitespace() {
        if !empty && current.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(set_off(&current));
            current.clone_from(&hanging);
            empty = true;
        }
        if !empty {
            current.push(' ');
        }
        current.push_str(word);
        empty = false;
    }
    lines.push(if empty { String::new() } else { set_off(&current) });
}

/// Keeps a line from being read as a trailer (git-interpret-trailers(1): `Key: value`, and git's own "(cherry picked
/// from …"), or as the end of the message (`---`, a scissors line, the head of a patch).
fn set_off(line: &str) -> String {
    let bare = line.trim_start();
    let key = bare.split_once(':').map(|(key, _)| key.trim_end()).filter(|key| !key.is_empty());
    let trailer =
        key.is_some_and(|key| key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && key.contains('-'));
    let ends = bare.starts_with("---")
        || bare.starts_with("diff --git ")
        || bare.starts_with("Index: ")
        || bare.contains(">8");
    if trailer || ends || bare.starts_with("(cherry picked from") { format!("> {line}") } else { line.to_owned() }
}
