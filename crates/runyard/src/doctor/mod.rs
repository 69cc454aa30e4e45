//! Looks at this machine and says what is missing and how to get it.

mod machine;
mod versions;

use crate::{
    app::App,
    compose,
    config::Config,
    control::Client,
    data_dir::{self, Ownership},
    exit::{Exit, chain},
    render::{Colour, Style, clean, one_line},
};
use engine::{Command, Reply};
use sandbox::{Check, LocalProvider, Provider as _, Report, Status};
use secrets::SecretError;

/// Prints what was found. The exit code tells whether sessions can run; in strict mode, whether they can with no wall
/// open.
pub async fn doctor(app: &mut App, json: bool, strict: bool) -> Exit {
    let mut report = examine(&app.config).await;
    if strict || app.config.values.strict {
        report.checks.iter_mut().for_each(judge_strictly);
    }
    if json {
        app.screen.json(&serde_json::json!({ "status": report.status(), "checks": report.checks }));
    } else {
        app.screen.lines(lines(&report, app.style));
    }
    match report.status() {
        Status::Ok | Status::Warn => Exit::Done,
        Status::Fail => Exit::Environment,
    }
}

/// All checks, in the order to show them.
async fn examine(config: &Config) -> Report {
    let mut checks = vec![machine::configuration(config), machine::data_directory(config)];
    checks.push(machine::permissions(config));
    checks.extend(machine::disk_space(config));
    checks.push(machine::clock());
    checks.push(machine::cores());
    checks.push(database(config).await);
    checks.push(versions::git().await);
    checks.push(match compose::claude(config) {
        Ok(program) => versions::claude(&program).await,
        Err(error) => fail("claude code", error.to_string(), "cargo xtask setup, or set agent.claude to the program"),
    });
    checks.push(key(config));
    match LocalProvider::new(config.sandbox()) {
        Ok(provider) => {
            let sandbox = provider.probe().await;
            checks.extend(
                sandbox.checks.into_iter().map(|check| Check { name: format!("sandbox: {}", check.name), ..check }),
            );
        }
        Err(error) => checks.push(fail("sandbox", chain(&error), "correct the settings below `sandbox`")),
    }
    Report { checks }
}

/// What keeps sandboxes in, and the server's secrets from others, fails when it holds only in part.
fn judge_strictly(check: &mut Check) {
    let wall = check.name.starts_with("sandbox: ") || ["permissions", "core dumps"].contains(&check.name.as_str());
    // A workspace without overlay is slow, not open.
    if wall && check.status == Status::Warn && check.name != "sandbox: overlay" {
        check.status = Status::Fail;
    }
}

fn key(config: &Config) -> Check {
    const NAME: &str = "api key";
    const MEND: &str =
        "set ANTHROPIC_API_KEY, or put the key into a file of mode 0600 and name it in anthropic.key_file";
    match compose::key(config) {
        Ok(_) if std::env::var_os("ANTHROPIC_API_KEY").is_some_and(|value| !value.is_empty()) => {
            ok(NAME, "in ANTHROPIC_API_KEY")
        }
        Ok(_) => ok(NAME, "in the file that anthropic.key_file names"),
        Err(SecretError::Unset(_) | SecretError::Empty(_)) => fail(NAME, "there is none", MEND),
        Err(error) => fail(NAME, chain(&error), MEND),
    }
}

