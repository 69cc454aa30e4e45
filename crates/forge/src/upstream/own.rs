//! Whether all that git would read of a repository on disk is that repository's own.
//!
//! A folder that somebody made can look like a repository and lead git elsewhere: by a `.git` file, a `commondir`, an
//! alternate or a symbolic link, it lends itself another repository's objects and branches, whose content would come
//! into the mirror and from there into a sandbox. Such pointers are refused, except for those that the other side
//! confirms: a linked working tree is known to its repository, and a submodule's folder to its own.

use crate::{Error, Git};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Pointers are a line of text; a longer file is none.
const LONGEST_POINTER: u64 = 8192;

/// What must not be a link, in a git directory or the one that it shares.
const READ: &[&str] = &["objects", "objects/info", "objects/pack", "refs", "reftable", "packed-refs", "shallow"];

/// Fails with [`Error::Borrows`] when the repository at `path` (canonical) leads to something that is not its own.
pub(super) async fn check(git: &Git, path: &Path) -> Result<(), Error> {
    let looked = |error: io::Error| Error::io(format!("look into {}", path.display()))(error);
    let root = path.to_owned();
    let work =
        move || -> io::Result<Result<PathBuf, Pointer>> { Ok(git_dir(&root)?.and_then(|dir| whole(&root, dir))) };
    let found = tokio::task::spawn_blocking(work).await.map_err(|error| looked(error.into()))?.map_err(looked)?;
    match found {
        Ok(_) => Ok(()),
        Err(Pointer::Elsewhere { dir }) if confirmed_by_config(git, path, &dir).await? => {
            let root = path.to_owned();
            let rest = tokio::task::spawn_blocking(move || whole(&root, dir)).await;
            rest.map_err(|error| looked(error.into()))?.map(drop).map_err(|pointer| pointer.refused(path))
        }
        Err(pointer) => Err(pointer.refused(path)),
    }
}

/// What leads out of a repository.
enum Pointer {
    /// `.git` leads to a directory that does not point back.
    Elsewhere { dir: PathBuf },
    /// Something else does.
    Other { what: PathBuf, mend: String },
}

impl Pointer {
    fn link(what: PathBuf) -> Self {
        let mend =
            "it is a symbolic link; put what it points to in its place, or make a clone of the repository".into();
        Self::Other { what, mend }
    }

    fn refused(self, path: &Path) -> Error {
        let (what, mend) = match self {
            Self::Elsewhere { dir } => {
                let mend = format!(
                    "it leads to {}, which does not say that this is its working tree; if it is, run `git --git-dir={} \
                     config core.worktree {}`",
                    dir.display(),
                    quoted(&dir),
                    quoted(path)
                );
                (path.join(".git"), mend)
            }
            Self::Other { what, mend } => (what, mend),
        };
        Error::Borrows { path: path.to_owned(), what, mend }
    }
}

fn quoted(path: &Path) -> String {
    crate::git::shell_quoted(path.as_os_str()).to_string_lossy().into_owned()
}

/// The git directory of a working tree or bare repository.
fn git_dir(root: &Path) -> io::Result<Result<PathBuf, Pointer>> {
    let dot = root.join(".git");
    let kind = match fs::symlink_metadata(&dot) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(root.to_owned())),
        Err(error) => return Err(error),
    };
    if kind.is_dir() {
        return Ok(Ok(dot));
    }
    let dir = if kind.is_symlink() {
        dot.canonicalize()?
    } else {
        let text = pointer(&dot)?.unwrap_or_default();
        let Some(to) = text.strip_prefix("gitdir:").map(str::trim) else { return Ok(Ok(dot)) };
        match root.join(to).canonicalize() {
            Ok(dir) => dir,
            // Git says best what is wrong with a pointer into nothing.
            Err(_) => return Ok(Ok(dot)),
        }
    };
    let back = pointer(&dir.join("gitdir"))?.and_then(|back| dir.join(back.trim()).canonicalize().ok());
    let confirmed = dir.starts_with(root) || kind.is_file() && back.as_deref() == Some(dot.as_path());
    Ok(if confirmed { Ok(dir) } else { Err(Pointer::Elsewhere { dir }) })
}

