//! What a document that is no runbook says of itself and of files: for the context files of a team.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// So many files of one document count.
const MOST: usize = 200;
/// The longest path, in bytes.
const LONGEST: usize = 200;

/// The text of the first heading of level 1, without its markup.
pub fn first_heading(text: &str) -> Option<String> {
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::empty()) {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { level: HeadingLevel::H1, .. }), _) => heading = Some(String::new()),
            (Event::End(TagEnd::Heading(HeadingLevel::H1)), Some(found)) => {
                let found = found.split_whitespace().collect::<Vec<_>>().join(" ");
                if !found.is_empty() {
                    return Some(found);
                }
                heading = None;
            }
            (Event::Text(part) | Event::Code(part), Some(found)) => found.push_str(&part),
            (Event::SoftBreak | Event::HardBreak, Some(found)) => found.push(' '),
            _ => {}
        }
    }
    None
}

/// What looks like the path of a file in inline code, lists and code blocks, each once and in order. Whether there are
/// such files is for the reader to see.
pub fn file_references(text: &str) -> Vec<String> {
    let (mut found, mut items, mut code) = (Vec::new(), 0_usize, false);
    let mut take = |words: &str| {
        for path in words.split_whitespace().filter_map(path_in) {
            if found.len() < MOST && !found.contains(&path) {
                found.push(path);
            }
        }
    };
    for event in Parser::new_ext(text, Options::empty()) {
        match event {
            Event::Start(Tag::Item) => items += 1,
            Event::End(TagEnd::Item) => items -= 1,
            Event::Start(Tag::CodeBlock(_)) => code = true,
            Event::End(TagEnd::CodeBlock) => code = false,
            Event::Code(words) => take(&words),
            Event::Text(words) if code || items > 0 => take(&words),
            _ => {}
        }
    }
    found
}

/// The path in one word: without what stands around it, and without a line's number behind it.
fn path_in(word: &str) -> Option<String> {
    let around = |c: char| {
        matches!(c, ',' | ';' | ':' | '(' | ')' | '[' | ']' | '{' | '}' | '"' | '\'' | '`' | '<' | '>' | '!' | '?')
    };
    let word = word.trim_start_matches(around).trim_end_matches(|c| around(c) || c == '.');
    let path = match word.rsplit_once(':') {
        Some((path, line)) if line.bytes().all(|byte| byte.is_ascii_digit()) => path,
        _ => word,
    };
    let path = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '@' | '+');
    let inside = !path.starts_with('/') && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    let has_end = path.rsplit('/').next().is_some_and(|name| name.contains('.') && !name.ends_with('.'));
    let named = path.contains('/') || has_end;
    (inside && named && path.len() <= LONGEST && path.chars().all(fits)).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_is_the_first_heading_of_level_1() {
        assert_eq!(first_heading("## No\n\n# The `auth` *flow*\n\n# Second"), Some("The auth flow".to_owned()));
        assert_eq!(first_heading("Title\nof two lines\n=====\n"), Some("Title of two lines".to_owned()));
        assert_eq!(first_heading("#\n\n# Second"), Some("Second".to_owned()));
        assert_eq!(first_heading("```\n# a comment\n```\n"), None);
    }

    #[test]
    fn paths_are_found_in_code_lists_and_blocks_only() {
        let text = "# Auth\n\nSee docs/prose.md and `src/a.py:12`, `./src/b`, `x`.\n\n- first src/c.rs, then (src/d.rs).\n\n```sh\n\
                    cat tests/e_test.go | head\n```\n\nAgain `src/a.py`.";
        assert_eq!(file_references(text), ["src/a.py", "src/b", "src/c.rs", "src/d.rs", "tests/e_test.go"]);
    }

    #[test]
    fn what_leads_out_or_is_no_path_is_not_one() {
        let text = "`/etc/passwd` `../x/y` `a/../b` `https://example.org/x.md` `a//b` `b/c;rm` `$HOME/x` `1` `...`";
        assert_eq!(file_references(text), Vec::<String>::new());
    }

    #[test]
    fn there_are_never_too_many() {
        let text = (0..1000).map(|n| format!("- src/f{n}.rs\n")).collect::<Vec<_>>().concat();
        assert_eq!(file_references(&text).len(), MOST);
    }
}
