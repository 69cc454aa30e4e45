//! Text that agents, checks and people wrote, made safe to stand in Markdown of ours: it can begin no section, hide
//! nothing, load nothing, call nobody, and end no block that it stands in. Pure.

/// Prose as it is, but for what reaches out of it: HTML (a comment would hide what follows), images (they are fetched
/// from anywhere) and mentions (they send mail). Code spans stay as they are.
pub(crate) fn prose(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    // A span that is open at a line's end may close anywhere below, so only spans of one line are taken for code, and
    // after an open one none is until the paragraph ends.
    let mut open = false;
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() {
            open = false;
        }
        let mut rest = line;
        while let Some(at) = rest.find('`') {
            let run = rest[at..].bytes().take_while(|byte| *byte == b'`').count();
            let escaped = rest[..at].bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
            let after = at + run;
            let end = if escaped || open { None } else { closing(&rest[after..], run) };
            plain(&mut safe, &rest[..at]);
            if let Some(end) = end {
                safe.push_str(&rest[at..after + end]);
                rest = &rest[after + end..];
            } else {
                open |= !escaped || run > 1;
                safe.push_str(&rest[at..after]);
                rest = &rest[after..];
            }
        }
        plain(&mut safe, rest);
    }
    safe
}

/// Where a code span that was opened by `run` backticks ends, within one line.
fn closing(text: &str, run: usize) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find('`') {
        let start = from + at;
        let found = text[start..].bytes().take_while(|byte| *byte == b'`').count();
        if found == run {
            return Some(start + found);
        }
        from = start + found;
    }
    None
}

fn plain(safe: &mut String, text: &str) {
    let mut before = safe.chars().next_back();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match c {
            '<' => safe.push_str("&lt;"),
            '!' if next == Some('[') => safe.push_str("\\!"),
            // A backslash before it would undo ours.
            '\\' if next == Some('!') => safe.push_str("\\\\"),
            '@' if next.is_some_and(char::is_alphanumeric) && !before.is_some_and(char::is_alphanumeric) => {
                // A word joiner: it looks the same and names nobody.
                safe.push_str("@\u{2060}");
            }
            '\n' | '\t' => safe.push(c),
            c if c.is_control() || reorders(c) => {}
            c => safe.push(c),
        }
        before = Some(c);
    }
}

/// Lines of Markdown as a quotation, which ends whatever was begun in it.
pub(crate) fn quoted(text: &str) -> String {
    let line = |line: &str| if line.is_empty() { ">".to_owned() } else { format!("> {line}") };
    text.lines().map(str::trim_end).map(line).collect::<Vec<_>>().join("\n")
}

/// One line of prose, for a place in a line of ours.
pub(crate) fn line(text: &str) -> String {
    prose(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The same for a cell of a table.
pub(crate) fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}

/// A path or a command's first line as code, which may be longer than it looks.
pub(crate) fn code(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let short: String = first.chars().filter(|c| !c.is_control()).take(LONGEST_CODE).map(shown).collect();
    let more = if lines.next().is_some() || first.chars().count() > LONGEST_CODE { " …" } else { "" };
    format!("`{}{more}`", short.replace('|', "\\|").replace('`', "'"))
}

/// A character as it is, or by its number when it would change how the text around it reads.
fn shown(c: char) -> String {
    if reorders(c) { format!("\\u{{{:x}}}", u32::from(c)) } else { c.to_string() }
}

/// Whether a character turns the text after it round (Unicode Standard Annex 9).
fn reorders(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Longest code in a line, in characters.
const LONGEST_CODE: usize = 200;

/// A block of text of any content.
pub(crate) fn fenced(text: &str) -> String {
    let longest = text.lines().map(|line| line.trim_start().bytes().take_while(|byte| *byte == b'`').count()).max();
    let fence = "`".repeat(longest.unwrap_or(0).max(2) + 1);
    let seen = |c: &char| !c.is_control() && !reorders(*c) || matches!(c, '\n' | '\t');
    let shown: String = text.trim_end().chars().filter(seen).collect();
    format!("{fence}text\n{shown}\n{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prose_reaches_out_of_nothing() {
        assert_eq!(prose("x <!-- hidden"), "x &lt;!-- hidden");
        assert_eq!(prose("ask @everyone, not ada@example.com"), "ask @\u{2060}everyone, not ada@example.com");
        assert_eq!(prose("![](http://x/y.png) \\![](z)"), "\\![](http://x/y.png) \\\\\\![](z)");
        assert_eq!(prose("`Vec<T>` and ``a ` <b>``"), "`Vec<T>` and ``a ` <b>``");
        assert_eq!(prose("a\u{1b}[31mred"), "a[31mred");
        assert_eq!(prose("pay \u{202e}eve\u{202c} and \u{2067}ada"), "pay eve and ada");
    }

    #[test]
    fn what_only_looks_like_code_is_not_taken_for_it() {
        assert_eq!(prose("\\`<b>`"), "\\`&lt;b>`");
        assert_eq!(prose("open ` here\nand `<b>` there"), "open ` here\nand `&lt;b>` there");
        assert_eq!(prose("open ` here\n\nand `<b>` there"), "open ` here\n\nand `<b>` there");
    }

    #[test]
    fn a_fence_holds_what_is_in_it() {
        assert_eq!(fenced("plain\n"), "```text\nplain\n```");
        assert_eq!(fenced("````\n\u{1b}code\n````"), "`````text\n````\ncode\n````\n`````");
    }

    #[test]
    fn code_is_one_line() {
        assert_eq!(code("\n  grep -c x | wc\nmore"), "`grep -c x \\| wc …`");
        assert_eq!(code("a`b"), "`a'b`");
        assert_eq!(code("evil\u{202e}txt.exe"), "`evil\\u{202e}txt.exe`");
        assert_eq!(cell("a | b\n# c"), "a \\| b # c");
    }

    #[test]
    fn a_quotation_holds_headings_and_open_fences() {
        assert_eq!(quoted("## Evidence\n\n```\nopen"), "> ## Evidence\n>\n> ```\n> open");
    }

    proptest! {
        #[test]
        fn no_html_outside_of_code(text in "[a`\\\\<!\n @]{0,40}") {
            let safe = prose(&text);
            let without_code = closed_spans_removed(&safe);
            prop_assert!(!without_code.contains('<'), "{safe:?}");
        }
    }

    /// An independent reading: what stands between equal runs of backticks on one line is code.
    fn closed_spans_removed(text: &str) -> String {
        let mut out = String::new();
        for line in text.lines() {
            let parts: Vec<&str> = line.split('`').collect();
            out.push_str(if parts.len() > 1 { "" } else { line });
            if parts.len() > 1 {
                out.push_str(parts[0]);
                out.push_str(parts[parts.len() - 1]);
            }
            out.push('\n');
        }
        out
    }
}
