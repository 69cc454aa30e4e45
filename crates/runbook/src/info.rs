//! The info string of a fence: what the block is for and its attributes, not yet interpreted.

/// What an info string asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Info {
    Plain { language: Option<String> },
    Runnable { language: Option<String>, words: Result<Vec<Word>, BadInfo> },
    File { language: Option<String>, words: Result<Vec<Word>, BadInfo> },
}

/// One attribute: `key=value` or a bare word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
}

/// The attributes cannot be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadInfo {
    Quote,
    Brace,
    Json,
}

/// Reads `runnable LANG …`, `LANG runnable …`, `LANG {runnable …}`, `file LANG PATH …` and `LANG file=PATH …`.
pub(crate) fn read_info(info: &str) -> Info {
    let (first, rest) = split_word(info);
    match first {
        "" => Info::Plain { language: None },
        "runnable" | "file" => {
            let (second, tail) = split_word(rest);
            let named = !second.is_empty() && !second.starts_with(['{', '"', '\'']) && !second.contains('=');
            let (language, tail) = if named { (Some(second.to_owned()), tail) } else { (None, rest) };
            let words = read_words(tail);
            if first == "file" { Info::File { language, words } } else { Info::Runnable { language, words } }
        }
        _ => {
            let language = Some(first.to_owned());
            let inner = rest.strip_prefix('{').map_or(rest, str::trim_start);
            let (second, tail) = split_word(inner);
            let word = if inner.len() < rest.len() { second.trim_end_matches('}') } else { second };
            if word == "runnable" {
                let braced = inner.len() < rest.len();
                let tail =
                    if braced && second == word { tail.strip_suffix('}').ok_or(BadInfo::Brace) } else { Ok(tail) };
                Info::Runnable { language, words: tail.and_then(read_words) }
            } else if second.starts_with("file=") {
                Info::File { language, words: read_words(rest) }
            } else {
                Info::Plain { language }
            }
        }
    }
}

fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_once(char::is_whitespace).map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}

/// Reads attributes in any of three spellings: `a=1 b`, `{a=1 b}` and `{"a": "1", "b": true}`.
fn read_words(text: &str) -> Result<Vec<Word>, BadInfo> {
    let text = text.trim();
    let Some(open) = text.strip_prefix('{') else {
        return split_words(text);
    };
    let inner = open.strip_suffix('}').ok_or(BadInfo::Brace)?;
    if inner.trim_start().starts_with('"') { json_words(text) } else { split_words(inner) }
}

fn json_words(text: &str) -> Result<Vec<Word>, BadInfo> {
    use serde_json::Value;
    let object: serde_json::Map<String, Value> = serde_json::from_str(text).map_err(|_| BadInfo::Json)?;
    let scalar = |value: &Value| match value {
        Value::String(s) => Ok(s.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => Err(BadInfo::Json),
    };
    let word = |(key, value): (String, Value)| {
        let value = match &value {
            Value::Array(items) => items.iter().map(scalar).collect::<Result<Vec<_>, _>>()?.join(","),
            other => scalar(other)?,
        };
        Ok(Word { key, value: Some(value) })
    };
    object.into_iter().map(word).collect()
}

fn split_words(text: &str) -> Result<Vec<Word>, BadInfo> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Ok(words);
        }
        let mut key = String::new();
        let mut value: Option<String> = None;
        while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
            if c == '=' && value.is_none() {
                value = Some(String::new());
                continue;
            }
            let part = value.as_mut().unwrap_or(&mut key);
            match c {
                '"' | '\'' if part.is_empty() => loop {
                    match chars.next() {
                        Some(end) if end == c => break,
                        Some(inner) => part.push(inner),
                        None => return Err(BadInfo::Quote),
                    }
                },
                _ => part.push(c),
            }
        }
        words.push(Word { key, value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(info: &str) -> Vec<(String, Option<String>)> {
        let (Info::Runnable { words, .. } | Info::File { words, .. }) = read_info(info) else {
            panic!("plain: {info}")
        };
        words.unwrap().into_iter().map(|w| (w.key, w.value)).collect()
    }

    #[test]
    fn three_spellings_give_the_same_attributes() {
        let expected =
            [("name".to_owned(), Some("load data".to_owned())), ("timeout".to_owned(), Some("5s".to_owned()))];
        assert_eq!(words("runnable python name=\"load data\" timeout=5s"), expected);
        assert_eq!(words("runnable python {name='load data' timeout=5s}"), expected);
        assert_eq!(words("runnable python {\"name\": \"load data\", \"timeout\": \"5s\"}"), expected);
        assert_eq!(words("python runnable name=\"load data\" timeout=5s"), expected);
        assert_eq!(words("python {runnable name=\"load data\" timeout=5s}"), expected);
        assert_eq!(words("python { runnable name=\"load data\" timeout=5s }"), expected);
        assert_eq!(words("sh {runnable}"), []);
        assert_eq!(words("runnable\tsh\tcheck"), [("check".to_owned(), None)]);
    }

    #[test]
    fn what_is_not_ours_is_plain() {
        for info in [
            "",
            "python",
            "runnablepython x",
            "Runnable python",
            "sh {\"name\":\"x\"}",
            "dockerfile x",
            "js {1,3}",
            "{code-cell} ipython3",
        ] {
            assert!(matches!(read_info(info), Info::Plain { .. }), "{info}");
        }
    }

    #[test]
    fn broken_attributes_are_told() {
        let bad = |info: &str| match read_info(info) {
            Info::Runnable { words, .. } => words.unwrap_err(),
            other => panic!("{other:?}"),
        };
        assert_eq!(bad("runnable sh name=\"x"), BadInfo::Quote);
        assert_eq!(bad("runnable sh {name=x"), BadInfo::Brace);
        assert_eq!(bad("sh {runnable name=x"), BadInfo::Brace);
        assert_eq!(bad("runnable sh {\"name\" x}"), BadInfo::Json);
        assert_eq!(bad("runnable sh {\"name\": {}}"), BadInfo::Json);
    }

    #[test]
    fn files_in_both_forms() {
        assert_eq!(words("file python a/b.py mode=0755")[0].0, "a/b.py");
        assert_eq!(words("file python \"my file.py\"")[0].0, "my file.py");
        assert_eq!(words("python file=a.py"), [("file".to_owned(), Some("a.py".to_owned()))]);
        assert_eq!(words("file python"), []);
    }
}
