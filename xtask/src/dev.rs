//! `cargo xtask dev`: a server to work against, with a model that follows a script.

use crate::{dashboard, setup, shell, workspace};
use anyhow::{Context as _, Result};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What `dev` can be told.
#[derive(clap::Args)]
pub struct Arguments {
    /// What the model says; the demo's script when none is given.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Uses the real Messages API with your own `ANTHROPIC_API_KEY` instead.
    #[arg(long, conflicts_with = "script")]
    real_model: bool,
    /// Where everything lasts between runs; TARGET/dev when none is given.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// `cargo xtask dev`.
pub fn run(arguments: &Arguments) -> Result<()> {
    setup::ensure()?;
    dashboard::build()?;
    let mut build = workspace::cargo();
    shell::run(build.args(["build", "--package", "runyard", "--package", "scripted-model", "--bins"]))?;
    let target = workspace::target_dir()?;
    let data = match &arguments.data_dir {
        Some(folder) => std::path::absolute(folder)?,
        None => target.join("dev"),
    };

    let mut server = Command::new(target.join("debug/runyard"));
    server.arg("serve").env("RUNYARD_DATA_DIR", &data).env("RUNYARD_AGENT_CLAUDE", setup::claude_program()?);
    println!("talk to it: {}", shell::strong(&format!("RUNYARD_DATA_DIR={} runyard …", data.display())));
    if arguments.real_model {
        return shell::run(&mut server);
    }

    let script = arguments.script.clone().unwrap_or_else(|| workspace::root().join("xtask/demo/model.yaml"));
    let mut model = Command::new(target.join("debug/scripted-model"));
    let mut model = model
        .arg("--script")
        .arg(script)
        .stdout(Stdio::piped())
        .spawn()
        .context("failed to start the scripted model")?;
    let mut line = String::new();
    BufReader::new(model.stdout.take().context("the model has no output")?).read_line(&mut line)?;
    let address = line.trim().strip_prefix("listening ").context("the scripted model did not start")?;
    server.env("ANTHROPIC_BASE_URL", address).env("ANTHROPIC_API_KEY", "sk-ant-demo-key-made-up");
    let ended = shell::run(&mut server);
    model.kill().ok();
    model.wait().ok();
    ended
}
