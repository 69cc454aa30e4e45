//! Variables: `{{UPPER_SNAKE}}` in prose, environment variables in code.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::model::Document;

/// Variables that have neither a value nor a default.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no value for {}", .0.iter().map(|n| format!("{{{{{n}}}}}")).collect::<Vec<_>>().join(", "))]
pub struct MissingVariables(pub BTreeSet<String>);

/// Puts values in place of `{{NAME}}`, once: a value is never searched for further variables.
///
/// Everything else in double braces is text and stays. Fails with every name that has no value.
pub fn fill(text: &str, values: &BTreeMap<String, String>) -> Result<String, MissingVariables> {
    fill_outside(text, &[], values)
}

/// As [`fill`], leaving the `kept` ranges (sorted, disjoint) as they are.
pub(crate) fn fill_outside(
    text: &str,
    kept: &[Range<usize>],
    values: &BTreeMap<String, String>,
) -> Result<String, MissingVariables> {
    let mut out = String::with_capacity(text.len());
    let mut missing = BTreeSet::new();
    let mut copied = 0;
    let mut kept = kept.iter().peekable();
    for (range, name) in find_variables(text, 0) {
        while kept.next_if(|k| k.end <= range.start).is_some() {}
        if kept.peek().is_some_and(|k| k.start < range.end) {
            continue;
        }
        match values.get(name) {
            Some(value) => {
                out.push_str(&text[copied..range.start]);
                out.push_str(value);
                copied = range.end;
            }
            None => {
                missing.insert(name.to_owned());
            }
        }
    }
    out.push_str(&text[copied..]);
    if missing.is_empty() { Ok(out) } else { Err(MissingVariables(missing)) }
}

/// Every `{{NAME}}` of a text with its range, shifted by `base`.
pub(crate) fn find_variables(text: &str, base: usize) -> impl Iterator<Item = (Range<usize>, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(found) = text[at..].find("{{") {
            let open = at + found;
            let name = &text[open + 2..];
            let len = name.bytes().take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_').count();
            if is_variable_name(&name[..len]) && name[len..].starts_with("}}") {
                at = open + len + 4;
                return Some((base + open..base + at, &name[..len]));
            }
            // One brace on, so that `{{{X}}` is found at its inner pair.
            at = open + 1;
        }
        None
    })
}

/// Whether this is `[A-Z][A-Z0-9_]*`.
pub fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether programs take orders from an environment variable of this name, so that no document may set it.
pub fn is_forbidden(name: &str) -> bool {
    const NAMES: [&str; 4] = ["PATH", "HOME", "IFS", "ENV"];
    const PREFIXES: [&str; 7] = ["LD_", "GIT_", "NODE_", "PYTHON", "BASH_", "ANTHROPIC_", "CLAUDE_"];
    let upper = name.to_ascii_uppercase();
    NAMES.contains(&upper.as_str()) || PREFIXES.iter().any(|p| upper.starts_with(p))
}

/// How a language reads the environment variable.
pub(crate) fn spelling(runtime: &str, name: &str) -> String {
    match runtime {
        "bash" => format!("\"${{{name}}}\""),
        "python" => format!("os.environ[\"{name}\"]"),
        "node" => format!("process.env.{name}"),
        "go" => format!("os.Getenv(\"{name}\")"),
        _ => format!("the environment variable {name}"),
    }
}

impl Document {
    /// The names of all variables that the document declares or uses in its prose.
    pub fn variable_names(&self) -> BTreeSet<&str> {
        let declared = self.front_matter.variables.keys().map(String::as_str);
        declared.chain(self.variables.iter().map(|v| v.name.as_str())).collect()
    }

    /// The values that hold: those given, else the defaults. Only of variables that the document knows.
    pub fn variable_values(&self, given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let value = |name: &str| {
            let default = || self.front_matter.variables.get(name)?.default.clone();
            given.get(name).cloned().or_else(default)
        };
        self.variable_names().into_iter().filter_map(|name| Some((name.to_owned(), value(name)?))).collect()
    }

    /// The variables, declared or used, that have neither a value nor a default: those that a person is asked for.
    pub fn missing_variables(&self, given: &BTreeMap<String, String>) -> BTreeSet<String> {
        let known = self.variable_values(given);
        self.variable_names().into_iter().filter(|name| !known.contains_key(*name)).map(str::to_owned).collect()
    }

    /// The ranges whose text stays as it is when variables are filled in: runnable and file blocks.
    pub(crate) fn verbatim_within(&self, part: &Range<usize>) -> Vec<Range<usize>> {
        let clip = |r: &Range<usize>| r.start - part.start..r.end.min(part.end) - part.start;
        self.blocks_in(part).iter().filter(|b| b.is_verbatim()).map(|b| clip(&b.range)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn only_upper_snake_is_a_variable() {
        let text = "{{A}} {{A_1}} {{ A }} {{a}} {{.Repository}} style={{'--c': x}} {{1A}} {{A-B}} {{{A}}} {{}} {{A} {{";
        let names: Vec<&str> = find_variables(text, 0).map(|(_, n)| n).collect();
        assert_eq!(names, ["A", "A_1", "A"]);
        let filled = fill(text, &values(&[("A", "x"), ("A_1", "y")])).unwrap();
        assert_eq!(filled, "x y {{ A }} {{a}} {{.Repository}} style={{'--c': x}} {{1A}} {{A-B}} {x} {{}} {{A} {{");
    }

    #[test]
    fn values_are_not_searched_again_and_every_missing_name_is_told() {
        assert_eq!(fill("{{A}}", &values(&[("A", "{{B}}"), ("B", "no")])).unwrap(), "{{B}}");
        let missing = fill("{{B}} {{A}} {{B}}", &values(&[])).unwrap_err();
        assert_eq!(missing.to_string(), "no value for {{A}}, {{B}}");
    }

    #[test]
    fn names_that_steer_programs() {
        for name in [
            "PATH",
            "HOME",
            "IFS",
            "ENV",
            "LD_PRELOAD",
            "GIT_DIR",
            "NODE_OPTIONS",
            "PYTHONPATH",
            "BASH_ENV",
            "ANTHROPIC_API_KEY",
            "CLAUDE_X",
        ] {
            assert!(is_forbidden(name), "{name}");
        }
        for name in ["PATHS", "MY_PATH", "ENVIRONMENT", "LDX", "GITHUB", "NODES"] {
            assert!(!is_forbidden(name), "{name}");
        }
    }
}
