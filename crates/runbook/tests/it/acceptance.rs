//! The acceptance rows about the format, by their ids.

use runbook::{Document, check, check_plan, render_text, without_nul};

use crate::numbers;

const RB: &str = "\
# Runbook: Demo
## Execution Steps
### Step 1: Schema
#### 1.1: Add table
Text.
- a
#### 1.2: Add index
Text.
- b
### Step 2: API
#### 2.1: Endpoint
Text.
- c
";

fn codes(text: &str) -> Vec<&'static str> {
    check_plan(&Document::parse(text)).iter().map(|d| d.code.as_str()).collect()
}

#[test]
fn t040_the_demo_runbook() {
    let document = Document::parse(RB);
    assert_eq!(document.title(), Some("Demo"));
    assert_eq!(numbers(&document), ["1", "1.1", "1.2", "2", "2.1"]);
    assert_eq!(document.leaves().len(), 3);
    assert_eq!(check_plan(&document), []);
}

#[test]
fn t042_substeps_with_the_heading_level_of_steps() {
    let document = Document::parse(RB.replace("####", "###"));
    assert_eq!(numbers(&document), ["1", "1.1", "1.2", "2", "2.1"]);
    let parents: Vec<_> = document.steps().iter().map(|s| s.parent).collect();
    assert_eq!(parents, [None, Some(0), Some(0), None, Some(3)]);
    assert_eq!(check_plan(&document), []);
}

#[test]
fn t043_t045_t046_numbers_out_of_line_are_refused() {
    let text = RB.replace("Step 2", "Step 3").replace("2.1", "3.1");
    insta::assert_snapshot!(render_text("a.md", &check(&Document::parse(text))), @r"
    a.md:10:10: error[numbering-gap]: step 3 follows step 1
      help: number it 2
    ");
    let text = RB.replace("#### 1.2", "#### 2.1");
    insta::assert_snapshot!(render_text("a.md", &check(&Document::parse(text))), @r"
    a.md:7:6: error[substep-parent]: substep 2.1 stands below step 1
      help: number it 1.2, or move it below the step it belongs to
    ");
    let text = RB.replace("1.2", "1.3");
    insta::assert_snapshot!(render_text("a.md", &check(&Document::parse(text))), @r"
    a.md:7:6: error[numbering-gap]: step 1.3 follows step 1.1
      help: number it 1.2
    ");
}

#[test]
fn t048_a_heading_in_a_fence_is_text() {
    let text = RB.replace("- b\n", "- b\n\n````md\n#### 1.3: Not a step\n```\n### Step 9: Nor this\n````\n");
    assert_eq!(numbers(&Document::parse(text.clone())), ["1", "1.1", "1.2", "2", "2.1"]);
    assert_eq!(codes(&text), [""; 0]);
}

#[test]
fn t049_a_bullet_with_a_soft_break_is_one() {
    let text = RB.replace("- b\n", "- b\\\nmore\n- c\n  - nested\n");
    let document = Document::parse(text);
    let step = document.step(&"1.2".parse().unwrap()).unwrap();
    let bullets: Vec<&str> = step.bullets.iter().map(|r| &document.text()[r.clone()]).collect();
    assert_eq!(bullets, ["- b\\\nmore", "- c\n  - nested"]);
}

#[test]
fn t050_a_document_without_steps_is_valid_but_no_plan() {
    for text in ["", "# Only prose\n\n1. a list\n", "```runnable sh\ntrue\n```\n", "## Execution Steps\n"] {
        let document = Document::parse(text);
        assert_eq!(check(&document), [], "{text}");
        assert_eq!(codes(text), ["no-steps"], "{text}");
        assert!(document.leaves().is_empty());
    }
}

#[test]
fn t051_nul_is_an_error_and_can_be_taken_out() {
    let text = RB.replace("Text.", "Te\0xt.");
    assert_eq!(codes(&text), ["control-character"]);
    let (clean, count) = without_nul(text);
    assert_eq!((clean.as_str(), count), (RB, 3));
}
