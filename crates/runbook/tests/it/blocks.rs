//! Blocks: which fences are ours, what they hold, what their attributes mean, which checks run when.

use std::collections::BTreeMap;
use std::time::Duration;

use runbook::{Block, BlockKind, Document, Encoding, Expect, check};

fn bodies(text: &str) -> Vec<String> {
    Document::parse(text).runnable_blocks().iter().map(|b| b.body.clone()).collect()
}

fn codes(text: &str) -> Vec<&'static str> {
    check(&Document::parse(text)).iter().map(|d| d.code.as_str()).collect()
}

#[test]
fn fences_of_every_shape() {
    for text in [
        "```runnable python\nx\n```\n",
        "~~~runnable python\nx\n~~~\n",
        "````runnable python\nx\n````\n",
        "``` runnable python\nx\n```",
        "  ```runnable python\n  x\n  ```\n",
        "- item\n  ```runnable python\n  x\n  ```\n",
        "1. item\n\n   ```python runnable\n   x\n   ```\n",
        "> ```runnable python\n> x\n> ```\n",
        "> - ```python {runnable}\n>   x\n>   ```\n",
        "\u{feff}```runnable python\nx\n```\n",
        "```runnable python\r\nx\r\n```\r\n",
        "<details>\n\n```runnable python\nx\n```\n\n</details>\n",
        "---\ntitle: a\n---\n```runnable python\nx\n```\n",
    ] {
        assert_eq!(bodies(text), ["x\n"], "{text}");
        assert_eq!(codes(text), [""; 0], "{text}");
    }
    for text in [
        "````\n```runnable python\nx\n```\n````\n",
        "<!--\n```runnable python\nx\n```\n-->\n",
        "    ```runnable python\n    x\n    ```\n",
        "```runnable `python`\nx\n```\n",
        "```Runnable python\nx\n```\n",
    ] {
        assert_eq!(bodies(text), [""; 0], "{text}");
    }
}

#[test]
fn bodies_keep_their_bytes() {
    let odd = "\ta\n    b  \n\n\u{a0}\u{2028}\u{200b}\u{c}c";
    assert_eq!(bodies(&format!("```runnable python\n{odd}\n```\n")), [format!("{odd}\n")]);
    assert_eq!(bodies("  ```runnable sh\n    x\n y\n  ```\n"), ["  x\ny\n"]);
    assert_eq!(bodies("- a\n\n  ```runnable sh\n  x\n\n    y\n  ```\n"), ["x\n\n  y\n"]);
    assert_eq!(bodies("```runnable sh\n```\n"), [""]);
    let document =
        Document::parse("```file text a.txt\r\nx\r\n\r\ny\r\n```\r\n```runnable sh\r\nx\r\n\r\ny\r\n```\r\n");
    assert_eq!(document.blocks()[0].body, "x\r\n\r\ny\r\n");
    assert_eq!(document.blocks()[1].body, "x\n\ny\n");
    // A lone carriage return ends a line in CommonMark; a file keeps it.
    assert_eq!(bodies("```runnable sh\ra\rb"), ["a\nb"]);
    assert_eq!(Document::parse("```file text a.txt\na\rb").blocks()[0].body, "a\rb");
}

#[test]
fn indented_code_is_listed_but_never_runs() {
    let document = Document::parse("a\n\n    runnable python\n\nb\n");
    assert_eq!(document.blocks()[0].kind, BlockKind::Indented);
    assert_eq!(document.blocks()[0].body, "runnable python\n");
    assert!(document.runnable_blocks().is_empty());
}

#[test]
fn attributes_are_typed() {
    let text = "```runnable bash name=\"load data\" timeout=1m30s cwd=sub/dir env.MODE=fast env.X=\"a b\" stdin=yes \
                tty background=true isolated=no needs=a,b if='{{X}}' retry=2 expect=3 network check\n```\n";
    let document = Document::parse(text);
    let runnable = document.blocks()[0].runnable().unwrap();
    let a = &runnable.attributes;
    assert_eq!(runnable.id, "load data");
    assert_eq!(a.timeout, Some(Duration::from_secs(90)));
    assert_eq!(a.cwd.as_deref(), Some("sub/dir"));
    assert_eq!(a.env, BTreeMap::from([("MODE".to_owned(), "fast".to_owned()), ("X".to_owned(), "a b".to_owned())]));
    assert_eq!(a.stdin.as_deref(), Some("yes"));
    assert_eq!((a.tty, a.background, a.isolated, a.check), (true, true, false, true));
    assert_eq!(a.needs, ["a", "b"]);
    assert_eq!((a.retry, a.expect.clone()), (2, Some(Expect::Exit(3))));
    assert_eq!(a.network.as_deref(), Some("on"));
    assert_eq!(a.condition.as_deref(), Some("{{X}}"));
}

#[test]
fn files_with_mode_and_encoding() {
    let text =
        "```file sh bin/run.sh mode=0755\n#!/bin/sh\n```\n```png file=a/b.png encoding=base64\niVBO\nRw==\n```\n";
    let document = Document::parse(text);
    assert_eq!(check(&document), []);
    let files = document.file_blocks();
    let file = |b: &Block| b.file().unwrap().clone();
    assert_eq!((file(files[0]).path.as_str(), file(files[0]).mode), ("bin/run.sh", 0o755));
    assert_eq!(files[0].bytes().unwrap(), b"#!/bin/sh\n");
    assert_eq!((file(files[1]).mode, file(files[1]).encoding), (0o644, Encoding::Base64));
    assert_eq!(files[1].bytes().unwrap(), b"\x89PNG");
}

