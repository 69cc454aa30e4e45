//! `runyard audit`: who did what to what.

use super::{output::Output, unexpected};
use crate::{
    app::{App, Workers},
    cli::{AuditCommand, AuditFile, AuditWanted, OutputArgs},
    connect::Connection,
    exit::{Exit, Failure},
    render,
};
use domain::{AuditEntry, AuditFilter, AuditHash, AuditMark, AuditVerdict, Deed, Timestamp, Unfit};
use engine::{Command, Reply};
use jiff::{civil::Date, tz::TimeZone};
use serde::Serialize;
use server::AuditFormat;
use store::AuditPage;

/// So many entries are in memory at once.
const STRIDE: i64 = 500;

/// An entry, for scripts.
#[derive(Serialize)]
struct Line {
    number: i64,
    hash: AuditHash,
    #[serde(flatten)]
    deed: Deed,
}

/// What came of looking along the log, for scripts.
#[derive(Serialize)]
struct Looked {
    whole: bool,
    number: i64,
    mark: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    unfit: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// Lists, proves or writes out the audit log.
pub async fn audit(app: &mut App, command: AuditCommand) -> Result<Exit, Failure> {
    let connection = Connection::open(app, Workers::Rest).await?;
    let done = match command {
        AuditCommand::List { wanted, limit, before, json } => {
            list(app, &connection, (wanted, before, limit), json.json).await
        }
        AuditCommand::Verify { noted, json } => verify(app, &connection, noted, json.json).await,
        AuditCommand::Export { wanted, format, output } => export(app, &connection, wanted, format, output).await,
    };
    connection.close().await;
    done
}

async fn list(
    app: &mut App,
    connection: &Connection,
    (wanted, before, limit): (AuditWanted, Option<i64>, i64),
    json: bool,
) -> Result<Exit, Failure> {
    let filter = filter(app, wanted)?;
    let entries = read(connection, filter, AuditPage::Newest(before), limit).await?;
    let lines = entries.iter().map(line).collect::<Result<Vec<_>, _>>()?;
    if json {
        app.screen.json(&lines);
    } else if lines.is_empty() {
        app.screen.note("no entry is like that");
    } else {
        app.screen.lines(render::audit(lines.iter().map(|line| (line.number, &line.deed)), &app.zone));
    }
    Ok(Exit::Done)
}

async fn verify(app: &mut App, connection: &Connection, noted: Option<AuditMark>, json: bool) -> Result<Exit, Failure> {
    let verdict = match connection.client.call(Command::VerifyAudit { noted }).await? {
        Reply::AuditVerdict(verdict) => verdict,
        other => return Err(unexpected(&other)),
    };
    let AuditVerdict { last, unfit } = &verdict;
    if json {
        let (unfit, why) = unfit.as_ref().map(|(number, why)| (*number, why.to_string())).unzip();
        let (number, mark) = (last.number, last.to_string());
        app.screen.json(&Looked { whole: unfit.is_none(), number, mark, unfit, why });
        return Ok(if unfit.is_none() { Exit::Done } else { Exit::Failed });
    }
    let Some((number, why)) = unfit else {
        app.screen.line(format!("entries: {}; each follows on the one before it", last.number));
        app.screen.line(format!("the last one: {last}"));
        app.screen.note(&format!(
            "note it where nobody who can write to the database can write; then: runyard audit verify --noted {last}"
        ));
        return Ok(Exit::Done);
    };
    Err(Failure {
        exit: Exit::Failed,
        message: format!("entry {number} does not fit: {why}"),
        mend: Some(match why {
            Unfit::Noted | Unfit::Missing => format!(
                "entries up to {} fit each other, so all of them were written anew or cut off, or this is an older \
                 record that was restored; compare with a backup from when it was noted",
                last.number
            ),
            _ => format!(
                "entries up to {} are as they were written; somebody changed the database behind Runyard's back: \
                 compare entry {number} with a backup (`runyard restore` into another --data-dir, then `runyard audit \
                 list` there)",
                last.number
            ),
        }),
    })
}

async fn export(
    app: &mut App,
    connection: &Connection,
    wanted: AuditWanted,
    format: AuditFile,
    output: OutputArgs,
) -> Result<Exit, Failure> {
    let filter = filter(app, wanted)?;
    let mut output = Output::open(output)?;
    let format = match format {
        AuditFile::Ndjson => AuditFormat::Ndjson,
        AuditFile::Csv => AuditFormat::Csv,
    };
    let mut piece = format.head();
    let mut after = 0;
    loop {
        let entries = read(connection, filter.clone(), AuditPage::Oldest(after), STRIDE).await?;
        for entry in &entries {
            piece.push_str(&format.line(entry));
        }
        let heard = output.write(app, &piece)?;
        let Some(last) = entries.last().filter(|_| heard) else { break };
        after = last.number;
        piece.clear();
    }
    output.close(app)?;
    Ok(Exit::Done)
}

async fn read(
    connection: &Connection,
    filter: AuditFilter,
    page: AuditPage,
    limit: i64,
) -> Result<Vec<AuditEntry>, Failure> {
    match connection.client.call(Command::Audit { filter, page, limit }).await? {
        Reply::Audit(entries) => Ok(entries),
        other => Err(unexpected(&other)),
    }
}

fn line(entry: &AuditEntry) -> Result<Line, Failure> {
    let deed = serde_json::from_str(&entry.deed).map_err(|error| {
        Failure::environment(format!("entry {} of the audit log cannot be read: {error}", entry.number))
            .mend("`runyard audit verify` says which entries were altered")
    })?;
    Ok(Line { number: entry.number, hash: entry.hash, deed })
}

fn filter(app: &App, wanted: AuditWanted) -> Result<AuditFilter, Failure> {
    let AuditWanted { who, action, target, since, until, text } = wanted;
    let at = |text: Option<String>, flag| {
        let told = || {
            Failure::usage(format!("{flag} is no moment"))
                .mend("give 2026-11-28, 2026-11-28T05:00:00Z, or how long ago: 90m, 36h, 7d")
        };
        text.map(|text| moment(&text, app.clock.now(), &app.zone).ok_or_else(told)).transpose()
    };
    Ok(AuditFilter { who, action, target, text, since: at(since, "--since")?, until: at(until, "--until")? })
}

/// The moment that a text means: a day's beginning in a zone, a moment, or so long before `now`.
fn moment(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp(at.as_microsecond()));
    }
    if let Ok(day) = text.parse::<Date>() {
        return day.to_zoned(zone.clone()).ok().map(|at| Timestamp(at.timestamp().as_microsecond()));
    }
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    let ago = digits.parse::<u32>().ok().map(i64::from)?.checked_mul(seconds * 1_000_000)?;
    Some(Timestamp(now.0.saturating_sub(ago)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_days_times_or_so_long_ago() {
        let now = Timestamp(1_764_306_000_000_000);
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let at = |text| moment(text, now, &zone).map(|at| at.0);
        assert_eq!(at("2025-11-28T05:00:00Z"), Some(now.0));
        assert_eq!(at("2025-11-28T06:00:00+01:00"), Some(now.0));
        assert_eq!(at("2025-11-28"), Some(now.0 - 6 * 3_600_000_000), "midnight an hour east of Greenwich");
        assert_eq!(at("7d"), Some(now.0 - 7 * 86_400_000_000));
        assert_eq!(at(" 90m "), Some(now.0 - 5_400_000_000));
        for text in ["", "d", "-1d", "1w", "yesterday", "1,5h", "ü", "99999999999d"] {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
