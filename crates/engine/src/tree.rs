//! The workspace's tree: put on a commit, compared with it, taken out.

use crate::{context::Context, halt::Halt, process::Job, workspace::Place};
use domain::{CommitId, NoteLevel};
use forge::{Bundle, ImportLimits, Proposed};
use std::{collections::BTreeMap, time::Duration};

/// How long git may take inside the sandbox.
const GIT_TIME: Duration = Duration::from_mins(5);

/// Most output of the list of changes, in bytes.
const LONGEST_LIST: usize = 16 << 20;

/// How many bytes of names are given to one command.
const NAMES_AT_ONCE: usize = 64 * 1024;

/// How many names a note tells.
const NAMES_TOLD: usize = 10;

const PREPARE: &str = include_str!("scripts/prepare.sh");
const PROPOSE: &str = include_str!("scripts/propose.sh");

/// How the script begins a line about a file that is too large.
const LARGE: &str = "runyard-large: ";

/// How the script begins a line about a repository inside the repository.
const NESTED: &str = "runyard-nested: ";

/// What differs from a commit: the mode and content of each path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes(BTreeMap<Vec<u8>, String>);

impl Changes {
    /// Reads the output of `git diff-index --raw -z`: `:old-mode new-mode old-id new-id status NUL path NUL` …
    fn parse(raw: &[u8]) -> Option<Self> {
        let mut fields = raw.split(|byte| *byte == 0);
        let mut changes = BTreeMap::new();
        while let Some(about) = fields.next().filter(|about| !about.is_empty()) {
            let about = std::str::from_utf8(about).ok()?.strip_prefix(':')?;
            let (_, new) = about.split_once(' ')?;
            changes.insert(fields.next()?.to_vec(), new.to_owned());
        }
        Some(Self(changes))
    }

    /// Paths of `later` that are new in it, when nothing else differs; none when something else does.
    pub fn only_added(&self, later: &Self) -> Option<Vec<String>> {
        if self.0.iter().any(|(path, about)| later.0.get(path) != Some(about)) {
            return None;
        }
        let new = later.0.iter().filter(|(path, _)| !self.0.contains_key(*path));
        // A path of the base that the work left alone and that is different later is no new file.
        new.map(|(path, about)| about.ends_with(" A").then(|| String::from_utf8(path.clone()).ok()).flatten()).collect()
    }
}

impl Place {
    pub(crate) async fn script(
        &self,
        context: &Context,
        (purpose, script): (&str, &str),
        arguments: &[&str],
        limit: usize,
    ) -> Result<(Vec<u8>, String), Halt> {
        let mut argv = vec!["/bin/bash", "--noprofile", "--norc", "-c", script, purpose];
        argv.extend(arguments);
        let job = Job { purpose, argv: &argv, time: GIT_TIME, limit, shown: false };
        let finished = self.run(context, &job).await?.finished;
        let said = String::from_utf8_lossy(&finished.stderr).into_owned();
        if finished.status.success() && !finished.truncated {
            return Ok((finished.stdout, said));
        }
        if let Some(why) = too_large(&said) {
            return Err(Halt::failed(why));
        }
        if finished.truncated {
            let most = limit >> 20;
            return Err(Halt::failed(format!(
                "the work is too large: more than {most} MiB; leave out what was built or downloaded"
            )));
        }
        let last: Vec<_> = said.trim().lines().rev().take(3).collect();
        Err(Halt::failed(format!(
            "failed to {purpose} the workspace ({:?}): {}",
            finished.status.reason,
            last.into_iter().rev().collect::<Vec<_>>().join(" / ")
        )))
    }

    /// Puts the workspace on a commit.
    pub async fn prepare(&self, context: &Context, commit: &CommitId) -> Result<(), Halt> {
        self.script(context, ("prepare", PREPARE), &[commit.as_str()], 64 * 1024).await?;
        faultpoint::crash_point!("crash-workspace-prepared");
        Ok(())
    }

    /// What would be proposed now, compared with the base.
    pub async fn changes(&self, context: &Context, base: &CommitId) -> Result<Changes, Halt> {
        let most = ImportLimits::default().file_bytes.to_string();
        let arguments = [base.as_str(), "changes", &most];
        let (printed, _) = self.script(context, ("read", PROPOSE), &arguments, LONGEST_LIST).await?;
        Changes::parse(&printed).ok_or_else(|| Halt::failed("the sandbox's list of changes cannot be read"))
    }

    /// Removes files of the workspace.
    pub async fn remove(&self, context: &Context, paths: &[String]) -> Result<(), Halt> {
        let mut rest = paths;
        while !rest.is_empty() {
            let mut room = NAMES_AT_ONCE;
            let fits = |path: &&String| match room.checked_sub(path.len() + 1) {
                Some(left) => {
                    room = left;
                    true
                }
                None => false,
            };
            let (now, later) = rest.split_at(rest.iter().take_while(fits).count().max(1));
            let mut argv = vec!["/bin/rm", "-f", "--"];
            argv.extend(now.iter().map(String::as_str));
            let job = Job { purpose: "tidy", argv: &argv, time: GIT_TIME, limit: 64 * 1024, shown: false };
            self.run(context, &job).await?;
            rest = later;
        }
        Ok(())
    }

