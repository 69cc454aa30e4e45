//! Building one package takes the dependencies that building all of them made: `workspace-hack` asks for the same features
//! everywhere. Without it, `cargo test -p store` builds sqlx and half of the tree once more.

use super::rooms::FEATURES;
use crate::{shell, workspace};
use anyhow::Result;
use std::collections::BTreeSet;

/// The packages that keep to themselves: xtask is built before every command, the shim by the sandbox's build script, and a
/// release has nothing of faultpoint.
const APART: [&str; 3] = ["xtask", "shim", "faultpoint"];

/// Packages that would build a dependency with other features than the workspace does.
pub fn check() -> Result<Vec<String>> {
    let names =
        shell::capture(workspace::cargo().args(["tree", "--workspace", "--depth=0", "--prefix=none", "--offline"]))?;
    let whole = features(&["--workspace"])?;
    let mut broken = Vec::new();
    for name in names.lines().filter_map(|line| line.split(' ').next()) {
        if name.is_empty() || name == FEATURES || APART.contains(&name) {
            continue;
        }
        if let Some(other) = features(&["--package", name])?.difference(&whole).next() {
            broken.push(format!(
                "{name} builds {other} for itself; run `cargo hakari generate && cargo hakari manage-deps`"
            ));
        }
    }
    Ok(broken)
}

/// Each dependency from outside, as `name version [features]`.
fn features(selection: &[&str]) -> Result<BTreeSet<String>> {
    let mut tree = workspace::cargo();
    tree.arg("tree").args(selection).args([
        "--edges=normal,build,dev",
        "--format={p} [{f}]",
        "--prefix=none",
        "--offline",
    ]);
    let listed = shell::capture(&mut tree)?;
    // Of a package of the workspace, the path follows the version.
    let outside = listed.lines().filter(|line| !line.contains(" (/"));
    Ok(outside.map(|line| line.trim_end_matches(" (*)").to_owned()).collect())
}
