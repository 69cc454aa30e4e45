//! Text with `${name}` in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

/// Values that templates of a turn may name.
pub(crate) type Variables = BTreeMap<String, String>;

/// Text whose `${name}` are replaced; `$${` stands for `${` itself, as a shell script in a tool's input needs it.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Variable(String),
}

#[derive(Debug, thiserror::Error)]
#[error("`${{{0}}}` has no value here: its capture matched nothing")]
pub(crate) struct Unset(pub(crate) String);

impl Template {
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                text.push_str(&rest[..at - 1]);
                text.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            text.push_str(&rest[..at]);
            let (name, after) =
                rest[at + 2..].split_once('}').ok_or("`${` without `}`; write `$${` for the text itself")?;
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(format!("`${{{name}}}` is no variable; write `$${{` for the text `${{` itself"));
            }
            parts.push(Part::Text(std::mem::take(&mut text)));
            parts.push(Part::Variable(name.to_owned()));
            rest = after;
        }
        text.push_str(rest);
        parts.push(Part::Text(text));
        Ok(Self { parts })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    pub(crate) fn render(&self, variables: &Variables) -> Result<String, Unset> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Variable(name) => out.push_str(variables.get(name).ok_or_else(|| Unset(name.clone()))?),
            }
        }
        Ok(out)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// Calls `visit` with every string inside `value`.
pub(crate) fn strings<E>(value: &Value, visit: &mut impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter().try_for_each(|item| strings(item, visit)),
        Value::Object(fields) => fields.values().try_for_each(|field| strings(field, visit)),
        _ => Ok(()),
    }
}

/// `value` with the templates in its strings replaced. The strings were checked when the script was read.
pub(crate) fn render_value(value: &Value, variables: &Variables) -> Result<Value, Unset> {
    Ok(match value {
        Value::String(text) => match Template::parse(text) {
            Ok(template) => Value::String(template.render(variables)?),
            Err(_) => value.clone(),
        },
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| render_value(item, variables)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, field)| Ok((key.clone(), render_value(field, variables)?)))
                .collect::<Result<_, _>>()?,
        ),
        other => other.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str) -> String {
        let variables = Variables::from([("file".to_owned(), "a.txt".to_owned())]);
        Template::parse(source).unwrap().render(&variables).unwrap()
    }

    #[test]
    fn replaces_names_and_keeps_shell_syntax_that_is_escaped() {
        assert_eq!(render("cat ${file}"), "cat a.txt");
        assert_eq!(render("cat ${file} $HOME $(x) $${PATH}${file}"), "cat a.txt $HOME $(x) ${PATH}a.txt");
        assert_eq!(render("é${file}é"), "éa.txté");
    }

    #[test]
    fn refuses_what_looks_like_a_variable_and_is_none() {
        assert!(Template::parse("${PATH:-x}").unwrap_err().contains("$${"));
        assert!(Template::parse("${open").is_err());
    }

    #[test]
    fn a_variable_without_value_is_an_error_not_an_empty_string() {
        assert_eq!(Template::parse("${no}").unwrap().render(&Variables::new()).unwrap_err().0, "no");
    }
}
