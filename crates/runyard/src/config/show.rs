//! Shows each value and where it came from.

use super::{Config, KEYS, Origin};
use serde_json::{Value, json};

/// Keys whose values may hold a password.
const MAY_HOLD_A_PASSWORD: [&str; 1] = ["database.url"];

/// Lines `key = value  # origin`, aligned; values that are not set are shown as comments.
pub fn render_text(config: &Config) -> String {
    let lines: Vec<(String, String)> = KEYS
        .iter()
        .map(|key| {
            let (value, origin) = shown(config, key.name);
            let line =
                if value.is_empty() { format!("# {} is not set", key.name) } else { format!("{} = {value}", key.name) };
            (line, origin)
        })
        .collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0).min(60);
    lines.iter().map(|(line, origin)| format!("{line:width$}  # {origin}")).collect::<Vec<_>>().join("\n") + "\n"
}

/// `{"file", "data_dir", "settings": [{"key", "value", "origin", "variable", "shape", "default", "meaning"}]}`.
pub fn render_json(config: &Config) -> Value {
    let settings: Vec<Value> = KEYS
        .iter()
        .map(|key| {
            let (value, origin) = shown(config, key.name);
            json!({
                "key": key.name,
                "value": (!value.is_empty()).then_some(value),
                "origin": origin,
                "variable": key.variable(),
                "shape": key.shape,
                "default": (!key.default.is_empty()).then_some(key.default),
                "meaning": key.doc.lines().map(str::trim).collect::<Vec<_>>().join(" "),
            })
        })
        .collect();
    json!({ "file": config.file, "data_dir": config.data_dir, "settings": settings })
}

fn shown(config: &Config, key: &str) -> (String, String) {
    let origin = config.origins.get(key).cloned().unwrap_or(Origin::Default).to_string();
    let value = match key {
        "data_dir" => super::Setting::show(&config.data_dir),
        _ => config.values.show(key),
    };
    let value = if MAY_HOLD_A_PASSWORD.contains(&key) { without_password(&value) } else { value };
    (value, origin)
}

/// Masks what stands between `scheme://user:` and `@`, and `password=` in a query.
pub(super) fn without_password(url: &str) -> String {
    let mut masked = url.to_owned();
    if let Some(start) = masked.find("://").map(|at| at + 3) {
        let end = masked[start..].find(['/', '?', '#']).map_or(masked.len(), |at| start + at);
        if let Some(at) = masked[start..end].rfind('@')
            && let Some(colon) = masked[start..start + at].find(':')
        {
            masked.replace_range(start + colon + 1..start + at, "***");
        }
    }
    if let Some(start) = masked.find("password=").map(|at| at + "password=".len()) {
        let end = masked[start..].find(['&', '#', '"']).map_or(masked.len(), |at| start + at);
        masked.replace_range(start..end, "***");
    }
    masked
}

/// `docs/configuration.md`, written from the table.
#[cfg(test)]
pub(super) fn documentation() -> String {
    use std::fmt::Write as _;
    let mut text = include_str!("documentation.md").to_owned();
    for key in KEYS {
        let default = match key.default {
            "" if key.doc.contains("Default:") => String::new(),
            "" => "- Default: none\n".to_owned(),
            default => format!("- Default: `{default}`\n"),
        };
        let _ = writeln!(
            text,
            "\n### `{}`\n\n{}\n- A value is {}.\n{default}- Environment: `{}`",
            key.name,
            key.doc.lines().map(str::trim).collect::<Vec<_>>().join("\n") + "\n",
            key.shape,
            key.variable(),
        );
    }
    text
}
