//! Real documents. Where the corpus is absent its tests say so and pass, unless `RUNYARD_REQUIRE_CORPUS=1`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use runbook::{Document, Tag, check_plan};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// How many tests of this file need the corpus.
const CORPUS_TESTS: usize = 3;

static TOLD: Once = Once::new();

fn corpus() -> Option<PathBuf> {
    let named = std::env::var_os("RUNYARD_CORPUS").map(PathBuf::from);
    // A relative path is meant from the root of the repository, wherever the test runs.
    let path = root().join(named.unwrap_or_else(|| "../shared/corpus".into()));
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var("RUNYARD_REQUIRE_CORPUS").as_deref() != Ok("1"), "no corpus at {}", path.display());
    TOLD.call_once(|| eprintln!("SKIPPED {CORPUS_TESTS} corpus tests: no corpus at {}", path.display()));
    None
}

fn markdown(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "md") && p.file_name().is_some_and(|n| n != "README.md"));
    files.sort();
    let name = |p: &Path| p.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|p| (name(p), fs::read_to_string(p).unwrap())).collect()
}

/// Heading counts by a second, dumber reader: these files have no fences.
fn count_lines(text: &str, substep: bool) -> usize {
    let is_step = |l: &&str| l.starts_with("### Step ");
    let is_substep = |l: &&str| {
        l.strip_prefix("###")
            .is_some_and(|r| r.trim_start_matches('#').trim_start().starts_with(|c: char| c.is_ascii_digit()))
    };
    text.lines().filter(|l| if substep { is_substep(l) } else { is_step(l) }).count()
}

fn assert_template(name: &str, text: &str) -> (usize, usize, usize) {
    let document = Document::parse(text);
    assert_eq!(document.text(), text, "{name}");
    assert_eq!(check_plan(&document), [], "{name}");
    let top = document.steps().iter().filter(|s| s.parent.is_none()).count();
    let subs = document.steps().len() - top;
    assert_eq!((top, subs), (count_lines(text, false), count_lines(text, true)), "{name}");
    assert_eq!(document.leaves().len(), subs, "every step of the library has substeps: {name}");
    for leaf in document.leaves() {
        assert!((3..=8).contains(&leaf.bullets.len()), "{name} {}: {} bullets", leaf.number, leaf.bullets.len());
    }
    (top, subs, document.steps().iter().filter(|s| s.has(Tag::NoCodeChange)).count())
}

#[test]
fn twelve_templates_of_the_library_check_clean() {
    let files = markdown(&root().join("tests/fixtures/templates"));
    assert_eq!(files.len(), 12);
    let counts = files.iter().map(|(name, text)| assert_template(name, text));
    let sum = counts.fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
    assert_eq!(sum, FIXTURE_COUNTS);
}

/// Steps, substeps, and steps tagged as without change.
const FIXTURE_COUNTS: (usize, usize, usize) = (75, 190, 5);

#[test]
fn all_templates_of_the_library_check_clean() {
    let Some(corpus) = corpus() else { return };
    let files = markdown(&corpus.join("templates"));
    assert_eq!(files.len(), 60);
    let counts = files.iter().map(|(name, text)| assert_template(name, text));
    let sum = counts.fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
    assert_eq!(sum, (338, 927, 7));
}

#[test]
fn fences_agree_with_a_second_commonmark_parser() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("markdown");
    let expected: Value = serde_json::from_str(&fs::read_to_string(folder.join("blocks.json")).unwrap()).unwrap();
    let mut compared = 0;
    for file in expected.as_array().unwrap() {
        let name = file["file"].as_str().unwrap();
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let document = Document::parse(text.clone());
        assert_eq!(document.text(), text, "{name}");
        let found: Vec<Value> = document
            .blocks()
            .iter()
            .map(|b| {
                let code = b.body.strip_suffix('\n').unwrap_or(&b.body);
                serde_json::json!([b.position.line, b.language, code])
            })
            .collect();
        let wanted = file["blocks"].as_array().unwrap().iter();
        let wanted: Vec<Value> = wanted.map(|b| serde_json::json!([b["line"], b["lang"], b["code"]])).collect();
        assert_eq!(found, wanted, "{name}");
        compared += found.len();
    }
    assert_eq!(compared, 1031);
}

/// Examples whose indented code the Markdown parser reads in another way than the reference. Fenced code never differs.
const INDENTED_EXCEPTIONS: [usize; 0] = [];

#[test]
fn the_examples_of_commonmark_have_the_code_blocks_of_the_reference() {
    let Some(corpus) = corpus() else { return };
    let spec = fs::read_to_string(corpus.join("markdown/15-commonmark-spec.md")).unwrap();
    let document = Document::parse(spec);
    let examples: Vec<_> = document.blocks().iter().filter(|b| b.info == "example").collect();
    assert_eq!(examples.len(), 655);
    let mut differing = BTreeSet::new();
    let mut compared = 0;
    for (i, example) in examples.iter().enumerate() {
        let source = example.body.replace('→', "\t");
        let (markdown, html) = source.split_once("\n.\n").unwrap();
        let parsed = Document::parse(markdown.to_owned() + "\n");
        let found: Vec<(Option<String>, String)> =
            parsed.blocks().iter().map(|b| (b.language.clone(), b.body.clone())).collect();
        let wanted = reference_blocks(html);
        compared += wanted.len();
        if found != wanted {
            differing.insert(i + 1);
        }
    }
    assert_eq!(differing.into_iter().collect::<Vec<_>>(), INDENTED_EXCEPTIONS);
    assert!(compared > 70, "{compared}");
}

/// The `<pre><code>` elements of the reference's HTML: language and content.
fn reference_blocks(html: &str) -> Vec<(Option<String>, String)> {
    html.split("<pre><code")
        .skip(1)
        .map(|part| {
            let (attributes, rest) = part.split_once('>').unwrap();
            let content = rest.split_once("</code></pre>").unwrap().0;
            let language =
                attributes.trim().strip_prefix("class=\"language-").map(|l| unescape(l.trim_end_matches('"')));
            (language, unescape(content))
        })
        .collect()
}

fn unescape(html: &str) -> String {
    html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}
