//! One pass finds every problem, each with its place and its mend.

use runbook::{CheckOptions, Code, Document, Severity, check, check_with, render_json, render_text};

const BAD: &str = "\
---
titel: x
timeout: soon
variables:
  PATH: {default: /bin}
  lower: a
  OK: {defualt: b}
---
# Bad {{GIT_DIR}}
## Execution Steps
### Step 2: First
#### 2.1: Same
#### 2.2: Same
#### 2.4
### Step 2: Again
```runnable bash name=a timout=5s timeout=never needs=b,a env.LD_PRELOAD=x retry=-1 check=maybe
echo {{NAME}} {{.Text}}
```
```python runnable name=a
import os; print(\"{{NAME}}\")
```
```js {runnable}
{{NAME}}
```
```go runnable
{{NAME}}
```
```rubi runnable
{{NAME}}
```
```runnable
x
```
```file text /etc/passwd mode=4755
```
```file text ok.txt
```
```file text ok.txt encoding=base64
***
```
### 3.1 Looks like one
###### 2.1.1.1: Deep
```runnable sh name=\"x
never closed
";

#[test]
fn every_problem_in_one_pass() {
    let document = Document::parse(BAD);
    insta::assert_snapshot!(render_text("bad.md", &check(&document)));
}

#[test]
fn every_code_can_be_found() {
    let mut seen: Vec<Code> = check(&Document::parse(BAD)).iter().map(|d| d.code).collect();
    for text in [
        "a\0b\n",
        "### Step 1: [CONDITIONAL] x\n### Step 2: [WIP] y\n### Step 3\n",
        "```runnable sh\n\u{202e}\n```\n",
        "```runnable sh needs=zebra\n```\n",
        "```runnable sh name=p needs=q\n```\n```runnable sh name=q needs=p\n```\n",
        "---\n[\n---\n",
        "### Step 1: a\n#### 1.2: b\n#### 3.1: c\n### Step 3: d\n### Step 5: d\n",
        "### Step 1: a\n#### 1.1: b\n##### 1.1.1: c\n###### 1.1.1.1: d\n",
    ] {
        seen.extend(check(&Document::parse(text)).iter().map(|d| d.code));
    }
    seen.extend(runbook::check_plan(&Document::parse("")).iter().map(|d| d.code));
    // Plans have their own tests.
    seen.push(Code::PlanStructure);
    let unseen: Vec<&str> = Code::ALL.iter().filter(|c| !seen.contains(c)).map(|c| c.as_str()).collect();
    assert_eq!(unseen, [""; 0]);
}

#[test]
fn diagnostics_as_json() {
    let document = Document::parse("# Tä\n### Step 1: A\n### Step 3: Bä\n");
    insta::assert_json_snapshot!(render_json("a.md", &check(&document)), @r#"
    {
      "file": "a.md",
      "errors": 1,
      "warnings": 0,
      "diagnostics": [
        {
          "code": "numbering-gap",
          "severity": "error",
          "span": {
            "start": 29,
            "end": 30
          },
          "line": 3,
          "column": 10,
          "message": "step 3 follows step 1",
          "help": "number it 2"
        }
      ]
    }
    "#);
}

#[test]
fn broken_yaml_leaves_the_body_usable() {
    for yaml in
        ["title: [", "a: b: c", "- a\n- b", "title: {a: b}", "title: a\ntitle: b", "variables: 3", "a: *x", "? {"]
    {
        let text = format!("---\n{yaml}\n---\n### Step 1: A\n");
        let document = Document::parse(text.clone());
        let found = check(&document);
        assert!(found.iter().any(|d| d.code == Code::BadFrontMatter && d.position.line <= 4), "{yaml}: {found:?}");
        assert_eq!(document.steps().len(), 1, "{yaml}");
    }
}

#[test]
fn hostile_yaml_is_bounded() {
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
        + &(1..12)
            .map(|i| {
                format!(
                    "k{i}: &b{i} [{}]\n",
                    vec![if i == 1 { "*a".to_owned() } else { format!("*b{}", i - 1) }; 9].join(",")
                )
            })
            .collect::<String>();
    let deep = "a: ".to_owned() + &"[".repeat(5000) + &"]".repeat(5000);
    for yaml in [bomb, deep, "a: 1\n".repeat(60_000)] {
        let found = check(&Document::parse(format!("---\n{yaml}\n---\n")));
        assert!(found.iter().any(|d| d.code == Code::BadFrontMatter), "{:?}", &yaml[..20]);
    }
}

#[test]
fn runtimes_from_settings_and_front_matter_are_known() {
    let text = "```runnable ruby\n```\n```runnable Perl\n```\n";
    let options = CheckOptions { runtimes: vec!["ruby".to_owned()], ..CheckOptions::default() };
    assert_eq!(check_with(&Document::parse(text), &options).len(), 1);
    let text = format!("---\nruntimes: {{perl: {{command: perl}}}}\n---\n{text}");
    assert_eq!(check_with(&Document::parse(text), &options), []);
}

#[test]
fn suggestions_name_the_nearest() {
    let help = |text: &str| check(&Document::parse(text))[0].help.clone();
    assert_eq!(help("```runnable sh timout=5s\n```\n"), "did you mean `timeout`?");
    assert_eq!(help("```runnable pyton\n```\n"), "did you mean `python`?");
    assert_eq!(help("---\nvariabels: {}\n---\n"), "did you mean `variables`?");
    assert_eq!(help("```runnable sh name=load needs=laod\n```\n"), "did you mean `load`?");
}

#[test]
fn the_guide_lists_every_code_with_its_meaning() {
    let guide = include_str!("../../../../docs/runbooks.md");
    let listed: Vec<&str> = guide
        .lines()
        .skip_while(|line| !line.starts_with("| code |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    let wanted: Vec<String> = Code::ALL
        .iter()
        .map(|code| {
            let severity = if code.severity() == Severity::Error { "error" } else { "warning" };
            format!("| `{}` | {severity} | {} |", code.as_str(), code.meaning())
        })
        .collect();
    assert_eq!(listed, wanted);
}
