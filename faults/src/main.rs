//! `cargo xtask bench crash`: kills, hangs and errors by seed.
#![expect(clippy::print_stdout, reason = "what is found is printed")]

mod report;

use anyhow::{Context as _, Result};
use clap::Parser;
use faults::{
    cases::Case,
    play::{self, Options, Programs},
    points::{self, POINTS},
};
use report::Report;
use std::{path::PathBuf, process::ExitCode, sync::Arc};
use tokio::task::JoinSet;

/// Kills, hangs and errors of the real programs, by seed.
#[derive(Debug, Parser)]
struct Arguments {
    /// Goes on until this many processes were killed.
    #[arg(long, default_value_t = 500)]
    kills: usize,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// So many of the kills at least with the real Claude Code.
    #[arg(long, default_value_t = 0)]
    real_claude: usize,
    /// So many cases instead of so many kills.
    #[arg(long)]
    cases: Option<usize>,
    /// Only the case of the seed that goes for this point.
    #[arg(long)]
    point: Option<String>,
    /// How many worlds there are at once.
    #[arg(long, default_value_t = 2)]
    worlds: usize,
    /// Prints all that happened.
    #[arg(long)]
    history: bool,
    /// Keeps the data of cases in which something is wrong.
    #[arg(long)]
    keep: bool,
    /// Defects that are switched on, separated by commas.
    #[arg(long, default_value = "")]
    plant: String,
    /// Also writes the result to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// How often the points that were never struck are gone for.
const ROUNDS: u32 = 3;

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let own = std::env::current_exe().context("where this program is")?;
    let profile = own.parent().context("its folder")?;
    let programs = Arc::new(play::programs(profile)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build()?;
    let report = runtime.block_on(run(&arguments, &programs))?;
    print!("{}", report.text());
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&report.json())?).context("failed to write the result")?;
    }
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run(arguments: &Arguments, programs: &Arc<Programs>) -> Result<Report> {
    let mut report = Report::new(arguments.history);
    let options = Options { keep: arguments.keep, planted: arguments.plant.clone() };
    let mut seed = arguments.seed;
    let mut aims: Vec<&'static points::Point> = Vec::new();
    if let Some(name) = &arguments.point {
        let point = points::named(name).with_context(|| format!("there is no point `{name}`"))?;
        aims.push(point);
    }
    let mut playing = JoinSet::new();
    let mut begun = 0;
    let mut rounds = 0;
    loop {
        let enough = match (arguments.cases, &arguments.point) {
            (_, Some(_)) => aims.is_empty(),
            (Some(cases), None) => begun >= cases,
            (None, None) => report.kills(false) >= arguments.kills && report.kills(true) >= arguments.real_claude,
        };
        // What chance left out is gone for in the end, more than once when the machine was too slow to come to it.
        let by_chance = arguments.cases.is_none() && arguments.point.is_none();
        if enough && by_chance && rounds < ROUNDS && aims.is_empty() && playing.is_empty() {
            rounds += 1;
            aims = POINTS.iter().filter(|point| !report.was_hit(point.name)).collect();
        }
        while playing.len() < arguments.worlds.max(1) && (!enough || !aims.is_empty()) {
            let real = report.kills(true) < arguments.real_claude && (arguments.cases.is_some() || begun % 4 == 3);
            let case = match aims.pop() {
                Some(point) => Case::aimed(seed, point),
                None => Case::of(seed, real),
            };
            seed += 1;
            begun += 1;
            let (programs, options) = (programs.clone(), options.clone());
            playing.spawn(async move { play::play(case, &programs, &options).await });
            if arguments.point.is_some() || arguments.cases.is_some_and(|cases| begun >= cases) {
                break;
            }
        }
        match playing.join_next().await {
            Some(played) => report.add(played.context("a case broke down")??),
            None if enough => return Ok(report),
            None => {}
        }
    }
}
