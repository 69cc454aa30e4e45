//! Markdown for a terminal: headings and code stand out, the text stays as it was written.

use super::{
    clean::clean,
    style::{Colour, Style},
};

/// The lines of a Markdown text.
pub fn markdown(text: &str, style: Style) -> Vec<String> {
    let mut fence: Option<String> = None;
    clean(text)
        .trim_end()
        .lines()
        .map(|line| {
            let trimmed = line.trim_start();
            let ticks: String = trimmed.chars().take_while(|c| matches!(c, '`' | '~')).collect();
            let marker = ticks.len() >= 3 && ticks.chars().all(|c| trimmed.starts_with(c));
            match &fence {
                Some(open) => {
                    if marker && ticks.starts_with(open.as_str()) {
                        fence = None;
                    }
                    style.paint(Colour::Dim, line)
                }
                None if marker => {
                    fence = Some(ticks);
                    style.paint(Colour::Dim, line)
                }
                None if line.starts_with('#') => style.paint(Colour::Bold, line),
                None => line.to_owned(),
            }
        })
        .collect()
}
