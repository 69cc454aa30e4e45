//! Growing pathological inputs complete; nothing overflows, nothing grows faster than it should.
//!
//! No clock decides: where a part were quadratic in a way that matters, the largest inputs would not end within the
//! test run's patience.

use runbook::{Document, check};

fn survives(text: String) {
    let length = text.len();
    let document = Document::parse(text);
    assert_eq!(document.text().len(), length);
    check(&document);
}

#[test]
fn a_large_ordinary_document() {
    let mut text = "# Large\n\n## Execution Steps\n\n".to_owned();
    for i in 1.. {
        if text.len() > 5 << 20 {
            break;
        }
        text += &format!("### Step {i}: Title {i}\n\nSome **prose** with `code` and {{{{VAR}}}}.\n\n");
        for k in 1..=4 {
            text += &format!("#### {i}.{k}: Sub {k}\n\n- a\n- b\n\n```runnable bash name=n{i}-{k}\necho {i}\n```\n\n");
        }
    }
    let document = Document::parse(text);
    assert_eq!(check(&document), []);
    assert!(document.steps().len() > 50_000);
}

#[test]
fn pathological_nesting_and_repetition() {
    for n in [1000, 10_000, 50_000] {
        for (part, end) in [
            (">", "x\n"),
            ("> ", "```runnable sh\n"),
            ("- ", "x\n"),
            ("1. ", "x\n"),
            ("[", "\n"),
            ("![", "\n"),
            ("[a](", "\n"),
            ("*a ", "\n"),
            ("**a_", "\n"),
            ("`", "\n"),
            ("``` `", "\n"),
            ("<", "\n"),
            ("<!--", "\n"),
            ("<a", "\n"),
            ("&", "\n"),
            ("\\", "\n"),
            ("#", "\n"),
            ("# 1\n", ""),
            ("### Step 1: x\n", ""),
            ("- # 1\n", ""),
            ("{{", "\n"),
            ("{{A}}", "\n"),
            ("{{A", "\n"),
            ("```\n", ""),
            ("~~~ runnable sh\n~~~\n", ""),
            ("---\n", ""),
            ("[a]: b\n", ""),
            ("[a]\n", ""),
            ("\r", ""),
            ("\0", ""),
            ("\t", "x\n"),
            ("a\n\n", ""),
        ] {
            survives(part.repeat(n) + end);
        }
    }
}

#[test]
fn one_long_info_string_and_many_attributes() {
    survives(format!("```runnable sh {}\n```\n", "a=b ".repeat(100_000)));
    survives(format!("```runnable sh name={}\n```\n", "x".repeat(1 << 20)));
    survives(format!("```runnable sh {{{}}}\n```\n", "{".repeat(100_000)));
    survives(format!("```runnable sh {{\"a\":{}}}\n```\n", "[".repeat(100_000)));
    let chain: String = (0..20_000).map(|i| format!("```runnable sh name=n{i} needs=n{}\n```\n", i + 1)).collect();
    survives(chain);
}

#[test]
fn deep_numbers_and_titles() {
    survives((1..5000).map(|i| format!("### Step {}: {}\n", vec!["1"; 1 + i % 20].join("."), "t".repeat(i))).collect());
}
