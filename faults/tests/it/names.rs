//! Points by name: the harness knows all of them, and an ordinary program none.

use faults::points::{ERRORS, POINTS};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names that are given to a macro anywhere in the rooms.
fn in_code(call: &str) -> BTreeSet<String> {
    let rooms = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").join("crates");
    let mut files = Vec::new();
    sources(&rooms, &mut files);
    let mut names = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("source text");
        for (at, _) in text.match_indices(call) {
            let rest = text[at + call.len()..].trim_start().trim_start_matches('"');
            names.extend(rest.split('"').next().filter(|name| name.contains('-')).map(str::to_owned));
        }
    }
    names
}

#[test]
fn the_harness_knows_every_point_of_the_code() {
    let known: BTreeSet<String> = POINTS.iter().map(|point| point.name.to_owned()).collect();
    assert_eq!(in_code("crash_point!("), known);
    let known: BTreeSet<String> = ERRORS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(in_code("error_point!("), known);
}

#[test]
fn an_ordinary_program_has_no_point() {
    let planted = in_code("planted!(");
    let names: Vec<&str> = POINTS
        .iter()
        .map(|point| point.name)
        .chain(ERRORS.iter().copied())
        .chain(planted.iter().map(String::as_str))
        .chain(["RUNYARD_FAILPOINTS", "RUNYARD_PLANTED"])
        .collect();
    let list = std::env::temp_dir().join(format!("runyard-points-{}", std::process::id()));
    std::fs::write(&list, names.join("\n")).expect("a list");
    let found = |program: &Path| {
        let output = Command::new("grep")
            .args(["--text", "--only-matching", "--fixed-strings", "--file"])
            .args([list.as_path(), program])
            .env("LC_ALL", "C")
            .output()
            .expect("grep");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(found(product_tests::runyard()), BTreeSet::new());
    let all = names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(found(product_tests::runyard_with_crash_points()), all, "the search finds them where they are");
    std::fs::remove_file(&list).ok();
}
