//! The house rules that neither rustfmt nor clippy knows.

mod features;
mod rooms;

use crate::{shell, workspace};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;

/// A file longer than this holds more than one idea.
const MOST_LINES: usize = 600;

/// Words that mark something unfinished; put together here so that this file does not break its own rule.
const UNFINISHED: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("db", "g!("),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
];

/// Checks all rules and reports every place that breaks one.
pub fn check() -> Result<()> {
    let listed = shell::capture(Command::new("git").current_dir(workspace::root()).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let machine = machine_paths();
    let mut broken = Vec::new();
    for name in listed.lines() {
        // A file may be listed and gone, or be no text at all.
        let Ok(text) = std::fs::read_to_string(workspace::root().join(name)) else { continue };
        broken.extend(rules_of_a_file(name, &text, &machine));
    }
    broken.extend(rooms::check()?);
    broken.extend(features::check()?);
    if !broken.is_empty() {
        bail!("{} house rules are broken\n  {}", broken.len(), broken.join("\n  "));
    }
    Ok(())
}

fn rules_of_a_file(name: &str, text: &str, machine: &[String]) -> Vec<String> {
    let mut broken = Vec::new();
    let fixture = name.contains("/fixtures/");
    let extension = Path::new(name).extension().unwrap_or_default();
    if extension == "rs" {
        let lines = text.lines().count();
        if lines > MOST_LINES {
            broken.push(format!("{name}: {lines} lines; split it by idea (at most {MOST_LINES})"));
        }
        let head = ["/lib.rs", "/main.rs"].iter().any(|end| name.ends_with(end));
        if head && !text.starts_with("//!") {
            broken.push(format!("{name}:1: a crate starts by saying what it is for (//!)"));
        }
        for (number, word) in each(text, &UNFINISHED) {
            broken.push(format!("{name}:{number}: {word} is unfinished; finish it or file an issue"));
        }
    }
    if extension == "rs" && name.starts_with("crates/engine/src/") {
        broken.extend(mends_of_the_command_line(name, text));
    }
    if !fixture {
        for (number, path) in each(text, machine) {
            broken.push(format!("{name}:{number}: {path} is a path of this machine"));
        }
    }
    if extension == "md" && !fixture {
        broken.extend(dead_links(name, text));
    }
    broken
}

fn each<'a, S: AsRef<str>>(text: &str, words: &'a [S]) -> Vec<(usize, &'a str)> {
    let lines = text.lines().enumerate();
    let found = lines.filter_map(|(at, line)| {
        words.iter().map(AsRef::as_ref).find(|word| line.contains(word)).map(|word| (at + 1, word))
    });
    found.collect()
}

/// What the engine says to do next is read on the page too, where nobody has flags.
fn mends_of_the_command_line(name: &str, text: &str) -> Vec<String> {
    const TELLING: [&str; 4] = [" --", "`runyard session", "`runyard repo", "`runyard pr"];
    let lines = text.lines().enumerate().filter_map(|(at, line)| line.split_once(".mend(").map(|(_, mend)| (at, mend)));
    let found = lines.filter(|(_, mend)| TELLING.iter().any(|telling| mend.contains(telling)));
    found.map(|(at, _)| format!("{name}:{}: a mend for the command line goes into `.command(…)`", at + 1)).collect()
}

/// Folders that exist on the machine of whoever wrote the file and nowhere else.
fn machine_paths() -> Vec<String> {
    let home = std::env::var("HOME").unwrap_or_default();
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_default();
    let own = workspace::root().display().to_string();
    let telling = |path: &String| path.starts_with('/') && path.len() > "/root".len();
    [own, home, target].into_iter().filter(telling).collect()
}

/// Relative links of a document that lead nowhere.
fn dead_links(name: &str, text: &str) -> Vec<String> {
    let folder = workspace::root().join(name);
    let folder = folder.parent().unwrap_or(Path::new("/"));
    let mut dead = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for link in line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let file = link.split('#').next().unwrap_or_default();
            let outside = file.contains("://") || file.starts_with("mailto:") || file.contains(' ');
            if !file.is_empty() && !outside && !folder.join(file).exists() {
                dead.push(format!("{name}:{}: the link to {file} leads nowhere", at + 1));
            }
        }
    }
    dead
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(name: &str, text: &str) -> Vec<String> {
        rules_of_a_file(name, text, &["/home/someone/runyard".to_owned()])
    }

    #[test]
    fn a_clean_file_breaks_nothing() {
        assert!(broken("crates/x/src/lib.rs", "//! What it is for.\n\nmod a;\n").is_empty());
    }

    #[test]
    fn each_rule_bites() {
        let long = format!("//! Long.\n{}", "mod a;\n".repeat(MOST_LINES));
        assert!(broken("crates/x/src/lib.rs", &long)[0].contains("601 lines"));
        assert!(broken("crates/x/src/main.rs", "fn main() {}\n")[0].contains("saying what it is for"));
        let unfinished = format!("//! X.\n// {} later\n", UNFINISHED[0]);
        assert!(broken("crates/x/src/a.rs", &unfinished)[0].starts_with("crates/x/src/a.rs:2"));
        assert!(broken("a.toml", "path = \"/home/someone/runyard/x\"\n")[0].contains("path of this machine"));
        assert!(
            broken("README.md", "see [this](docs/none.md#x) and [that](https://a.b/c)\n")[0].contains("docs/none.md")
        );
    }

    #[test]
    fn a_mend_of_the_engine_names_no_flag() {
        let name = "crates/engine/src/a.rs";
        assert_eq!(broken(name, "x.mend(\"name one with --repo\")\n").len(), 1);
        assert!(broken(name, "x.mend(\"name one\")\n    .command(\"name one with --repo\")\n").is_empty());
    }

    #[test]
    fn fixtures_may_hold_what_they_like() {
        assert!(broken("tests/fixtures/a.md", "[x](y.md) /home/someone/runyard\n").is_empty());
    }
}
