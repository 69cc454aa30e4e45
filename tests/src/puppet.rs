//! A stand-in for Claude Code that obeys an attacker.

use crate::{Place, Repository, World};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const PROGRAM: &str = include_str!("../fixtures/puppet.sh");

/// A repository whose `attacks/NAME.sh` a puppet runs when it executes a step `Do NAME`, beside other files.
pub fn repository_of_attacks(
    place: &Place,
    name: &str,
    attacks: &[(&str, &str)],
    files: &[(&str, &str)],
) -> Repository {
    let repository = Repository::unborn(place.join(name));
    repository.write("README.md", "# Files\n");
    for (name, text) in files {
        repository.write(name, text);
    }
    for (name, text) in attacks {
        repository.write(&format!("attacks/{name}.sh"), text);
    }
    repository.commit("Begin");
    repository
}

impl World {
    /// Puts the puppet in Claude Code's place.
    pub fn use_puppet(&mut self) -> PathBuf {
        let program = self.path().join("puppet");
        std::fs::write(&program, PROGRAM).expect("the puppet");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("its mode");
        let text = program.to_str().expect("a path in UTF-8").to_owned();
        self.environment.push(("RUNYARD_AGENT_CLAUDE".into(), text));
        program
    }
}