/// Whether the configuration of a git directory names this working tree, as that of a submodule does.
async fn confirmed_by_config(git: &Git, path: &Path, dir: &Path) -> Result<bool, Error> {
    let call = git.call("config").accept(&[0, 1, 128]).arg("--file").arg(dir.join("config"));
    let output = call.args(["--no-includes", "--get", "core.worktree"]).run().await?;
    if output.code != 0 {
        return Ok(false);
    }
    let named = dir.join(output.text()?.trim_end_matches('\n'));
    Ok(tokio::fs::canonicalize(named).await.is_ok_and(|named| named == path))
}

/// The git directory again when nothing in it, nor in the one that it shares, leads out.
fn whole(root: &Path, dir: PathBuf) -> Result<PathBuf, Pointer> {
    let mut read = vec![dir.clone()];
    if let Ok(Some(text)) = pointer(&dir.join("commondir")) {
        let common = dir.join(text.trim()).canonicalize().unwrap_or_default();
        let dir = dir.canonicalize().unwrap_or_default();
        if dir.parent().and_then(Path::parent) != Some(common.as_path())
            || dir.parent().is_none_or(|parent| !parent.ends_with("worktrees"))
        {
            let mend = "it leads to another repository; remove it".to_owned();
            return Err(Pointer::Other { what: dir.join("commondir"), mend });
        }
        read.push(common);
    }
    for dir in read {
        inside(root, &dir)?;
    }
    Ok(dir)
}

fn inside(root: &Path, dir: &Path) -> Result<(), Pointer> {
    for name in READ.iter().map(|name| dir.join(name)) {
        if is_link(&name) {
            return Err(Pointer::link(name));
        }
    }
    let head = dir.join("HEAD");
    // Git itself once made HEAD a link to a branch.
    if is_link(&head) && !fs::read_link(&head).is_ok_and(|to| to.starts_with("refs/heads")) {
        return Err(Pointer::link(head));
    }
    for list in ["alternates", "http-alternates"] {
        let list = dir.join("objects/info").join(list);
        let lent = fs::read(&list).unwrap_or_default();
        if lent.split(|byte| *byte == b'\n').any(|line| !line.trim_ascii().is_empty() && !line.starts_with(b"#")) {
            let mend = format!(
                "its objects are another repository's; to have them all here run `git -C {} repack -a -d` and remove \
                 that file",
                quoted(root)
            );
            return Err(Pointer::Other { what: list, mend });
        }
    }
    no_link_in(&dir.join("objects"), 1)?;
    no_link_in(&dir.join("objects/pack"), 0)?;
    no_link_in(&dir.join("reftable"), 0)?;
    // The names of branches may have slashes.
    no_link_in(&dir.join("refs"), 64)
}

/// Fails when anything in `dir` is a link, down to this many levels of folders below it.
fn no_link_in(dir: &Path, levels: u32) -> Result<(), Pointer> {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let kind = entry.file_type();
        if kind.as_ref().is_ok_and(fs::FileType::is_symlink) {
            return Err(Pointer::link(entry.path()));
        }
        if levels > 0 && kind.is_ok_and(|kind| kind.is_dir()) && !is_fan_out(&entry.file_name()) {
            no_link_in(&entry.path(), levels - 1)?;
        }
    }
    Ok(())
}

/// A folder of loose objects: whoever puts a link to an object there must know its id already.
fn is_fan_out(name: &std::ffi::OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.len() == 2 && name.iter().all(u8::is_ascii_hexdigit)
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

/// The text of a file that points somewhere; none when there is none.
fn pointer(path: &Path) -> io::Result<Option<String>> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() && found.len() <= LONGEST_POINTER => {
            Ok(Some(String::from_utf8_lossy(&fs::read(path)?).into_owned()))
        }
        Ok(_) => Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}
