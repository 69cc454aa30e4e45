//! The canonical writer: what an agent submits becomes a runbook that is read as it was meant.

use proptest::prelude::*;
use runbook::{Document, Plan, PlanCheck, PlanStep, PlanSubstep, Tag, check_plan, has_errors, write_plan};

fn codes(plan: &Plan) -> Vec<&'static str> {
    write_plan(plan).unwrap_err().iter().map(|d| d.code.as_str()).collect()
}

fn minimal() -> Plan {
    let substep = PlanSubstep { title: "Look".to_owned(), ..PlanSubstep::default() };
    let step = PlanStep { title: "Schema".to_owned(), substeps: vec![substep], ..PlanStep::default() };
    Plan { title: "Demo".to_owned(), steps: vec![step], ..Plan::default() }
}

#[test]
fn the_canonical_form() {
    let plan: Plan = serde_json::from_value(serde_json::json!({
        "title": "Upgrade the HTTP client",
        "intro": "What this achieves.\n",
        "summary": ["One thing", "- another\nwith a second line"],
        "steps": [
            {"title": "Move to\nthe new API", "context": "Context.", "checks": [{"script": "cargo test"}], "substeps": [
                {"title": "List the call sites", "tags": ["no-code-change"], "description": "Description.", "bullets": ["a", "b"]},
                {"title": "Replace them", "checks": [{"name": "call sites", "script": "\necho '```'\n", "timeout": "1m30s"}]},
            ]},
            {"title": "Configure", "tags": ["conditional"], "condition": "Only execute if the project uses TLS", "bullets": ["c"]},
        ],
        "manual_testing": ["Open the page"],
    }))
    .unwrap();
    let document = write_plan(&plan).unwrap();
    assert_eq!(check_plan(&document), []);
    assert_eq!(document.steps()[3].condition.as_deref(), Some("Only execute if the project uses TLS"));
    insta::assert_snapshot!(document.text());
}

#[test]
fn unknown_fields_are_refused() {
    for (field, at) in [("extra", ""), ("extra", "/steps/0"), ("extra", "/steps/0/substeps/0")] {
        let mut value = serde_json::to_value(minimal()).unwrap();
        value.pointer_mut(at).unwrap()[field] = true.into();
        assert!(serde_json::from_value::<Plan>(value).is_err(), "{at}");
    }
}

#[test]
fn the_schema_names_exactly_the_fields_of_a_plan() {
    let text = || "x".to_owned();
    let check = PlanCheck { name: Some(text()), script: text(), timeout: Some(text()) };
    let (tags, condition, bullets, checks) = (vec![Tag::Manual], Some(text()), vec![text()], vec![check]);
    let (title, description, context) = (text(), text(), text());
    let substep = PlanSubstep {
        title,
        tags: tags.clone(),
        condition: condition.clone(),
        description,
        bullets: bullets.clone(),
        checks: checks.clone(),
    };
    let step = PlanStep { title: text(), tags, condition, context, bullets, checks, substeps: vec![substep] };
    let plan =
        Plan { title: text(), intro: text(), summary: vec![text()], steps: vec![step], manual_testing: vec![text()] };
    let (plan, schema) = (serde_json::to_value(plan).unwrap(), runbook::plan_schema());
    let keys = |v: &serde_json::Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for (at, of) in [
        ("", ""),
        ("/steps/0", "/properties/steps/items"),
        ("/steps/0/substeps/0", "/properties/steps/items/properties/substeps/items"),
        ("/steps/0/checks/0", "/properties/steps/items/properties/checks/items"),
    ] {
        let schema = schema.pointer(of).unwrap();
        assert_eq!(keys(plan.pointer(at).unwrap()), keys(&schema["properties"]), "{at}");
        for field in schema["required"].as_array().unwrap() {
            let mut value = plan.clone();
            value.pointer_mut(at).unwrap().as_object_mut().unwrap().remove(field.as_str().unwrap());
            assert!(serde_json::from_value::<Plan>(value).is_err(), "{field} of {at} is required");
        }
    }
    assert_eq!(
        schema.pointer("/properties/steps/items/properties/tags/items/enum"),
        Some(&serde_json::json!(["no-code-change", "conditional", "manual"]))
    );
    assert_eq!(serde_json::from_str::<Tag>("\"NO-CODE-CHANGE\"").unwrap(), Tag::NoCodeChange);
}

