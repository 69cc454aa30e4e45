//! `runyard lint`.

use crate::{
    cli::{LintArgs, LintFormat},
    exit::Exit,
    render::counted,
    screen::Screen,
};
use serde_json::json;
use std::{io::Read as _, path::Path};

/// Checks runbooks.
pub fn lint(screen: &mut Screen, args: &LintArgs) -> Exit {
    let mut exit = Exit::Done;
    let mut documents = Vec::new();
    let (mut errors, mut warnings) = (0, 0);
    for path in &args.files {
        let name = path.display().to_string();
        let text = match read(path) {
            Ok(text) => text,
            Err(error) => {
                exit = Exit::Usage;
                match args.format {
                    LintFormat::Text => screen.note(&format!("{name}: error: failed to read the file: {error}")),
                    LintFormat::Json => documents.push(json!({ "file": name, "failure": error.to_string() })),
                }
                continue;
            }
        };
        let document = runbook::Document::parse(text);
        let diagnostics = runbook::check(&document);
        let bad = diagnostics.iter().filter(|found| found.severity == runbook::Severity::Error).count();
        errors += bad;
        warnings += diagnostics.len() - bad;
        if bad > 0 && exit == Exit::Done {
            exit = Exit::Failed;
        }
        match args.format {
            LintFormat::Text => screen.text(&runbook::render_text(&name, &diagnostics)),
            LintFormat::Json => documents.push(runbook::render_json(&name, &diagnostics)),
        }
    }
    match args.format {
        LintFormat::Json => screen.json(&json!({ "files": documents, "errors": errors, "warnings": warnings })),
        LintFormat::Text => screen.note(&format!(
            "{}, {}, {}",
            counted(args.files.len(), "file", "files"),
            counted(errors, "error", "errors"),
            counted(warnings, "warning", "warnings")
        )),
    }
    exit
}

fn read(path: &Path) -> std::io::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path)
}
