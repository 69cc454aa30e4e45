//! A workspace with a repository of 4,000 files, ready to work in, against what git offers for the same.

use crate::Effort;
use crate::measure::{Comparison, Goal, Row, Series};
use crate::room::{command, first_output, id, provider, spec};
use anyhow::{Context as _, Result, ensure};
use forge::{Git, Mirror, ObjectFormat, Upstream};
use sandbox::{Provider as _, SandboxSpec};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const FILES: usize = 4000;

pub async fn ready(effort: Effort) -> Result<Vec<Row>> {
    let (folder, provider) = provider().await?;
    let origin = folder.path().join("origin");
    make(&origin)?;
    let git = Git::new("git", &folder.path().join("private")).await?;
    let upstream = Upstream::open(&git, &origin).await?;
    let mirror = Mirror::open_or_create(&git, &folder.path().join("mirror"), ObjectFormat::Sha1).await?;
    mirror.fetch(&upstream).await?;
    let commit = mirror.resolve_branch(&"main".parse()?).await?;
    let bases = folder.path().join("bases");
    let base = mirror.base_checkout(&commit, &bases.join("one"), Path::new("/mirror/objects")).await?;

    let (mut ours, mut clone, mut worktree) = (Series::default(), Series::default(), Series::default());
    for n in 0..effort.repetitions(20) {
        let start = Instant::now();
        let base = mirror.base_checkout(&commit, &base, Path::new("/mirror/objects")).await?;
        let spec = SandboxSpec { mirror: Some(mirror.git_dir()), base: Some(base), ..spec(id(300_000 + n)) };
        let room = provider.create(spec).await?;
        let running = room.exec(command(id(300_000 + n), ["cat", "/code/dir-39/file-99.txt"])).await?;
        ours.add(first_output(running, start).await?);
        provider.destroy(room.record()).await?;
        // Those that write thousands of files are measured a few times only: one takes about a second.
        if n < effort.repetitions(10) {
            let url = format!("file://{}", origin.display());
            let to = folder.path().join(format!("clone-{n}"));
            let start = Instant::now();
            run(Command::new("git").args(["clone", "--quiet", "--depth", "1", &url]).arg(&to))?;
            clone.add(start.elapsed());
            std::fs::remove_dir_all(&to)?;

            let to = folder.path().join(format!("tree-{n}"));
            let start = Instant::now();
            run(Command::new("git").arg("-C").arg(&origin).args(["worktree", "add", "--quiet", "--detach"]).arg(&to))?;
            worktree.add(start.elapsed());
            run(Command::new("git").arg("-C").arg(&origin).args(["worktree", "remove", "--force"]).arg(&to))?;
        }
    }
    let of = |name, anchor, most| Comparison { name, anchor, unit: "ms", goal: Goal::AtMost(most) };
    Ok(vec![
        of("workspace/4000 files", "git clone --depth 1", 0.05).of(&ours, &clone),
        of("workspace/4000 files, tree", "git worktree add", 0.1).of(&ours, &worktree),
    ])
}

/// A repository of many small files, about 32 MB.
fn make(at: &Path) -> Result<()> {
    std::fs::create_dir_all(at)?;
    run(git(at).args(["init", "--quiet", "--initial-branch=main"]))?;
    for n in 0..FILES {
        let dir = at.join(format!("dir-{}", n / 100));
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join(format!("file-{}.txt", n % 100)), format!("file {n} says much\n").repeat(400))?;
    }
    run(git(at).args(["add", "--all"]))?;
    run(git(at).args(["commit", "--quiet", "--message", "Begin"]))
}

fn git(at: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(at).args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]);
    git
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("failed to start {}", command.get_program().display()))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
