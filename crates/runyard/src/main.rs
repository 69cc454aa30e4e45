//! The `runyard` binary: command line, configuration, and the one place where the parts are put together.

mod app;
mod backup;
mod cli;
mod commands;
mod compose;
mod config;
mod connect;
mod control;
mod data_dir;
mod doctor;
mod exit;
#[cfg(test)]
mod fixtures;
mod hardening;
mod input;
mod live;
mod log;
mod person;
mod prompt;
mod render;
mod screen;
#[cfg(test)]
mod stage;

use app::App;
use clap::Parser as _;
use cli::{Cli, Command, SessionCommand};
use exit::{Exit, Failure};
use screen::Screen;
use secrets::Known;
use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    sync::Arc,
};

fn main() -> ExitCode {
    hardening::shut_memory();
    let known = Known::nothing();
    log::tell_panics(&known);
    let cli = Cli::try_parse().unwrap_or_else(|error| refuse(&error));
    match run(cli, &known) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            // There is no one left to tell when this fails.
            let _ = writeln!(io::stderr(), "{}", log::safe(&format!("error: {failure}"), &known));
            ExitCode::from(failure.exit.code())
        }
    }
}

/// Ends with what is wrong with the command line. What was typed is repeated there, and may come from strangers.
fn refuse(error: &clap::Error) -> ! {
    let text = error.render().to_string();
    let shown = render::clean(&text);
    if shown == text {
        error.exit();
    }
    // There is no one left to tell when this fails.
    let _ = write!(io::stderr(), "{shown}");
    std::process::exit(error.exit_code());
}

fn run(mut cli: Cli, known: &Known) -> Result<Exit, Failure> {
    let style = app::style(cli.global.color);
    let live = io::stdout().is_terminal() && io::stderr().is_terminal();
    let mut screen = Screen::new(Box::new(io::stdout()), Box::new(io::stderr()), live, style);
    match &cli.command {
        Command::Completions { shell } => return Ok(commands::completions(&mut screen, *shell)),
        Command::Man { out } => return commands::man(&mut screen, out.as_deref()),
        Command::Version(json) => return Ok(commands::version(&mut screen, *json)),
        Command::Lint(args) => return Ok(commands::lint(&mut screen, args)),
        _ => {}
    }
    if let Command::Serve(args) = &cli.command {
        cli.global.set.extend(args.as_settings());
    }
    let config = app::configuration(&cli.global)?;
    for warning in &config.warnings {
        screen.note(&format!("warning: {warning}"));
    }
    if let Command::Config(command) = &cli.command {
        return Ok(commands::show_config(&mut screen, &config, command));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::environment(format!("failed to start: {error}")))?;
    let exit = runtime.block_on(async {
        let interrupts = input::interrupts()
            .map_err(|error| Failure::environment(format!("failed to listen for signals: {error}")))?;
        let mut app = App {
            who: person::invoking(&config),
            config,
            style,
            width: app::width(),
            screen,
            interactive: io::stdin().is_terminal() && io::stdout().is_terminal(),
            input: Box::new(input::Terminal::new()),
            interrupts,
            clock: Arc::new(domain::SystemClock::new()),
            zone: jiff::tz::TimeZone::system(),
            compose: compose::compose(known.clone()),
            known: known.clone(),
            name: name(&cli.command),
            verbose: cli.global.verbose,
        };
        dispatch(&mut app, cli.command).await
    });
    // A thread that waits for a line of standard input must not keep the process.
    runtime.shutdown_background();
    exit
}

fn name(command: &Command) -> &'static str {
    match command {
        Command::Run(_) => "run",
        Command::Serve(_) => "serve",
        Command::Session(_) | Command::Attach(_) => "session",
        Command::Repo(_) => "repo",
        Command::Pr(_) => "pr",
        Command::Context(_) => "context",
        Command::Persona(_) => "persona",
        Command::Learning(_) => "learning",
        Command::Secret(_) => "secret",
        Command::User(_) => "user",
        Command::Audit(_) => "audit",
        Command::Doctor(_) => "doctor",
        Command::Backup(_) => "backup",
        Command::Restore { .. } => "restore",
        Command::Lint(_)
        | Command::Config(_)
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Version(_) => "",
    }
}

async fn dispatch(app: &mut App, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => commands::run(app, args).await,
        Command::Serve(_) => commands::serve(app).await,
        Command::Session(command) => commands::session(app, command).await,
        Command::Attach(args) => commands::session(app, SessionCommand::Attach(args)).await,
        Command::Repo(command) => commands::repo(app, command).await,
        Command::Pr(command) => commands::pull_request(app, command).await,
        Command::Context(command) => commands::context(app, command).await,
        Command::Persona(command) => commands::persona(app, command).await,
        Command::Learning(command) => commands::learning(app, command).await,
        Command::Secret(command) => commands::secret(app, command).await,
        Command::User(command) => commands::user(app, command).await,
        Command::Audit(command) => commands::audit(app, command).await,
        Command::Backup(args) => commands::backup::make(app, args).await,
        Command::Restore { file, replace, json } => commands::backup::restore(app, &file, replace, json.json).await,
        Command::Doctor(arguments) => Ok(doctor::doctor(app, arguments.json, arguments.strict).await),
        Command::Lint(_)
        | Command::Config(_)
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Version(_) => unreachable!("done before the runtime was started"),
    }
}
