//! Known holes of the programs that walls are made of, by version.
//!
//! Distributions mend old versions without changing their number, which cannot be seen from here: a hole that was mended
//! so is named in the setting `sandbox.accepted_holes`.

use crate::{Check, Status};

/// A version: major, minor, patch.
pub(super) type Version = [u32; 3];

/// A hole of a program.
struct Hole {
    name: &'static str,
    /// What it lets happen, and what of it concerns us.
    what: &'static str,
    /// The first version of each line of releases that has it mended, oldest first; the last holds for all later lines.
    mended: &'static [Version],
}

const BUBBLEWRAP: &[Hole] = &[Hole {
    name: "CVE-2026-87766",
    what: "it can be led to create files outside when it mounts below a directory that an earlier sandbox wrote; no \
           mount is made below such a directory here, and never as root",
    mended: &[[0, 12, 0]],
}];

const GIT: &[Hole] = &[
    Hole {
        name: "CVE-2024-32002",
        what: "a clone with submodules can run a hook of the repository; nothing is cloned with submodules here, and \
               hooks are switched off",
        mended: &[[2, 39, 4], [2, 40, 2], [2, 41, 1], [2, 42, 2], [2, 43, 4], [2, 44, 1], [2, 45, 1]],
    },
    Hole {
        name: "CVE-2025-48384",
        what: "a carriage return in a submodule's path can lead a checkout to write a hook; submodules are never \
               checked out here, and hooks are switched off",
        mended: &[[2, 43, 7], [2, 44, 4], [2, 45, 4], [2, 46, 4], [2, 47, 3], [2, 48, 2], [2, 49, 1], [2, 50, 1]],
    },
    Hole {
        name: "CVE-2025-48385",
        what: "a server can make a client write files by a bundle-uri; bundles come over a pipe here and none is \
               fetched by address",
        mended: &[[2, 43, 7], [2, 44, 4], [2, 45, 4], [2, 46, 4], [2, 47, 3], [2, 48, 2], [2, 49, 1], [2, 50, 1]],
    },
];

impl Hole {
    fn is_in(&self, version: Version) -> bool {
        let line = |of: Version| [of[0], of[1]];
        match self.mended.iter().find(|mended| line(**mended) == line(version)) {
            Some(mended) => version < *mended,
            // Lines that are older than all named have it; newer ones do not.
            None => self.mended.last().is_some_and(|last| version < *last),
        }
    }
}

/// The check of a program whose version has holes; `None` when none is known, or all are accepted.
pub(super) fn check(program: &str, version: Version, accepted: &[String]) -> Option<Check> {
    let all = match program {
        "bubblewrap" => BUBBLEWRAP,
        _ => GIT,
    };
    let open: Vec<_> = all
        .iter()
        .filter(|hole| hole.is_in(version) && !accepted.iter().any(|name| name.eq_ignore_ascii_case(hole.name)))
        .collect();
    let newest = open.iter().filter_map(|hole| hole.mended.last()).max()?;
    let told: Vec<_> = open.iter().map(|hole| format!("{}: {}", hole.name, hole.what)).collect();
    let mend = format!(
        "take {program} {} or newer; where your distribution has mended an older one, name the hole in \
         sandbox.accepted_holes",
        dotted(*newest)
    );
    Some(Check {
        name: program.to_owned(),
        status: Status::Warn,
        detail: format!("{} has {}", dotted(version), told.join("; ")),
        mend: Some(mend),
    })
}

/// As people write it.
pub(super) fn dotted(version: Version) -> String {
    version.map(|number| number.to_string()).join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(program: &str, version: Version, accepted: &[&str]) -> Vec<String> {
        let accepted: Vec<_> = accepted.iter().map(|name| (*name).to_owned()).collect();
        let detail = check(program, version, &accepted).map(|found| found.detail).unwrap_or_default();
        detail.split([' ', ':']).filter(|word| word.starts_with("CVE-")).map(str::to_owned).collect()
    }

    #[test]
    fn a_line_of_releases_is_judged_by_its_own_mend() {
        assert_eq!(open("bubblewrap", [0, 8, 0], &[]), ["CVE-2026-87766"]);
        assert_eq!(open("bubblewrap", [0, 12, 0], &[]), [""; 0]);
        assert_eq!(open("bubblewrap", [1, 0, 0], &[]), [""; 0]);
        assert_eq!(open("bubblewrap", [0, 8, 0], &["cve-2026-87766"]), [""; 0]);
        assert_eq!(open("git", [2, 38, 1], &[]), ["CVE-2024-32002", "CVE-2025-48384", "CVE-2025-48385"]);
        assert_eq!(open("git", [2, 39, 5], &[]), ["CVE-2025-48384", "CVE-2025-48385"]);
        assert_eq!(open("git", [2, 47, 2], &["CVE-2025-48385"]), ["CVE-2025-48384"]);
        for mended in [[2, 43, 7], [2, 47, 3], [2, 50, 1], [2, 51, 0], [3, 0, 0]] {
            assert_eq!(open("git", mended, &[]), [""; 0], "{mended:?}");
        }
        assert_eq!(open("git", [2, 50, 0], &[]).len(), 2);
    }
}
