//! `cargo xtask test`: everything, by nextest when it is there and by `cargo test` otherwise.

mod snapshots;

use crate::{dashboard, setup, shell, workspace};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// What `test` can be told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only tests whose name contains one of these.
    filters: Vec<String>,
    /// Only tests of these crates.
    #[arg(short, long = "package", value_name = "CRATE")]
    packages: Vec<String>,
    /// Nothing may be skipped: the corpus and schemathesis must be there.
    #[arg(long)]
    ci: bool,
    /// Uses `cargo test` even where nextest is installed.
    #[arg(long)]
    no_nextest: bool,
}

/// `cargo xtask test`.
pub fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    setup::ensure()?;
    let corpus = workspace::corpus();
    if arguments.ci && corpus.is_none() {
        bail!("no corpus at ../shared/corpus; set RUNYARD_CORPUS to the folder that holds it");
    }

    let schemathesis = setup::schemathesis()?;
    if arguments.ci && schemathesis.is_none() {
        bail!("no schemathesis; install Python 3 with venv and run `cargo xtask setup`");
    }

    let everything = arguments.filters.is_empty() && arguments.packages.is_empty();
    if everything {
        // In this order: the check writes types, and a page that is older than they are would be built again.
        dashboard::check()?;
        dashboard::build()?;
    }
    // The product tests start the real programs, which building a test alone would not make.
    shell::step("building", || {
        if arguments.packages.is_empty() || arguments.packages.iter().any(|package| package == "product-tests") {
            shell::run(workspace::cargo().args(["build", "--workspace", "--bins", "--quiet"]))?;
        }
        shell::run(workspace::cargo().args(["test", "--no-run", "--tests", "--quiet"]).args(selection(arguments)))
    })?;
    let kills = ["product-tests", "faults"];
    if arguments.packages.is_empty() || arguments.packages.iter().any(|package| kills.contains(&package.as_str())) {
        shell::step("building the server that can be killed", || shell::run(&mut with_crash_points()?))?;
    }
    if corpus.is_none() {
        println!("SKIPPED {} corpus tests: no corpus; RUNYARD_CORPUS names its folder", corpus_tests(arguments)?);
    }
    if schemathesis.is_none() {
        println!(
            "SKIPPED the test of the REST API by schemathesis: it is not installed, which needs Python 3 with venv"
        );
    }
    if everything {
        let mut examples = workspace::cargo();
        shell::step("examples in the documentation", || {
            shell::run(examples.args(["test", "--doc", "--workspace", "--quiet"]))
        })?;
        dashboard::browser()?;
    }

    let references = workspace::target_dir()?.join("snapshot-references.txt");
    std::fs::remove_file(&references).ok();
    let mut runner = runner(arguments, corpus.as_deref(), &references);
    if let Some(program) = schemathesis {
        runner.env("RUNYARD_SCHEMATHESIS", program);
    }
    if let Some(modules) = setup::provider()? {
        runner.env("RUNYARD_OIDC_PROVIDER", modules);
    }
    shell::run(&mut runner)?;
    if everything && corpus.is_some() {
        snapshots::check(&references)?;
    }
    println!("{} tested in {}", shell::good("✓"), shell::seconds(start.elapsed()));
    Ok(())
}

/// What `product_tests::runyard_with_crash_points` builds, so that no test waits for a compiler.
fn with_crash_points() -> Result<Command> {
    let target = workspace::target_dir()?;
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--quiet", "--package", "runyard", "--features", "failpoints", "--target-dir"]);
    cargo.arg(target.join("failpoints")).env("CARGO_BUILD_BUILD_DIR", &target).env_remove("CARGO_TARGET_DIR");
    Ok(cargo)
}

fn runner(arguments: &Arguments, corpus: Option<&Path>, references: &Path) -> Command {
    let mut command = workspace::cargo();
    if arguments.no_nextest || shell::find("cargo-nextest").is_none() {
        command.arg("test").args(selection(arguments)).args(["--tests", "--no-fail-fast", "--", "--test-threads", "2"]);
    } else {
        command.args(["nextest", "run", "--no-fail-fast", "--status-level=pass"]).args(selection(arguments)).arg("--");
    }
    command.args(&arguments.filters);
    // A snapshot that differs fails the test, and leaves no file behind.
    command.env("INSTA_UPDATE", "no").env("INSTA_SNAPSHOT_REFERENCES_FILE", references);
    if let Some(corpus) = corpus {
        command.env("RUNYARD_CORPUS", corpus);
    }
    if arguments.ci {
        command.env("RUNYARD_REQUIRE_CORPUS", "1");
    }
    command
}

fn selection(arguments: &Arguments) -> Vec<String> {
    if arguments.packages.is_empty() {
        return vec!["--workspace".to_owned()];
    }
    arguments.packages.iter().flat_map(|package| ["--package".to_owned(), package.clone()]).collect()
}

/// Tests that need the corpus say so in their name.
fn corpus_tests(arguments: &Arguments) -> Result<usize> {
    let mut list = workspace::cargo();
    list.args(["test", "--tests", "--quiet"]).args(selection(arguments)).args(["--", "--list", "--format", "terse"]);
    let names = shell::capture(list.args(&arguments.filters))?;
    Ok(names.lines().filter(|line| line.ends_with(": test") && line.contains("corpus")).count())
}
