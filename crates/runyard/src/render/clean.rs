//! Makes text from strangers safe to print: nothing in it may steer the terminal or hide what it says.

/// The text without control sequences and control characters, save line feeds and tabs, and without characters that
/// reorder what is displayed (Unicode Standard Annex 9).
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => out.push(c),
            '\u{1b}' => skip_sequence(&mut chars),
            // The one-character form of `ESC [`.
            '\u{9b}' => skip_control_sequence(&mut chars),
            _ if c.is_control() || is_hidden(c) => {}
            _ => out.push(c),
        }
    }
    out
}

/// The cleaned text in one line of at most `width` characters.
pub fn one_line(text: &str, width: usize) -> String {
    let joined = clean(text).split_whitespace().collect::<Vec<_>>().join(" ");
    if joined.chars().count() <= width {
        return joined;
    }
    let cut: String = joined.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", cut.trim_end())
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// After ESC: control sequences and strings as ECMA-48 writes them.
fn skip_sequence(chars: &mut Chars<'_>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_control_sequence(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            skip_string(chars);
        }
        // Intermediate bytes and one final byte, such as `ESC ( B`.
        Some(' '..='~') => while chars.next().is_some_and(|c| matches!(c, ' '..='/')) {},
        _ => {}
    }
}

fn skip_control_sequence(chars: &mut Chars<'_>) {
    while chars.peek().is_some_and(|c| matches!(c, ' '..='?')) {
        chars.next();
    }
    if chars.peek().is_some_and(|c| matches!(c, '@'..='~')) {
        chars.next();
    }
}

/// Up to the string's end, or to the line's, so that an unfinished string does not swallow everything.
fn skip_string(chars: &mut Chars<'_>) {
    while let Some(c) = chars.peek() {
        match c {
            '\n' => return,
            '\u{7}' | '\u{9c}' => {
                chars.next();
                return;
            }
            '\u{1b}' => {
                chars.next();
                if chars.peek() == Some(&'\\') {
                    chars.next();
                }
                return;
            }
            _ => {
                chars.next();
            }
        }
    }
}

fn is_hidden(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{feff}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sequences_vanish_whole() {
        for (text, shown) in [
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("a\u{1b}]0;title\u{7}b", "ab"),
            ("a\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "alink"),
            ("a\u{9b}2Jb", "ab"),
            ("a\u{1b}(Bb\u{1b}cc", "abc"),
            ("kept\r\nlines\tand tabs\u{8}", "kept\nlines\tand tabs"),
            ("un\u{1b}]finished\nnext", "un\nnext"),
            ("user\u{202e}txt.exe", "usertxt.exe"),
        ] {
            assert_eq!(clean(text), shown, "{text:?}");
        }
        assert_eq!(one_line("a\n  b \u{1b}[2Jc", 80), "a b c");
        assert_eq!(one_line("one two three", 8), "one two…");
    }

    proptest! {
        #[test]
        fn nothing_that_steers_a_terminal_is_left(text in "(\\PC|[\\x00-\\x1f\\x7f-\\x9f]|\\[|\\])*") {
            prop_assert!(clean(&text).chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
            prop_assert!(one_line(&text, 20).chars().count() <= 20);
        }
    }
}
