//! The outside once everything was done.

use super::person::Person;
use crate::{
    history::{End, What},
    play::KEY,
    processes::Watch,
};
use anyhow::Result;
use domain::SessionNumber;
use engine::{Command, PullRequestRef};
use std::path::Path;

impl Person<'_> {
    /// What there is now, inside and outside.
    pub(super) async fn look_at_the_end(&mut self) -> Result<End> {
        self.look().await?;
        let session = SessionNumber(self.session);
        let view = self.read(&Command::Session { session }).await?;
        let list = self.read(&Command::PullRequests { session: None, repository: None }).await?;
        let mut comments = Vec::new();
        for line in list.as_array().into_iter().flatten() {
            let number = line["pull_request"]["number"].as_i64().unwrap_or(0);
            let pull_request = PullRequestRef { repository: None, number };
            let view = self.read(&Command::PullRequest { pull_request }).await?;
            comments.extend(view["comments"].as_array().into_iter().flatten().cloned());
        }
        let git = |arguments: &[&str]| {
            let output =
                std::process::Command::new("git").arg("-C").arg(self.repository.path()).args(arguments).output();
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
        };
        let branches: Vec<(String, Vec<String>)> =
            git(&["for-each-ref", "--format=%(refname:short)", "refs/heads/runyard/"])
                .lines()
                .map(|branch| {
                    // From the first commit of all on, since `main` moves when something is merged.
                    let range = git(&["log", "--reverse", "--first-parent", "--format=%B%x00", branch]);
                    let messages = range.split('\0').map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
                    (branch.to_owned(), messages.filter(|text| text != "Begin").collect())
                })
                .collect();
        let top = branches.last().map(|(branch, _)| branch.clone()).unwrap_or_default();
        let files = git(&["ls-tree", "-r", "--name-only", &top]);
        let files = files.lines().map(|name| (name.to_owned(), git(&["show", &format!("{top}:{name}")]))).collect();
        Ok(End {
            log: self.log.clone(),
            session: view,
            pull_requests: list.as_array().cloned().unwrap_or_default(),
            comments,
            branches,
            files,
            ..End::default()
        })
    }

    /// What should be gone once the session is put away.
    pub(super) fn leftovers(&self) -> Vec<String> {
        let mut left: Vec<String> = self.sandboxes().into_iter().map(|name| format!("sandboxes/{name}")).collect();
        let living = Watch::of(self.places.clone()).look();
        left.extend(living.into_iter().map(|inhabitant| format!("process: {}", inhabitant.command)));
        let name =
            self.data.parent().and_then(|home| home.file_name()).unwrap_or_default().to_string_lossy().into_owned();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        left.extend(mounts.lines().filter(|line| line.contains(&name)).map(|line| format!("mount: {line}")));
        let ids: Vec<String> = self
            .history
            .entries()
            .into_iter()
            .filter_map(|entry| match entry.what {
                What::Sandbox { sandbox, .. } => Some(sandbox),
                _ => None,
            })
            .collect();
        left.extend(
            groups(Path::new("/sys/fs/cgroup"), 4).into_iter().filter(|group| ids.iter().any(|id| group.contains(id))),
        );
        left
    }

    /// Files of the data directory and of the logs that hold the key.
    pub(super) fn leaks(&self) -> Vec<String> {
        let home = self.data.parent().unwrap_or(&self.data);
        let output = std::process::Command::new("grep")
            .args(["--recursive", "--files-with-matches", "--text", "--fixed-strings", KEY])
            .arg(home)
            .output();
        let found = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        found.lines().map(str::to_owned).collect()
    }
}

/// Control groups below a directory.
fn groups(dir: &Path, depth: usize) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(format!("group: {}", entry.path().display()));
            if depth > 1 {
                found.extend(groups(&entry.path(), depth - 1));
            }
        }
    }
    found
}