    /// The workspace's tree, taken in and checked; nothing when it is the base's.
    pub async fn propose(&self, context: &Context, base: &CommitId) -> Result<Option<Proposed>, Halt> {
        let limits = ImportLimits::default();
        let most = usize::try_from(limits.bundle_bytes).unwrap_or(usize::MAX);
        let largest = limits.file_bytes.to_string();
        let arguments = [base.as_str(), "bundle", &largest];
        faultpoint::crash_point!("crash-export-begun");
        let (bundle, said) = self.script(context, ("export", PROPOSE), &arguments, most).await?;
        let nested: Vec<_> = said.lines().filter_map(|line| line.strip_prefix(NESTED)).collect();
        if !nested.is_empty() {
            let text = format!(
                "Repositories inside the repository are left out of the commit: {}. Remove their .git to have their files in it.",
                told(&nested)
            );
            context.note(NoteLevel::Warning, text).await?;
        }
        if bundle.is_empty() {
            return Ok(None);
        }
        faultpoint::crash_point!("crash-exported");
        let _lock = context.shared.lock_mirror(context.session.repository).await;
        let proposed = self.mirror.import(Bundle::Bytes(&bundle), base, &limits).await?;
        Ok((!proposed.is_empty()).then_some(proposed))
    }
}

/// What is to be said about the files that the script found too large, if it found any.
fn too_large(said: &str) -> Option<String> {
    let files: Vec<String> = said
        .lines()
        .filter_map(|line| line.strip_prefix(LARGE)?.split_once(' '))
        .map(|(bytes, name)| format!("{name} ({} MiB)", bytes.parse::<u64>().unwrap_or(0) >> 20))
        .collect();
    let most = ImportLimits::default().file_bytes >> 20;
    (!files.is_empty()).then(|| {
        format!(
            "too large for a commit (at most {most} MiB for each file): {}; have it left out, or ignored by the base branch",
            files.join(", ")
        )
    })
}

/// The first names of a list, cut short.
pub(crate) fn told(names: &[impl AsRef<str>]) -> String {
    let short = |name: &str| name.chars().take(200).collect::<String>();
    let first: Vec<_> = names.iter().take(NAMES_TOLD).map(|name| format!("`{}`", short(name.as_ref()))).collect();
    let more = names.len().saturating_sub(NAMES_TOLD);
    if more == 0 { first.join(", ") } else { format!("{} and {more} more", first.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(entries: &[(&str, &str)]) -> Changes {
        let lines: Vec<_> = entries.iter().map(|(path, new)| format!(":100644 {new}\0{path}\0")).collect();
        Changes::parse(lines.concat().as_bytes()).expect("a list")
    }

    #[test]
    fn new_files_are_told_from_changed_ones() {
        let work = changes(&[("made", "100644 0 1 A"), ("mended", "100644 2 3 M")]);
        let with = |more: &[(&str, &str)]| {
            let mut later = work.clone();
            later.0.extend(changes(more).0);
            work.only_added(&later)
        };
        assert_eq!(with(&[]), Some(vec![]));
        assert_eq!(with(&[("cache/x", "100644 0 9 A")]), Some(vec!["cache/x".to_owned()]));
        assert_eq!(with(&[("cache/x", "100644 0 9 A"), ("kept", "100644 5 6 M")]), None, "a file of the base");
        assert_eq!(with(&[("kept", "000000 5 0 D")]), None, "deleted");
        assert_eq!(with(&[("made", "100644 0 9 A")]), None, "a file of the work");
        assert_eq!(with(&[("mended", "100755 2 3 M")]), None, "only its mode");
        assert_eq!(work.only_added(&changes(&[("mended", "100644 2 3 M")])), None, "a file of the work is gone");
    }

    #[test]
    fn a_damaged_list_is_no_list() {
        assert_eq!(Changes::parse(b""), Some(Changes::default()));
        for raw in [&b"x"[..], b":100644 100644 1 2 M", b"100644 1 2 M\0a\0", b":\xff\0a\0"] {
            assert_eq!(Changes::parse(raw), None, "{raw:?}");
        }
    }

    #[test]
    fn large_files_are_named_with_their_size() {
        let said = "noise\nrunyard-large: 62914560 'big one.bin'\n";
        let why = too_large(said).expect("one is too large");
        assert!(why.contains("'big one.bin' (60 MiB)") && why.contains("at most 50 MiB"), "{why}");
        assert_eq!(too_large("nothing of the kind"), None);
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        assert!(told(&names).ends_with("`9` and 2 more"));
        assert_eq!(told(&["a"]), "`a`");
    }
}
