//! Edits: what they change, what they leave, what they refuse.

use proptest::prelude::*;
use runbook::{Document, Edit, EditError, Place, StepNumber, edit, locked_changes};

const TEXT: &str = "\
# Runbook: Demo

Intro  with   odd spacing.

## Execution Steps

### Step 1: Schema

Context.

#### 1.1: [NO-CODE-CHANGE] Look

* odd bullet

#### 1.2: Add

Text.

### Step 2) API ###

#### 2.1: Endpoint
Text.

## Manual testing plan

### 1. Open the page
";

fn n(number: &str) -> StepNumber {
    number.parse().unwrap()
}

fn apply(text: &str, wanted: &Edit) -> Result<String, EditError> {
    edit(&Document::parse(text), wanted, &|_| false).map(Document::into_text)
}

/// The changed lines only, as a reader of a diff sees them.
fn diff(wanted: &Edit) -> String {
    let new = apply(TEXT, wanted).unwrap();
    let diff = similar::TextDiff::from_lines(TEXT, &new);
    let changed = diff.iter_all_changes().filter(|c| c.tag() != similar::ChangeTag::Equal);
    changed.map(|c| format!("{}{c}", c.tag())).collect()
}

/// Several diffs under headings.
fn diffs(edits: &[Edit]) -> String {
    edits.iter().map(|e| format!("== {}\n{}", serde_json::to_string(e).unwrap(), diff(e))).collect()
}

#[test]
fn saving_a_step_as_it_is_changes_nothing() {
    let document = Document::parse(TEXT);
    for step in document.steps() {
        let text = document.step_text(step).to_owned();
        let own = Edit::ReplaceStep { number: step.number.clone(), text, with_substeps: false };
        assert_eq!(apply(TEXT, &own).unwrap(), TEXT);
        let text = TEXT[step.extent.clone()].to_owned();
        let whole = Edit::ReplaceStep { number: step.number.clone(), text, with_substeps: true };
        assert_eq!(apply(TEXT, &whole).unwrap(), TEXT);
    }
}

