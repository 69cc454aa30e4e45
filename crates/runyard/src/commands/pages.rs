//! What is made from the command line's own description: completions, manual pages, the version.

use crate::{
    cli::{Cli, JsonArg},
    control,
    exit::{Exit, Failure},
    screen::Screen,
};
use clap::CommandFactory as _;
use std::path::Path;

/// Prints completions.
pub fn completions(screen: &mut Screen, shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "runyard", &mut script);
    screen.text(&String::from_utf8_lossy(&script));
    Exit::Done
}

/// Prints the manual page, or writes one for each command.
pub fn man(screen: &mut Screen, out: Option<&Path>) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| Failure::environment(format!("failed to write the manual pages: {error}"));
    if let Some(dir) = out {
        std::fs::create_dir_all(dir).map_err(failed)?;
        clap_mangen::generate_to(Cli::command(), dir).map_err(failed)?;
        return Ok(Exit::Done);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(failed)?;
    screen.text(&String::from_utf8_lossy(&page));
    Ok(Exit::Done)
}

/// Prints the version.
pub fn version(screen: &mut Screen, json: JsonArg) -> Exit {
    let version = env!("CARGO_PKG_VERSION");
    if json.json {
        screen.json(&serde_json::json!({ "version": version, "protocol": control::VERSION }));
    } else {
        screen.line(format!("runyard {version}"));
    }
    Exit::Done
}
