//! What is a step and what is not, where steps end, what belongs to whom.

use runbook::{Document, Tag, check};

use crate::numbers;

fn titles(text: &str) -> Vec<String> {
    Document::parse(text).steps().iter().map(|s| format!("{} {}", s.number, s.title)).collect()
}

#[test]
fn every_level_and_every_spelling() {
    let text = "## Step 1: A\n# 1.1: B\n###### 1.1.1: C\n#### 2. D\n### 3) E\n### Step 4 ###\n";
    assert_eq!(titles(text), ["1 A", "1.1 B", "1.1.1 C", "2 D", "3 E", "4 "]);
}

#[test]
fn setext_lists_quotes_comments_and_fences_hold_no_steps() {
    let text = "\
### Step 1: Real

Step 2: Setext
--------------

- ### Step 2: In a list

> ### Step 2: In a quote

<!--
### Step 2: In a comment
-->

~~~
### Step 2: In a fence
~~~

    ### Step 2: Indented code
";
    assert_eq!(titles(text), ["1 Real"]);
}

#[test]
fn headings_in_lists_and_quotes_do_not_end_the_steps() {
    let text = "## Execution Steps\n### Step 1: A\n> # Loud quote\n\n- ## Loud item\n\n### Step 2: B\n";
    assert_eq!(titles(text), ["1 A", "2 B"]);
}

#[test]
fn without_execution_steps_one_heading_must_say_step() {
    assert_eq!(titles("# T\n## 1. Intro\n## 2. More\n"), [""; 0]);
    assert_eq!(titles("# T\n## 1. Intro\n## Step 2: More\n"), ["1 Intro", "2 More"]);
    assert_eq!(titles("# T\n## Execution Steps\n## 1. Intro\n## 2. More\n"), ["1 Intro", "2 More"]);
}

#[test]
fn execution_steps_shuts_out_what_is_above_it() {
    let text = "# T\n## Step 1: Above\n## execution steps\n### Step 1: Below\n";
    assert_eq!(titles(text), ["1 Below"]);
    let found = check(&Document::parse(text));
    assert_eq!(
        found.iter().map(|d| (d.code.as_str(), d.position.line)).collect::<Vec<_>>(),
        [("heading-not-a-step", 2)]
    );
}

#[test]
fn steps_end_at_a_heading_not_deeper_than_the_one_above_them() {
    let text = "\
# T
## Execution Steps
### Step 1: A
### Notes on it
more
## Manual testing plan
### 1. Open the page
";
    let document = Document::parse(text);
    assert_eq!(numbers(&document), ["1"]);
    assert_eq!(&text[document.steps()[0].body.clone()], "### Notes on it\nmore\n");
    // A heading that groups steps, deeper than the section's, does not end them.
    assert_eq!(
        titles("## Execution Steps\n### Phase one\n#### Step 1: A\n### Phase two\n#### Step 2: B\n"),
        ["1 A", "2 B"]
    );
}

#[test]
fn steps_below_h1_or_nothing_end_at_their_own_level() {
    for top in ["", "# T\n", "# T\n## Sub\n# U\n"] {
        let text = format!("{top}### Step 1: A\n#### Aside\n### Step 2: B\n### Appendix\n### Step 3: Not executed\n");
        let document = Document::parse(text.clone());
        assert_eq!(numbers(&document), ["1", "2"], "{top}");
        assert_eq!(&text[document.steps()[0].body.clone()], "#### Aside\n");
        let notes = check(&document);
        assert_eq!(notes.iter().map(|d| d.code.as_str()).collect::<Vec<_>>(), ["heading-not-a-step"], "{top}");
    }
}

#[test]
fn a_setext_heading_ends_the_steps() {
    let text = "Execution Steps\n---\n### Step 1: A\nbody\n\nManual testing\n---\n### Step 2: B\n";
    let document = Document::parse(text);
    assert_eq!(numbers(&document), ["1"]);
    assert_eq!(&text[document.steps()[0].body.clone()], "body\n\n");
}

#[test]
fn ranges_bodies_and_tree() {
    let text = "# T\n\n### Step 1: A\nown\n\n#### 1.1: B\nb\n#### 1.2: C\nc\n### Step 2: D\n";
    let document = Document::parse(text);
    let parts: Vec<(&str, &str, &str)> = document
        .steps()
        .iter()
        .map(|s| (&text[s.heading.clone()], &text[s.body.clone()], &text[s.extent.clone()]))
        .collect();
    assert_eq!(parts[0], ("### Step 1: A", "own\n\n", "### Step 1: A\nown\n\n#### 1.1: B\nb\n#### 1.2: C\nc\n"));
    assert_eq!(parts[1], ("#### 1.1: B", "b\n", "#### 1.1: B\nb\n"));
    assert_eq!(parts[3], ("### Step 2: D", "", "### Step 2: D\n"));
    assert_eq!(document.steps()[0].children, [1, 2]);
    assert_eq!(document.leaves().iter().map(|s| s.number.to_string()).collect::<Vec<_>>(), ["1.1", "1.2", "2"]);
}