#[test]
fn paths_that_leave_the_room_are_refused() {
    let long = format!("{}/x", "a".repeat(256));
    for path in
        ["../x", "/etc/x", "a/../../x", "C:\\x", "a\\b", "a//b", "./x", "con\u{202e}gpj.exe", &long, "a/", "\"\"", ""]
    {
        assert_eq!(
            codes(&format!("```file text {path}\nx\n```\n")),
            ["bad-path"]
                .repeat(1 + usize::from(path.contains('\u{202e}')))
                .iter()
                .enumerate()
                .map(|(i, c)| if i == 1 { "bidi-control" } else { c })
                .collect::<Vec<_>>(),
            "{path}"
        );
    }
    assert!(codes("```file text a\u{1}b\nx\n```\n").contains(&"bad-path"));
    assert_eq!(codes("```runnable sh cwd=..\nx\n```\n"), ["bad-path"]);
    assert_eq!(codes("```runnable sh cwd=.\nx\n```\n"), [""; 0]);
    for path in ["a.txt", "a/b/c.py", "..a", "code_block_0.py", "\"with space\""] {
        assert_eq!(codes(&format!("```file text {path}\nx\n```\n")), [""; 0], "{path}");
    }
}

#[test]
fn ids_and_indices() {
    let text = "```runnable sh\na\n```\n```runnable bash\na\n```\n```runnable sh name=n\nb\n```\n";
    let document = Document::parse(text);
    let ids: Vec<String> = document.runnable_blocks().iter().map(|b| b.runnable().unwrap().id.clone()).collect();
    assert!(ids[0].starts_with("b-") && ids[1] == format!("{}-2", ids[0]), "{ids:?}");
    assert_eq!(ids[2], "n");
    assert_eq!(document.runnable_block("n").unwrap().0.body, "b\n");
    assert_eq!(document.runnable_block("1").unwrap().1.index, 1);
    assert_eq!(document.runnable_block(&ids[1]).unwrap().1.index, 1);
    assert!(document.runnable_block("3").is_none());
}

#[test]
fn which_checks_run_when() {
    let text = "\
```runnable sh check name=all
```
```runnable sh name=no-check
```
## Execution Steps
### Step 1: A
```runnable sh check name=parent
```
#### 1.1: B
```runnable sh check name=b1
```
```runnable sh check name=b2
```
#### 1.2: C
### Step 2: D
```runnable sh check name=d
```
";
    let document = Document::parse(text);
    let names = |blocks: Vec<&Block>| blocks.iter().map(|b| b.runnable().unwrap().id.clone()).collect::<Vec<_>>();
    let n = |number: &str| number.parse().unwrap();
    assert_eq!(names(document.checks_for_leaf(&n("1.1"))), ["b1", "b2"]);
    assert_eq!(names(document.checks_for_leaf(&n("1"))), [""; 0]);
    assert_eq!(names(document.checks_for_parent(&n("1"))), ["parent"]);
    assert_eq!(names(document.preamble_checks()), ["all"]);
    assert_eq!(names(document.checks_after(&n("1.1"))), ["b1", "b2", "all"]);
    assert_eq!(names(document.checks_after(&n("1.2"))), ["parent", "all"]);
    assert_eq!(names(document.checks_after(&n("2"))), ["d", "all"]);
}

#[test]
fn leaves_for_the_engine() {
    let text = "### Step 1: A\n#### 1.1: B\n#### 1.2: C\n### Step 2: D\n#### 2.1: E\n### Step 3: F\n";
    let document = Document::parse(text);
    let n = |number: &str| number.parse().unwrap();
    let names = |steps: Vec<&runbook::Step>| steps.iter().map(|s| s.number.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(names(document.leaves_of(&n("1"))), "1.1 1.2");
    assert_eq!(names(document.leaves_of(&n("3"))), "3");
    assert_eq!(names(document.leaves_of(&n("9"))), "");
    assert_eq!(names(document.leaves_until(&n("1.2"))), "1.1 1.2");
    assert_eq!(names(document.leaves_until(&n("2"))), "1.1 1.2 2.1");
    assert_eq!(names(document.leaves_after(&n("1"))), "2.1 3");
    assert_eq!(names(document.leaves_between(&n("1.2"), &n("2"))), "1.2 2.1");
}

#[test]
fn an_agent_is_told_its_leaf_with_variables_filled_in() {
    let text = "\
---
variables: {PACKAGE: reqwest}
---
# Upgrade {{PACKAGE}}
Intro.

### Step 1: Move {{PACKAGE}}
Context.

#### 1.1: Look at {{TARGET}}
Body with {{.Repository}}.

```file text a.txt
{{PACKAGE}} stays
```
#### 1.2: Other
Not told.
";
    let document = Document::parse(text);
    let number = "1.1".parse().unwrap();
    let values = document.variable_values(&BTreeMap::new());
    let missing = document.leaf_context(&number, &values).unwrap().unwrap_err();
    assert_eq!(missing.to_string(), "no value for {{TARGET}}");
    assert_eq!(document.missing_variables(&BTreeMap::new()).into_iter().collect::<Vec<_>>(), ["TARGET"]);
    let given = BTreeMap::from([("TARGET".to_owned(), "src".to_owned()), ("UNKNOWN".to_owned(), "x".to_owned())]);
    let values = document.variable_values(&given);
    assert!(!values.contains_key("UNKNOWN"));
    insta::assert_snapshot!(document.leaf_context(&number, &values).unwrap().unwrap().to_text(), @r"
    # Upgrade reqwest
    Intro.

    ### Step 1: Move reqwest
    Context.

    #### 1.1: Look at src
    Body with {{.Repository}}.

    ```file text a.txt
    {{PACKAGE}} stays
    ```
    ");
}