/// Whether the database can be used: asked of the server when there is one, tried when there is none.
async fn database(config: &Config) -> Check {
    const NAME: &str = "database";
    let location = config.database_url();
    let sqlite = compose::is_sqlite(&location);
    if !config.data_dir.is_dir() {
        return ok(NAME, "will be made at the first start");
    }
    let lock = match data_dir::lock(&config.data_dir, "doctor") {
        Ok(Ownership::Ours(lock)) => lock,
        Ok(Ownership::Theirs(holder)) => {
            let pid = holder.pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
            let Ok(client) = Client::connect(&config.data_dir, None).await else {
                return warn(NAME, format!("in use by {pid}, which does not answer"), "try again in a moment");
            };
            let pid = format!("process {}", client.pid);
            return match client
                .call(Command::Sessions {
                    archived: false,
                    all: true,
                    limit: 1,
                    before: None,
                    repository: None,
                    search: None,
                })
                .await
            {
                Ok(Reply::Sessions(_)) => ok(NAME, format!("in use by {pid}, which answers")),
                Ok(_) => warn(NAME, format!("in use by {pid}, whose answer does not fit"), "restart the server"),
                Err(problem) => fail(NAME, format!("in use by {pid}: {problem}"), problem.mend.unwrap_or_default()),
            };
        }
        Err(error) => return fail(NAME, chain(&error), "look at the data directory first"),
    };
    let missing = sqlite && !std::path::Path::new(location.trim_start_matches("sqlite:")).exists();
    let check = if missing {
        ok(NAME, "will be made at the first start")
    } else {
        match store::SqlStore::open(&location, store::StoreOptions::hiding(secrets::Known::nothing())).await {
            Ok(store) => {
                store.close().await;
                ok(NAME, format!("{}, up to date", if sqlite { "SQLite" } else { "PostgreSQL" }))
            }
            Err(error) => {
                let problem = compose::database(&error);
                fail(NAME, problem.message, "see `database.url` in docs/configuration.md")
            }
        }
    };
    drop(lock);
    check
}

/// The report for people.
fn lines(report: &Report, style: Style) -> Vec<String> {
    let width = report.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for check in &report.checks {
        let (glyph, colour) = match check.status {
            Status::Ok => ("✓", Colour::Done),
            Status::Warn => ("!", Colour::Waiting),
            Status::Fail => ("✗", Colour::Failed),
        };
        let (name, detail) = (one_line(&check.name, 60), one_line(&check.detail, 400));
        lines.push(format!("{} {name:width$}  {detail}", style.paint(colour, glyph)));
        if let Some(mend) = check.mend.as_ref().filter(|_| check.status != Status::Ok) {
            let pad = " ".repeat(width + 4);
            lines.extend(clean(mend).lines().map(|line| style.paint(Colour::Dim, &format!("{pad}{line}"))));
        }
    }
    lines.push(String::new());
    lines.push(match report.status() {
        Status::Ok => style.paint(Colour::Done, "Everything is here."),
        Status::Warn => style.paint(Colour::Waiting, "Sessions can run; what is marked ! holds only in part."),
        Status::Fail => style.paint(Colour::Failed, "Sessions cannot run until what is marked ✗ is mended."),
    });
    lines
}

fn ok(name: &str, detail: impl Into<String>) -> Check {
    Check { name: name.into(), status: Status::Ok, detail: detail.into(), mend: None }
}

fn warn(name: &str, detail: impl Into<String>, mend: impl Into<String>) -> Check {
    Check { name: name.into(), status: Status::Warn, detail: detail.into(), mend: Some(mend.into()) }
}

fn fail(name: &str, detail: impl Into<String>, mend: impl Into<String>) -> Check {
    Check { name: name.into(), status: Status::Fail, detail: detail.into(), mend: Some(mend.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_strict_mode_an_open_wall_fails_and_a_slow_part_does_not() {
        let judged = |name: &str| {
            let mut check = warn(name, "found", "mend");
            judge_strictly(&mut check);
            check.status
        };
        for wall in ["sandbox: bubblewrap", "sandbox: git", "sandbox: memory limit", "sandbox: uids", "permissions"] {
            assert_eq!(judged(wall), Status::Fail, "{wall}");
        }
        for part in ["sandbox: overlay", "disk space", "configuration", "claude code"] {
            assert_eq!(judged(part), Status::Warn, "{part}");
        }
    }

    #[test]
    fn a_report_names_the_mend_of_what_is_not_well() {
        let checks = vec![
            ok("git", "2.39.5"),
            warn("sandbox: memory limit", "per process only", "run it as a systemd service with Delegate=yes"),
            fail("api key", "there is none", "set ANTHROPIC_API_KEY,\nor name a file"),
        ];
        insta::assert_snapshot!(lines(&Report { checks }, Style { colours: false }).join("\n"), @r"
        ✓ git                    2.39.5
        ! sandbox: memory limit  per process only
                                 run it as a systemd service with Delegate=yes
        ✗ api key                there is none
                                 set ANTHROPIC_API_KEY,
                                 or name a file

        Sessions cannot run until what is marked ✗ is mended.
        ");
    }
}
