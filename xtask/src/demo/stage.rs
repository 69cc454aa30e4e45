//! What the demo plays on: a throw-away repository, a data directory, and the scripted model.

use crate::{shell, workspace};
use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The key that the scripted model wants; it opens nothing else.
const KEY: &str = "sk-ant-demo-key-made-up";

/// Everything that is taken down again at the end.
pub struct Stage {
    folder: PathBuf,
    runyard: PathBuf,
    claude: PathBuf,
    model: Child,
    base_url: String,
    keep: std::cell::Cell<bool>,
}

impl Stage {
    /// Makes the repository and starts the model. `programs` is where cargo put what it built.
    pub fn set(programs: &Path, claude: &Path) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("runyard-demo-{}", std::process::id()));
        // Sandboxes run under users of their own, who must be able to pass through, and need not look around.
        std::fs::DirBuilder::new().mode(0o711).create(&folder).with_context(|| {
            format!("failed to make {}; set TMPDIR to a folder that everybody may enter", folder.display())
        })?;
        make_repository(&folder.join("greet"))?;

        let script = workspace::root().join("xtask/demo/model.yaml");
        let mut model = Command::new(programs.join("scripted-model"));
        model.arg("--script").arg(script).arg("--record").arg(folder.join("model.jsonl"));
        let mut model = model.stdout(Stdio::piped()).spawn().context("failed to start the scripted model")?;
        let base_url = address(&mut model)?;
        let runyard = programs.join("runyard");
        Ok(Self { folder, runyard, claude: claude.to_path_buf(), model, base_url, keep: false.into() })
    }

    /// The repository that is worked on.
    pub fn repository(&self) -> PathBuf {
        self.folder.join("greet")
    }

    /// `runyard` with the demo's configuration and nothing of the person's own.
    pub fn runyard<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = Command::new(&self.runyard);
        let own = |name: &OsStr| {
            ["RUNYARD_", "ANTHROPIC_", "CLAUDE_"].iter().any(|it| name.to_string_lossy().starts_with(it))
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| own(name)) {
            command.env_remove(name);
        }
        command.args(arguments).current_dir(&self.folder);
        command.env("RUNYARD_DATA_DIR", self.folder.join("data")).env("RUNYARD_AGENT_CLAUDE", &self.claude);
        command.env("RUNYARD_USER_NAME", "Demo").env("RUNYARD_USER_EMAIL", "demo@example.com");
        command.env("ANTHROPIC_BASE_URL", &self.base_url).env("ANTHROPIC_API_KEY", KEY);
        command
    }

    /// Git in the repository that is worked on.
    pub fn git<const N: usize>(&self, arguments: [&str; N]) -> Result<String> {
        shell::capture(&mut git(&self.repository(), arguments))
    }

    /// Keeps everything but the model, and says how to look around.
    pub fn leave_standing(&self) -> String {
        self.keep.set(true);
        let (data, runyard) = (self.folder.join("data"), self.runyard.display());
        format!(
            "kept {folder}; look around:\n  export RUNYARD_DATA_DIR={data}\n  {runyard} session show 1\n  {runyard} session log 1\n  {runyard} pr list\n  \
             git -C {folder}/greet log --oneline --graph --all\nwhat the model was asked: {folder}/model.jsonl",
            folder = self.folder.display(),
            data = data.display(),
        )
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.model.kill().ok();
        self.model.wait().ok();
        if !self.keep.get() {
            std::fs::remove_dir_all(&self.folder).ok();
        }
    }
}

fn make_repository(at: &Path) -> Result<()> {
    copy(&workspace::root().join("xtask/demo/repository"), at)?;
    shell::capture(&mut git(at, ["init", "--quiet", "--initial-branch=main"]))?;
    shell::capture(&mut git(at, ["add", "--all"]))?;
    shell::capture(&mut git(at, ["commit", "--quiet", "--message", "Say hello"]))?;
    Ok(())
}

fn git<const N: usize>(at: &Path, arguments: [&str; N]) -> Command {
    let mut git = Command::new("git");
    git.current_dir(at).args([
        "-c",
        "user.name=Demo",
        "-c",
        "user.email=demo@example.com",
        "-c",
        "commit.gpgsign=false",
    ]);
    git.args(arguments).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    git
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("failed to make {}", to.display()))?;
    for entry in std::fs::read_dir(from).with_context(|| format!("failed to read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target).with_context(|| format!("failed to write {}", target.display()))?;
        }
    }
    Ok(())
}

/// Its first line says where the model listens.
fn address(model: &mut Child) -> Result<String> {
    let output = model.stdout.take().context("the scripted model has no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).context("failed to read where the scripted model listens")?;
    match line.trim().strip_prefix("listening ") {
        Some(address) => Ok(address.to_owned()),
        None => bail!("the scripted model did not start; its script is xtask/demo/model.yaml"),
    }
}