#[test]
fn the_first_line_is_the_title_with_or_without_marks() {
    for first in [
        "Add the table",
        "#### Add the table",
        "1.2: Add the table",
        "#### 1.2: Add the table",
        "\n# 1.2) Add the table",
    ] {
        let text = format!("{first}\n\nNew.\n- a\n\n");
        insta::allow_duplicates! {
            insta::assert_snapshot!(diff(&Edit::ReplaceStep { number: n("1.2"), text, with_substeps: false }), @r"
            -#### 1.2: Add
            +#### 1.2: Add the table
            -Text.
            +New.
            +- a
            ");
        }
    }
    insta::assert_snapshot!(diff(&Edit::ReplaceStep { number: n("2"), text: "[MANUAL] By hand".to_owned(), with_substeps: false }), @r"
    -### Step 2) API ###
    +### Step 2) [MANUAL] By hand ###
    ");
}

#[test]
fn text_for_another_step_is_refused() {
    let wanted = Edit::ReplaceStep { number: n("1.2"), text: "#### 1.1: Look".to_owned(), with_substeps: false };
    assert_eq!(apply(TEXT, &wanted), Err(EditError::OtherNumber { expected: n("1.2"), found: n("1.1") }));
    let wanted = Edit::DeleteStep { number: n("7") };
    assert_eq!(apply(TEXT, &wanted), Err(EditError::NoSuchStep(n("7"))));
}

#[test]
fn text_that_breaks_what_is_around_it_is_refused() {
    for text in ["Add\n```\nopen", "Add\n<!-- open", "Add\n# Heading that ends the steps", "Add\n## Another section"] {
        let wanted = Edit::ReplaceStep { number: n("1.2"), text: text.to_owned(), with_substeps: false };
        assert!(matches!(apply(TEXT, &wanted), Err(EditError::Structure(_))), "{text}");
        let wanted = Edit::InsertStep { place: Place::After(n("1.2")), text: text.to_owned() };
        assert!(matches!(apply(TEXT, &wanted), Err(EditError::Structure(_))), "{text}");
    }
    for text in ["Look", "", "Add\n\n#### 1.4: Gap", "Add\n```runnable bash\necho {{X}}\n```"] {
        let wanted = Edit::ReplaceStep { number: n("1.2"), text: text.to_owned(), with_substeps: false };
        assert!(matches!(apply(TEXT, &wanted), Err(EditError::Invalid(_))), "{text}");
    }
}

#[test]
fn a_leaf_may_get_substeps() {
    let text = "Add\n\n##### 1.2.1: One\n\n##### 1.2.2: Two".to_owned();
    let new = apply(TEXT, &Edit::ReplaceStep { number: n("1.2"), text, with_substeps: false }).unwrap();
    assert_eq!(crate::numbers(&Document::parse(new)), ["1", "1.1", "1.2", "1.2.1", "1.2.2", "2", "2.1"]);
}

#[test]
fn inserted_steps_take_their_number_from_the_place() {
    let insert = |place, text: &str| Edit::InsertStep { place, text: text.to_owned() };
    insta::assert_snapshot!(diffs(&[
        insert(Place::Before(n("1.2")), "New one\nBody."),
        insert(Place::Into(n("2")), "#### 9.9: Last\nBody."),
        insert(Place::End, "### Step 1: Third\nContext.\n#### 1.1: Sub"),
        insert(Place::Into(n("1.1")), "### Step 1: Nested"),
        insert(Place::Into(n("1")), "### Step 1: Nested\n#### 1.1: Deeper"),
    ]));
}

#[test]
fn deleting_renumbers_what_follows() {
    let delete = |number: &str| Edit::DeleteStep { number: n(number) };
    insta::assert_snapshot!(diffs(&[delete("1"), delete("1.1"), delete("1.2"), delete("2")]));
}

#[test]
fn moving_keeps_the_text_and_changes_the_depth() {
    let to = |number: &str, place| Edit::MoveStep { number: n(number), place };
    insta::assert_snapshot!(diffs(&[
        to("1.2", Place::Before(n("1.1"))),
        to("1", Place::End),
        to("1.2", Place::End),
        to("2", Place::Into(n("1"))),
    ]));
    let into_itself = Edit::MoveStep { number: n("1"), place: Place::After(n("1.2")) };
    assert_eq!(apply(TEXT, &into_itself), Err(EditError::IntoItself(n("1"))));
}

#[test]
fn deleting_leaves_a_blank_line_where_lines_would_run_together() {
    let text = "### Step 1: A\ntext\n### Step 2: B\nb\n\nManual\n---\n";
    let new = apply(text, &Edit::DeleteStep { number: n("2") }).unwrap();
    assert_eq!(new, "### Step 1: A\ntext\n\nManual\n---\n");
}

#[test]
fn numbers_that_are_right_stay_as_they_are_written() {
    let text = "### Step 01: A\n### Step 02: B\n### Step 03: C\n";
    let new = apply(text, &Edit::DeleteStep { number: n("2") }).unwrap();
    assert_eq!(new, "### Step 01: A\n### Step 2: C\n");
}

#[test]
fn renumbering_mends_numbers_only() {
    let text = "### Step 2: A\n#### 1.5: B\n### Step 2: C\n#### 3.3.3: D\n";
    let new = apply(text, &Edit::Renumber {}).unwrap();
    assert_eq!(new, "### Step 1: A\n#### 1.1: B\n### Step 2: C\n#### 2.1: D\n");
    // Before numbers are in order nobody can say what a place means.
    let wanted = Edit::InsertStep { place: Place::End, text: "E".to_owned() };
    assert!(matches!(apply(text, &wanted), Err(EditError::Invalid(_))));
    assert!(apply(&new, &wanted).is_ok());
}

#[test]
fn titles() {
    insta::assert_snapshot!(diff(&Edit::SetStepTitle { number: n("1.1"), title: " Look closely ".to_owned() }), @r"
    -#### 1.1: [NO-CODE-CHANGE] Look
    +#### 1.1: [NO-CODE-CHANGE] Look closely
    ");
    insta::assert_snapshot!(diff(&Edit::SetTitle { title: "Other".to_owned() }), @r"
    -# Runbook: Demo
    +# Runbook: Other
    ");
    for title in ["", "two\nlines", "[MANUAL] tag", "closing #"] {
        let wanted = Edit::SetStepTitle { number: n("1.2"), title: title.to_owned() };
        assert!(matches!(apply(TEXT, &wanted), Err(EditError::BadTitle(..))), "{title}");
    }
    let set = |text: &str| apply(text, &Edit::SetTitle { title: "It's \"a: b\"".to_owned() }).unwrap();
    assert_eq!(
        set("---\ntitle: x # why\n---\n# Old\n"),
        "---\ntitle: \"It's \\\"a: b\\\"\" # why\n---\n# It's \"a: b\"\n"
    );
    assert_eq!(set("text\n"), "# It's \"a: b\"\n\ntext\n");
    let step = Edit::SetTitle { title: "Step 1: x".to_owned() };
    assert!(matches!(apply(TEXT, &step), Ok(_) | Err(EditError::BadTitle(..))));
    let bare = apply("### Step 1\n#### 1.1\ntext", &Edit::SetStepTitle { number: n("1.1"), title: "T".to_owned() });
    assert_eq!(bare.unwrap(), "### Step 1\n#### 1.1: T\ntext");
}

#[test]
fn line_endings_follow_the_document() {
    let text = TEXT.replace('\n', "\r\n");
    for given in ["Add\nNew.", "Add\r\nNew."] {
        let wanted = Edit::ReplaceStep { number: n("1.2"), text: given.to_owned(), with_substeps: false };
        let new = apply(&text, &wanted).unwrap();
        assert_eq!(new.replace("\r\n", "\n").replace("\nNew.", "\n\nText."), TEXT);
        assert!(!new.replace("\r\n", "").contains(['\r', '\n']));
    }
}

#[test]
fn a_first_step_can_be_added() {
    let wanted = Edit::InsertStep { place: Place::End, text: "First\nBody".to_owned() };
    assert_eq!(apply("", &wanted).unwrap(), "## Execution Steps\n\n### Step 1: First\nBody\n");
    assert_eq!(apply("# T", &wanted).unwrap(), "# T\n\n## Execution Steps\n\n### Step 1: First\nBody\n");
    let text = "# T\n\n## Execution Steps\n\n## Notes\n";
    let new = "# T\n\n## Execution Steps\n\n### Step 1: First\nBody\n\n## Notes\n";
    assert_eq!(apply(text, &wanted).unwrap(), new);
}

#[test]
fn t053_completed_steps_keep_their_text_and_number() {
    let document = Document::parse(TEXT);
    let done = |number: &StepNumber| *number == n("1.2");
    let attempt = |wanted: &Edit| edit(&document, wanted, &done).map(|_| ());
    let replace = |number: &str| Edit::ReplaceStep { number: n(number), text: "X\nY".to_owned(), with_substeps: false };
    assert_eq!(attempt(&replace("1.2")), Err(EditError::Locked(n("1.2"))));
    assert_eq!(attempt(&Edit::DeleteStep { number: n("1") }), Err(EditError::Locked(n("1.2"))));
    assert_eq!(attempt(&Edit::DeleteStep { number: n("1.1") }), Err(EditError::Locked(n("1.2"))));
    assert_eq!(
        attempt(&Edit::InsertStep { place: Place::Before(n("1")), text: "X".to_owned() }),
        Err(EditError::Locked(n("1.2")))
    );
    assert_eq!(attempt(&replace("1.1")), Ok(()));
    assert_eq!(attempt(&replace("1")), Ok(()));
    assert_eq!(attempt(&Edit::InsertStep { place: Place::After(n("1.2")), text: "X".to_owned() }), Ok(()));
    let by_hand = Document::parse(TEXT.replace("1.2: Add\n\nText", "1.2: Add\n\nOther"));
    assert_eq!(locked_changes(&document, &by_hand, &done), [n("1.2")]);
}

#[test]
fn edits_travel_as_json() {
    let wanted: Edit =
        serde_json::from_str(r#"{"edit": "move_step", "number": "1.2", "place": {"before": "1.1"}}"#).unwrap();
    assert_eq!(wanted, Edit::MoveStep { number: n("1.2"), place: Place::Before(n("1.1")) });
    assert!(serde_json::from_str::<Edit>(r#"{"edit": "renumber", "x": 1}"#).is_err());
}

/// Lines that make interesting documents when put together at random.
fn line() -> impl Strategy<Value = String> {
    let fixed = [
        "",
        "",
        "text",
        "  indented",
        "- bullet",
        "1. item",
        "> quote",
        "```",
        "~~~",
        "```runnable bash name=a",
        "```file text a.txt",
        "<!--",
        "-->",
        "---",
        "===",
        "# Title",
        "## Execution Steps",
        "## Section",
        "### 3.",
        "{{VAR}}",
        "\u{feff}",
        "\ttab",
        "title: x",
        "    ### Step 1: code",
        "**bold**",
        "text\r",
        "ünï",
        "### Step 1",
        "<details>",
        "\\",
    ];
    prop_oneof![
        3 => proptest::sample::select(fixed.to_vec()).prop_map(str::to_owned),
        2 => (1..4u32, 0..4u32, "[A-D]{0,2}", 2..5usize).prop_map(|(a, b, title, level)| {
            let marks = "#".repeat(level);
            if b == 0 { format!("{marks} Step {a}: {title}") } else { format!("{marks} {a}.{b}: {title}") }
        }),
    ]
}

fn text(lines: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = String> {
    (proptest::collection::vec(line(), lines), any::<bool>())
        .prop_map(|(lines, crlf)| lines.join(if crlf { "\r\n" } else { "\n" }))
}

/// A document whose numbering is right, so that most edits are accepted.
fn plan() -> impl Strategy<Value = String> {
    let step = (proptest::collection::vec(text(0..3), 0..4), text(0..3));
    (text(0..3), proptest::collection::vec(step, 0..4), any::<bool>()).prop_map(|(intro, steps, tail)| {
        let mut out = intro + "\n## Execution Steps\n";
        for (i, (subs, body)) in steps.iter().enumerate() {
            out += &format!("### Step {}: T{i}\n{body}\n", i + 1);
            for (k, sub) in subs.iter().enumerate() {
                out += &format!("#### {}.{}: S{k}\n{sub}\n", i + 1, k + 1);
            }
        }
        out + if tail { "\n## Manual testing plan\n- a\n" } else { "" }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn any_text_can_be_read(text in prop_oneof![text(0..30), plan(), any::<String>()]) {
        runbook::fuzzing::parse_any(&text);
    }

    #[test]
    fn edits_touch_only_their_lines(
        text in prop_oneof![1 => text(0..20), 4 => plan()],
        given in prop_oneof![text(0..6), "[A-Z]{1,3}"],
        choice in any::<(u8, u8, u8)>(),
    ) {
        runbook::fuzzing::edit_any(&text, &given, choice);
    }
}
