//! Reads `runyard.toml` into dotted keys with their places.

use super::setting::Raw;
use std::ops::Range;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// One `key = value` of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The dotted key.
    pub key: String,
    /// The value.
    pub raw: Raw,
    /// Where the key is, in bytes.
    pub key_span: Range<usize>,
    /// Where the value is, in bytes.
    pub value_span: Range<usize>,
}

/// A text that is not TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotToml {
    /// Where, in bytes.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
}

/// All entries in the order of the text.
pub fn entries(text: &str) -> Result<Vec<Entry>, NotToml> {
    let table = DeTable::parse(text).map_err(|error| NotToml {
        offset: error.span().map_or(0, |span| span.start),
        message: error.message().to_owned(),
    })?;
    let mut entries = Vec::new();
    collect("", table.get_ref(), &mut entries);
    entries.sort_by_key(|entry: &Entry| entry.key_span.start);
    Ok(entries)
}

fn collect(prefix: &str, table: &DeTable<'_>, entries: &mut Vec<Entry>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
        // An empty table is kept, so that a misspelt `[section]` is still seen.
        match value.get_ref().as_table() {
            Some(inner) if !inner.is_empty() => collect(&key, inner, entries),
            _ => entries.push(Entry { key, raw: raw(value), key_span: name.span(), value_span: value.span() }),
        }
    }
}

fn raw(value: &Spanned<DeValue<'_>>) -> Raw {
    match value.get_ref() {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Raw::Other("an integer beyond 64 bits"), Raw::Integer),
        DeValue::Float(number) => Raw::Float(number.as_str().to_owned()),
        DeValue::Boolean(value) => Raw::Boolean(*value),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Array(items) => Raw::List(items.iter().map(raw).collect()),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}

/// The line and the column (in characters) of a byte, both from 1.
pub fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
