use super::*;
use crate::fixtures::{self, story};
use jiff::tz::TimeZone;
use std::{collections::BTreeMap, time::Duration};

fn render(style: Style, width: Option<usize>) -> String {
    let mut renderer = LogRenderer::new(style, width);
    let mut lines = Vec::new();
    for event in story() {
        lines.extend(renderer.event(&event));
    }
    lines.extend(renderer.flush());
    lines.join("\n")
}

#[test]
fn a_story_reads_calmly() {
    insta::assert_snapshot!("log-plain", render(Style { colours: false }, None));
}

#[test]
fn the_same_in_colour_and_narrow() {
    let text = render(Style { colours: true }, Some(60));
    insta::assert_snapshot!("log-colour", text.replace('\u{1b}', "␛"));
}

#[test]
fn plain_output_never_steers_the_terminal() {
    let text = render(Style { colours: false }, None);
    assert!(text.chars().all(|c| !c.is_control() || c == '\n'), "{text:?}");
    assert!(text.contains("hostile"), "the story has no hostile text");
}

#[test]
fn what_is_being_done_is_known_at_every_moment() {
    let mut renderer = LogRenderer::new(Style { colours: false }, None);
    let mut seen: Vec<String> = Vec::new();
    for event in story() {
        renderer.event(&event);
        let doing = renderer.doing().map_or_else(|| "–".to_owned(), |doing| doing.what);
        if seen.last() != Some(&doing) {
            seen.push(doing);
        }
    }
    insta::assert_snapshot!("doing", seen.join("\n"));
}

#[test]
fn lists_and_pages() {
    let style = Style { colours: false };
    let zone = TimeZone::UTC;
    let view = fixtures::view();
    let mut lines = sessions(&fixtures::session_lines(), style, &zone);
    lines.push("---".into());
    lines.extend(session(&view, style, &zone));
    lines.push("---".into());
    lines.extend(queue(&view, style));
    lines.push("---".into());
    lines.extend(versions(view.runbook.as_slice(), &zone));
    lines.push("---".into());
    lines.extend(pull_requests(&[fixtures::pull_request_view().line], style));
    lines.push("---".into());
    lines.extend(pull_request(&fixtures::pull_request_view(), style, &zone));
    insta::assert_snapshot!("pages", lines.join("\n"));
}

#[test]
fn the_summary_names_what_came_of_it_and_what_is_next() {
    let mut evidence = Evidence::default();
    for event in story() {
        if let domain::Payload::Known(domain::EventPayload::CheckResult { outcome, .. }) = &event.payload {
            evidence.add("1.1", outcome);
        }
    }
    let sizes = BTreeMap::from([(1, (10, 2))]);
    let view = fixtures::view();
    let summary = Summary { view: &view, evidence: &evidence, sizes: &sizes, elapsed: Duration::from_secs(95) };
    insta::assert_snapshot!("summary", summary.lines(Style { colours: false }).join("\n"));
}

#[test]
fn what_is_said_already_is_not_repeated() {
    let mut view = fixtures::view();
    view.changes[0].title = "[Add a schema] Schema".into();
    let mut above = view.changes[0].clone();
    above.base_branch = above.branch.clone();
    (above.branch, above.pull_request) = ("runyard/r-42/2-docs".parse().expect("a branch"), Some(2));
    above.title = "[WIP] Docs".into();
    view.changes.push(above);
    let (evidence, sizes) = (Evidence::default(), BTreeMap::new());
    let summary = Summary { view: &view, evidence: &evidence, sizes: &sizes, elapsed: Duration::ZERO };
    let text = summary.lines(Style { colours: false }).join("\n");
    assert!(text.contains("#1  Schema  "), "{text}");
    assert!(text.contains("#2  [WIP] Docs  "), "{text}");
    assert!(text.contains("runyard/r-42/2-docs → #1"), "{text}");
}

#[test]
fn markdown_keeps_its_text() {
    let text = "# Title\n\n```bash check\n# no heading\n~~~\n```\n## Step 1 \u{1b}[2J\n- item\n";
    let lines = markdown(text, Style { colours: true });
    insta::assert_snapshot!(lines.join("\n").replace('\u{1b}', "␛"), @r"
    ␛[1m# Title␛[0m

    ␛[90m```bash check␛[39m
    ␛[90m# no heading␛[39m
    ␛[90m~~~␛[39m
    ␛[90m```␛[39m
    ␛[1m## Step 1 ␛[0m
    - item
    ");
}