#[test]
fn plans_that_would_be_read_as_something_else_are_refused() {
    assert!(write_plan(&minimal()).is_ok());
    assert!(codes(&Plan { steps: Vec::new(), ..minimal() }).contains(&"no-steps"));
    assert!(codes(&Plan { title: String::new(), ..minimal() }).contains(&"plan-structure"));
    for intro in ["### Step 1: Sneaked in", "```\nopen", "<!-- open", "## Execution Steps\n### Step 1: Mine"] {
        let found = write_plan(&Plan { intro: intro.to_owned(), ..minimal() });
        let harmless = found.is_ok_and(|d| d.steps().len() == 2);
        assert!(harmless || !codes(&Plan { intro: intro.to_owned(), ..minimal() }).is_empty(), "{intro}");
    }
    for text in ["#### 1.2: Sneaked in", "# Ends the steps\n### Step 2: x", "```\nopen", "<!-- open"] {
        let mut plan = minimal();
        plan.steps[0].context = text.to_owned();
        assert!(codes(&plan).contains(&"plan-structure"), "{text}");
    }
    for title in ["", "closing #", "[MANUAL] tag"] {
        let mut plan = minimal();
        plan.steps[0].substeps[0].title = title.to_owned();
        assert!(!codes(&plan).is_empty(), "{title}");
    }
    let mut plan = minimal();
    let check =
        |name: &str, script: &str| PlanCheck { name: Some(name.to_owned()), script: script.to_owned(), timeout: None };
    plan.steps[0].checks = vec![check("a", "true"), check("a", "echo {{X}}"), check("both ' and \"", "true")];
    let found = codes(&plan);
    for code in ["duplicate-name", "variable-in-code", "plan-structure"] {
        assert!(found.contains(&code), "{code}: {found:?}");
    }
    plan.steps[0].checks = vec![PlanCheck { timeout: Some("soon".to_owned()), ..check("a", "true") }];
    assert_eq!(codes(&plan), ["bad-timeout"]);
}

fn words() -> impl Strategy<Value = String> {
    let odd = [
        "",
        "plain",
        "# h",
        "### Step 1: x",
        "```",
        "~~~",
        "<!--",
        "- a\n- b",
        "a\nb",
        "[MANUAL] t",
        "1. x",
        "{{X}}",
        "x #",
        "---",
        "> q",
        "\\",
    ];
    prop_oneof![proptest::sample::select(odd.to_vec()).prop_map(str::to_owned), "[A-Za-z]{1,8}", ".{0,12}"]
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let tags = proptest::sample::subsequence(Tag::ALL.to_vec(), 0..=3);
    let check =
        (words(), proptest::option::of(words())).prop_map(|(script, name)| PlanCheck { script, name, timeout: None });
    let checks = proptest::collection::vec(check, 0..2);
    let list = || proptest::collection::vec(words(), 0..3);
    let substep = (words(), tags, words(), list(), checks).prop_map(|(title, tags, description, bullets, checks)| {
        PlanSubstep { title, tags, description, bullets, checks, condition: None }
    });
    let step = (words(), words(), proptest::collection::vec(substep, 0..3))
        .prop_map(|(title, context, substeps)| PlanStep { title, context, substeps, ..PlanStep::default() });
    (words(), words(), list(), proptest::collection::vec(step, 0..3), list()).prop_map(
        |(title, intro, summary, steps, manual_testing)| Plan { title, intro, summary, steps, manual_testing },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_is_written_as_meant_or_refused(plan in any_plan()) {
        match write_plan(&plan) {
            Err(found) => prop_assert!(has_errors(&found)),
            Ok(document) => {
                prop_assert!(!has_errors(&check_plan(&document)));
                prop_assert_eq!(&Document::parse(document.text()), &document);
                let top = document.steps().iter().filter(|s| s.parent.is_none()).count();
                prop_assert_eq!(top, plan.steps.len());
                let checks = |p: &Plan| p.steps.iter().flat_map(|s| &s.substeps).map(|s| s.checks.len()).sum::<usize>();
                prop_assert_eq!(document.blocks().iter().filter(|b| b.is_check()).count(), checks(&plan));
            }
        }
    }
}
