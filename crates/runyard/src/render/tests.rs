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

/// Two rows that were queued at the same moment: their ids differ at the end.
fn two_queued() -> engine::SessionView {
    let mut view = fixtures::view();
    let row = |last: &str, kind| domain::Action {
        id: format!("019e8a3b-7c4d-7000-8000-{last}1234567890").parse().expect("an id"),
        ..fixtures::action(kind)
    };
    let step = view.runbook.as_ref().expect("a runbook").steps[1].id;
    view.queue =
        vec![row("aa", domain::ActionKind::ExecuteStep { step, version: 1 }), row("ab", domain::ActionKind::Finish)];
    view
}

#[test]
fn what_the_queue_prints_names_one_row() {
    let view = two_queued();
    let printed = queue(&view, Style { colours: false });
    for (row, line) in view.queue.iter().zip(&printed) {
        let handle = line.split(' ').next().expect("a handle");
        assert_eq!(queued_as(&view, handle), [row], "{line}");
        assert_eq!(queued_as(&view, &row.id.to_string()), [row]);
    }
    assert_eq!(queued_as(&view, "1.1"), [&view.queue[0]]);
    assert_eq!(queued_as(&view, "019e8a3b-7c4d").len(), 2, "what they share means both");
    assert!(queued_as(&view, "bc").is_empty() && queued_as(&view, "2").is_empty());
}

#[test]
fn how_far_a_session_is_is_said() {
    assert_eq!(session::phase_words(&engine::Phase::Planned, (0, 5)), "○ planned");
    assert_eq!(session::phase_words(&engine::Phase::Planned, (2, 5)), "○ 2 of 5 steps done");
    assert!(no_sessions(true, false).contains("--all"));
}

#[test]
fn only_time_at_work_that_was_seen_is_told() {
    let events = story();
    let last_line = |from: usize| {
        let mut renderer = LogRenderer::new(Style { colours: false }, None);
        let lines: Vec<_> = events[from..].iter().flat_map(|event| renderer.event(event)).collect();
        lines.into_iter().find(|line| line.starts_with("✓ 1.1 Add schema")).expect("a completed step")
    };
    let begun = |event: &domain::Event| {
        matches!(&event.payload, domain::Payload::Known(domain::EventPayload::StepState { number, state, .. })
            if number == "1.1" && *state == domain::StepState::InProgress)
    };
    let begun = events.iter().position(begun).expect("it begins");
    let (whole, part) = (last_line(0), last_line(begun + 1));
    assert!(whole.contains("26s"), "{whole}");
    assert!(!part.contains("0ms") && !part.contains("s ·"), "its beginning was not seen: {part}");
}

#[test]
fn what_is_said_already_is_not_repeated() {
    let mut view = fixtures::view();
    view.changes[0].title = "[Add a schema] Schema".into();
    let mut above = view.changes[0].clone();
    above.base_branch = above.branch.clone();
    (above.branch, above.pull_request) = ("runyard/r-42/2-docs".parse().expect("a branch"), Some(2));
    above.title = "[WIP] [Add a schema] Docs".into();
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