#[test]
fn tags_and_conditions() {
    let text = "\
### Step 1: [CONDITIONAL] [NO-CODE-CHANGE] Update
```sh
**not this**
```

**Only execute if the project uses TLS**
and more
### Step 2: [CONDITIONAL] Bare
no **bold line** here
### Step 3: [MANUAL] By hand
### Step 4: [no-code-change] Wrong case
### Step 5: [WIP] Other
### Step 6: [Guide](x) link
";
    let document = Document::parse(text);
    let steps = document.steps();
    assert_eq!(steps[0].tags, [Tag::Conditional, Tag::NoCodeChange]);
    assert_eq!(steps[0].condition.as_deref(), Some("Only execute if the project uses TLS"));
    assert_eq!(steps[2].tags, [Tag::Manual]);
    assert_eq!(steps[3].title, "[no-code-change] Wrong case");
    insta::assert_snapshot!(runbook::render_text("f", &check(&document)), @r"
    f:8:1: warning[missing-condition]: step 2 is conditional but does not say when to execute it
      help: add a bold line below the heading, as in `**Only execute if the project uses TLS**`
    f:11:13: warning[unknown-tag]: [no-code-change] is not a tag
      help: did you mean `[NO-CODE-CHANGE]`?
    f:12:13: warning[unknown-tag]: [WIP] is not a tag
      help: tags are [NO-CODE-CHANGE], [CONDITIONAL], [MANUAL]; other words in brackets stay in the title
    ");
}

#[test]
fn byte_order_mark_and_crlf() {
    let text = "\u{feff}---\r\ntitle: Käse\r\n---\r\n# X\r\n\r\n### Step 1: A\r\ntext\r\n\r\n#### 1.1: B\r\n";
    let document = Document::parse(text);
    assert_eq!(document.text(), text);
    assert_eq!(document.title(), Some("Käse"));
    assert_eq!(numbers(&document), ["1", "1.1"]);
    assert_eq!(document.steps()[0].title, "A");
    assert_eq!(&text[document.steps()[0].body.clone()], "text\r\n\r\n");
    assert_eq!(check(&document), []);
    assert_eq!(document.steps()[1].position.line, 9);
}

#[test]
fn a_lone_carriage_return_ends_a_line() {
    let text = "---\rtitle: x\r---\r### Step 1: A\rtext\r#### 1.1: B\r\n";
    let document = Document::parse(text);
    assert_eq!(document.title(), Some("x"));
    assert_eq!(numbers(&document), ["1", "1.1"]);
    assert_eq!(&text[document.steps()[0].body.clone()], "text\r");
    assert_eq!(document.steps()[1].position.line, 6);
}

#[test]
fn front_matter_is_read_as_written() {
    let text = "\
---
title: Upgrade
description: All of it
timeout: 30m
variables:
  PACKAGE: {description: \"crate to upgrade\", default: reqwest}
  VERSION: 1.10
  STRICT: {default: &kept 0x10}
  SAME: {default: *kept}
  ASKED:
runtimes:
  ruby: {command: ruby -w, extension: .rb, image: \"ruby:3\"}
---
# Other
";
    let document = Document::parse(text);
    assert_eq!(check(&document), []);
    let front = document.front_matter();
    assert_eq!(document.title(), Some("Upgrade"));
    assert_eq!(front.timeout, Some(std::time::Duration::from_mins(30)));
    let default = |name: &str| front.variables[name].default.clone();
    assert_eq!(default("PACKAGE").as_deref(), Some("reqwest"));
    assert_eq!(default("VERSION").as_deref(), Some("1.10"));
    assert_eq!(default("STRICT").as_deref(), Some("0x10"));
    assert_eq!(default("SAME").as_deref(), Some("0x10"));
    assert_eq!(default("ASKED"), None);
    assert_eq!(front.runtimes["ruby"].command, ["ruby", "-w"]);
    assert_eq!(front.runtimes["ruby"].extension.as_deref(), Some("rb"));
}

#[test]
fn what_only_looks_like_front_matter() {
    for text in ["---\n\ntext\n\n---\n", "---\ntitle: x\n", "a\n---\ntitle: x\n---\n", " ---\ntitle: x\n---\n"] {
        let document = Document::parse(text);
        assert!(document.front_matter().range.is_empty(), "{text}");
        assert_eq!(document.front_matter().title, None);
    }
    assert_eq!(check(&Document::parse("---\n---\n# T\n")), []);
}
