//! What is wrong with a document, where, and how to mend it.

use std::fmt::Write as _;
use std::ops::Range;

use serde::{Serialize, Serializer};

use crate::position::Position;

/// Whether a document with this problem can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The document is refused until this is mended.
    Error,
    /// The document works, though perhaps not as meant.
    Warning,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

macro_rules! codes {
    ($($variant:ident $severity:ident $code:literal $meaning:literal;)*) => {
        /// The kinds of problem. [`Code::ALL`] lists them with their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, as in `error[numbering-gap]`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// How grave a problem of this kind is.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// What the code means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    NoSteps Error "no-steps" "The document has no step, so there is nothing to execute.";
    NumberingStart Error "numbering-start" "The first step or substep is not number 1.";
    NumberingGap Error "numbering-gap" "A number was left out.";
    NumberingDuplicate Error "numbering-duplicate" "A number was used before, or steps are out of order.";
    SubstepParent Error "substep-parent" "A substep's number does not begin with the number of the step above it.";
    StepTooDeep Error "step-too-deep" "A number has more than three parts.";
    MissingTitle Error "missing-title" "A step without substeps has no title.";
    DuplicateTitle Error "duplicate-title" "Two steps of the same level have the same title.";
    UnknownTag Warning "unknown-tag" "A word in brackets before the title is no tag, so it stays in the title.";
    MissingCondition Warning "missing-condition" "A conditional step has no bold line that says when to execute it.";
    HeadingNotAStep Warning "heading-not-a-step" "A heading looks like a step but is not read as one.";
    UnknownAttribute Warning "unknown-attribute" "A block has an attribute that means nothing here.";
    BadAttribute Error "bad-attribute" "An attribute of a block cannot be read.";
    BadTimeout Error "bad-timeout" "A time limit is not a time span.";
    MissingLanguage Error "missing-language" "A runnable block does not say its language.";
    UnknownRuntime Warning "unknown-runtime" "No runtime is known for the language of a runnable block.";
    UnclosedFence Error "unclosed-fence" "A runnable or file block is never closed.";
    DuplicateName Error "duplicate-name" "Two blocks have the same name.";
    UnknownNeed Error "unknown-need" "A block needs another that does not exist.";
    CircularNeed Error "circular-need" "Blocks need each other in a circle.";
    BadPath Error "bad-path" "A path is empty, absolute, leaves the working directory or holds characters that no path should.";
    DuplicateFile Error "duplicate-file" "Two file blocks write the same path.";
    BadBase64 Error "bad-base64" "The body of a base64 file block is not base64.";
    VariableInCode Error "variable-in-code" "A variable is pasted into code instead of read from the environment.";
    ForbiddenVariable Error "forbidden-variable" "A variable has a name that steers programs.";
    BadVariable Error "bad-variable" "A variable's name is not upper snake case.";
    BadFrontMatter Error "bad-front-matter" "The front matter cannot be read.";
    UnknownKey Warning "unknown-key" "The front matter has a key that means nothing here.";
    ControlCharacter Error "control-character" "The text holds a control character.";
    BidiControl Warning "bidi-control" "A block holds a character that changes the direction of text, so it may not be what it looks like.";
    PlanStructure Error "plan-structure" "A part of a plan would be read as something else than it is.";
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One problem of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// What kind of problem.
    pub code: Code,
    /// How grave.
    pub severity: Severity,
    /// Where, in bytes of the text.
    pub span: Range<usize>,
    /// Where the span starts, for people.
    #[serde(flatten)]
    pub position: Position,
    /// What is wrong, as a sentence fragment without full stop.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

/// Renders problems for a terminal: two lines each, `file:line:col: error[code]: message` and the mend.
///
/// Control characters of the document, which could steer a terminal, are shown escaped.
pub fn render_text(file: &str, diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for d in diagnostics {
        let Position { line, column } = d.position;
        let _ = writeln!(
            out,
            "{file}:{line}:{column}: {}[{}]: {}",
            d.severity.word(),
            d.code.as_str(),
            visible(&d.message)
        );
        if !d.help.is_empty() {
            let _ = writeln!(out, "  help: {}", visible(&d.help));
        }
    }
    out
}

/// Renders problems as one JSON value: `{"file", "errors", "warnings", "diagnostics": [...]}`.
pub fn render_json(file: &str, diagnostics: &[Diagnostic]) -> serde_json::Value {
    let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    serde_json::json!({
        "file": file,
        "errors": errors,
        "warnings": diagnostics.len() - errors,
        "diagnostics": diagnostics,
    })
}

/// Whether any of the problems is an error.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|d| d.severity == Severity::Error)
}

/// The nearest of `known` to a misspelt `word`, if any is near enough to be meant.
pub(crate) fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&word, &k.to_lowercase()), k))
        .filter(|(distance, k)| *distance * 3 <= k.len().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

fn visible(text: &str) -> String {
    let hidden = |c: char| c.is_control() || is_bidi_control(c);
    text.chars().flat_map(|c| if hidden(c) { c.escape_unicode().collect() } else { vec![c] }).collect()
}

/// Characters that reorder what is displayed (Unicode Standard Annex 9, explicit directional formatting).
pub(crate) fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_kebab_case_and_unique() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(
                code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{code:?}"
            );
            assert!(seen.insert(code.as_str()), "{code:?}");
        }
    }

    #[test]
    fn suggestions_are_near() {
        assert_eq!(suggest("timout", ["name", "timeout"]), Some("timeout"));
        assert_eq!(suggest("no-code-chnage", ["NO-CODE-CHANGE"]), Some("NO-CODE-CHANGE"));
        assert_eq!(suggest("zebra", ["name", "timeout"]), None);
    }

    #[test]
    fn a_terminal_is_not_steered() {
        let diagnostic = Diagnostic {
            code: Code::BadPath,
            severity: Severity::Error,
            span: 0..1,
            position: Position { line: 1, column: 2 },
            message: "bad \u{1b}[31m".to_owned(),
            help: String::new(),
        };
        assert_eq!(render_text("a.md", &[diagnostic]), "a.md:1:2: error[bad-path]: bad \\u{1b}[31m\n");
    }
}
