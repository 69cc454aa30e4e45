//! The rooms of the house: each is named in `ARCHITECTURE.md`, and imports only rooms below it.

use crate::{shell, workspace};
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Rooms by floor, bottom first. Rooms on one floor do not know each other.
const FLOORS: [(&str, u8); 14] = [
    ("domain", 0),
    ("faultpoint", 0),
    ("runbook", 0),
    ("shim", 1),
    ("secrets", 1),
    ("sandbox", 2),
    ("egress", 2),
    ("store", 2),
    ("agent", 3),
    ("forge", 3),
    ("channel", 3),
    ("engine", 4),
    ("server", 5),
    ("runyard", 6),
];

/// Built for development, outside the floors: no room may depend on one.
const OUTSIDE: [&str; 7] = ["scripted-model", "xtask", "product-tests", "bench", "simulation", "faults", "leakscan"];

/// Holds no code, so that every room may depend on it: features of dependencies only.
pub const FEATURES: &str = "workspace-hack";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for a normal one, else `dev` or `build`.
    kind: Option<String>,
    path: Option<String>,
}

/// What breaks the plan of the house.
pub fn check() -> Result<Vec<String>> {
    let metadata =
        shell::capture(workspace::cargo().args(["metadata", "--no-deps", "--format-version=1", "--offline"]))?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("failed to read `cargo metadata`")?;
    // Without the document, every room is reported as missing from it.
    let architecture = std::fs::read_to_string(workspace::root().join("ARCHITECTURE.md")).unwrap_or_default();
    Ok(broken(&metadata, &architecture))
}

fn broken(metadata: &Metadata, architecture: &str) -> Vec<String> {
    let floors = BTreeMap::from(FLOORS);
    let mut broken = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        if name != FEATURES && !OUTSIDE.contains(&name) && !floors.contains_key(name) {
            broken.push(format!("{name}: a new room needs a floor (xtask/src/lint/tidy/rooms.rs)"));
        }
        // `tests/` is the folder of the crate product-tests.
        let shown = if name == "product-tests" { "tests/" } else { name };
        if ![format!("`{shown}`"), format!("`{shown}/`")].iter().any(|word| architecture.contains(word)) {
            broken.push(format!("ARCHITECTURE.md does not name `{shown}`"));
        }
        let Some(floor) = floors.get(name) else { continue };
        let rooms = package.dependencies.iter().filter(|it| it.path.is_some() && it.kind.as_deref() != Some("dev"));
        for room in rooms {
            match floors.get(room.name.as_str()) {
                Some(below) if below < floor => {}
                None if room.name == FEATURES => {}
                _ => broken.push(format!("{name} (floor {floor}) imports {}, which is not below it", room.name)),
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependency = |(name, kind): &(&str, Option<&str>)| Dependency {
            name: (*name).to_owned(),
            kind: kind.map(str::to_owned),
            path: Some(String::new()),
        };
        Package { name: name.to_owned(), dependencies: dependencies.iter().map(dependency).collect() }
    }

    #[test]
    fn a_room_knows_only_rooms_below() {
        let packages = vec![
            package("store", &[("domain", None), ("scripted-model", Some("dev"))]),
            package("domain", &[("store", None)]),
            package("attic", &[(FEATURES, None)]),
            package(FEATURES, &[]),
        ];
        let found = broken(&Metadata { packages }, "`store` and `domain`, `workspace-hack`");
        assert_eq!(
            found,
            [
                "domain (floor 0) imports store, which is not below it",
                "attic: a new room needs a floor (xtask/src/lint/tidy/rooms.rs)",
                "ARCHITECTURE.md does not name `attic`",
            ]
        );
    }
}
