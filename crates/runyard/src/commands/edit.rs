//! `runyard session edit`: in an editor, or from a file.

use super::unexpected;
use crate::{
    app::App,
    connect::Connection,
    exit::{Exit, Failure},
    live,
};
use domain::SessionNumber;
use engine::{Command, Edit, Problem, ProblemCode, Reply};
use std::{
    fs::OpenOptions,
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Changes the runbook as the flags say.
pub async fn edit(
    app: &mut App,
    connection: &mut Connection,
    session: SessionNumber,
    step: Option<String>,
    file: Option<PathBuf>,
    delete: Option<String>,
) -> Result<Exit, Failure> {
    let change = match (delete, file) {
        (Some(step), _) => Edit::Delete { step },
        (None, Some(file)) => {
            let text = read(&file)?;
            match step {
                Some(step) => Edit::Step { step, text },
                None => Edit::Text { text },
            }
        }
        (None, None) if app.interactive => return in_editor(app, connection, session, step).await,
        (None, None) => {
            return Err(
                Failure::usage("there is no terminal to edit in").mend("give the text with --file FILE, or --file -")
            );
        }
    };
    let expected = live::session(&connection.client, session).await?.session.version;
    saved(app, session, connection.client.call(Command::Edit { session, expected, edit: change }).await?)?;
    Ok(Exit::Done)
}

/// Opens the runbook, or one step, in the person's editor until it is accepted or given up.
pub async fn in_editor(
    app: &mut App,
    connection: &Connection,
    session: SessionNumber,
    step: Option<String>,
) -> Result<Exit, Failure> {
    let view = live::session(&connection.client, session).await?;
    let Some(runbook) = view.runbook else {
        return Err(Failure::usage(format!("{session} has no runbook yet")));
    };
    let original = match &step {
        None => runbook.text.clone(),
        Some(number) => step_text(&runbook.text, number)?,
    };
    let file = Scratch::new(session, &original)?;
    loop {
        app.screen.status(None);
        open_editor(&file.path).await?;
        let text = std::fs::read_to_string(&file.path)
            .map_err(|error| Failure::environment(format!("failed to read {}: {error}", file.path.display())))?;
        if text == original || text.trim().is_empty() {
            app.screen.line("nothing was changed");
            return Ok(Exit::Done);
        }
        let edit = match &step {
            None => Edit::Text { text },
            Some(step) => Edit::Step { step: step.clone(), text },
        };
        let command = Command::Edit { session, expected: runbook.version, edit };
        match connection.client.call(command).await {
            Ok(reply) => {
                saved(app, session, reply)?;
                return Ok(Exit::Done);
            }
            Err(problem) => {
                if !again(app, &problem).await {
                    let path = file.keep();
                    let failure = Failure::from(problem);
                    return Err(failure.mend(format!("your text is kept in {}", path.display())));
                }
            }
        }
    }
}

/// True when the person wants to go on editing.
async fn again(app: &mut App, problem: &Problem) -> bool {
    app.screen.note(&format!("error: {}", Failure::from(problem.clone())));
    if problem.code != ProblemCode::BadRequest {
        return false;
    }
    app.screen.text("edit again? [Y/n] ");
    app.input.line().await.is_some_and(|line| !line.trim().to_lowercase().starts_with('n'))
}

fn saved(app: &mut App, session: SessionNumber, reply: Reply) -> Result<(), Failure> {
    match reply {
        Reply::Version(version) => {
            app.screen.line(format!("{session} has version {} of its runbook", version.version));
            Ok(())
        }
        other => Err(unexpected(&other)),
    }
}

/// A step as a person edits it: the title in the first line, then its own text.
fn step_text(runbook: &str, number: &str) -> Result<String, Failure> {
    let document = runbook::Document::parse(runbook);
    let step = document
        .steps()
        .iter()
        .find(|step| step.number.to_string() == number)
        .ok_or_else(|| Failure::usage(format!("there is no step {number}")))?;
    let mut words: Vec<String> = step.tags.iter().map(|tag| format!("[{}]", tag.word())).collect();
    words.push(step.title.clone());
    Ok(format!("{}\n{}", words.join(" "), &document.text()[step.body.clone()]))
}

/// A file's text, or with `-` that of standard input.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::usage(format!("failed to read {}: {error}", path.display()));
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// A file that only its owner can read; removed when it is dropped.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new(session: SessionNumber, text: &str) -> Result<Self, Failure> {
        let dir = std::env::temp_dir();
        let failed =
            |error: std::io::Error| Failure::environment(format!("failed to write in {}: {error}", dir.display()));
        for attempt in 0..100 {
            let path = dir.join(format!("runyard-r{}-{}-{attempt}.md", session.0, std::process::id()));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(mut file) => {
                    file.write_all(text.as_bytes()).map_err(failed)?;
                    return Ok(Self { path });
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(Failure::environment(format!("there is no free name in {}", dir.display())))
    }

    fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // An empty path was kept; a file that cannot be removed harms nobody.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Runs `$VISUAL` or `$EDITOR`, which may hold arguments, as git and other programs do.
async fn open_editor(path: &Path) -> Result<(), Failure> {
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()))
        .unwrap_or_else(|| "vi".to_owned());
    let status = tokio::process::Command::new("sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(path)
        .status()
        .await
        .map_err(|error| Failure::environment(format!("failed to start the editor `{editor}`: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        let failure = Failure::environment(format!("the editor `{editor}` failed ({status}); nothing was changed"));
        Err(failure.mend("set $EDITOR, or give the text with --file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_edited_with_its_tags_and_title_first() {
        let text = "# T\n\n## Step 1: [MANUAL] Ask\n\nDo it.\n\n## Step 2: Then\n\nMore.\n";
        assert_eq!(step_text(text, "1").expect("there"), "[MANUAL] Ask\n\nDo it.\n\n");
        assert!(step_text(text, "3").is_err());
    }
}
