//! `scripted-model --script FILE`: a Messages API on loopback that follows a script.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use scripted_model::{Options, Script, ScriptedModel};

/// A Messages API that follows a script.
#[derive(Debug, Parser)]
struct Arguments {
    /// The script to follow.
    #[arg(long, value_name = "FILE")]
    script: PathBuf,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Append every request to this file, one JSON object per line.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let script = Script::load(&arguments.script)
        .with_context(|| format!("failed to read the script {}", arguments.script.display()))?;
    let options = Options { listen: arguments.listen, record_to: arguments.record, ..Options::default() };
    let model = ScriptedModel::start_with(script, options).await?;
    let mut out = std::io::stdout();
    writeln!(out, "listening {}", model.base_url())?;
    out.flush()?;
    tokio::signal::ctrl_c().await.context("failed to wait for an interrupt")?;
    model.shutdown();
    Ok(())
}
