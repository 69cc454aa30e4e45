//! Tars into and out of the sandbox's writable directories.
//!
//! What is inside changes under our feet and means ill, so every name is opened below a directory that is held open, and
//! the kernel refuses to follow any link on the way (openat2(2)).

use crate::proto::{OPEN_ROOTS, Refusal};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};
use std::{
    cell::Cell,
    ffi::OsStr,
    fs::File,
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Component, Path, PathBuf},
    rc::Rc,
};
use tar::{Archive, Builder, EntryType, Header};

/// Entries of one archive.
const MAX_ENTRIES: usize = 200_000;
/// Bytes of one archive's files.
const MAX_BYTES: u64 = 4 << 30;
/// Bytes between the files of two entries: headers, long names, extensions. The reader of archives keeps them in memory.
const MAX_HEADERS: u64 = 256 << 10;
/// Directories within each other.
const MAX_DEPTH: usize = 100;

const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// Unpacks `tar` below `path`, which is made when absent. What came before a bad entry stays.
pub fn unpack(root: &OwnedFd, path: &str, tar: impl Read) -> Result<(), Refusal> {
    let inside = open_root(path)?;
    let top = make_dirs(root, &inside).map_err(|e| failed(path, e.into()))?;
    let ration = Rc::new(Cell::new(MAX_HEADERS));
    let mut archive = Archive::new(Rationed { inner: tar, left: ration.clone() });
    let (mut count, mut bytes) = (0, 0_u64);
    let mut entries = archive.entries().map_err(|e| failed("the archive", e))?;
    loop {
        ration.set(MAX_HEADERS);
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(|e| failed("the archive", e))?;
        ration.set(u64::MAX);
        let name = entry.path().map_err(|e| failed("an entry's name", e))?.into_owned();
        count += 1;
        bytes = bytes.saturating_add(entry.size());
        if count > MAX_ENTRIES || bytes > MAX_BYTES {
            return Err(Refusal::TooLarge { limit: if count > MAX_ENTRIES { MAX_ENTRIES as u64 } else { MAX_BYTES } });
        }
        let name = inner_name(&name)?;
        put(&top, &name, &mut entry)?;
    }
    Ok(())
}

/// Gives no more bytes than are `left`: then it is an error.
struct Rationed<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Rationed<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::other(format!("an entry has more than {MAX_HEADERS} bytes of headers")));
        }
        let room = to.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let length = self.inner.read(&mut to[..room])?;
        self.left.set(left - length as u64);
        Ok(length)
    }
}

fn put(top: &OwnedFd, name: &Path, entry: &mut tar::Entry<'_, impl Read>) -> Result<(), Refusal> {
    let shown = name.display().to_string();
    let fail = |error: Errno| failed(&shown, error.into());
    let kind = entry.header().entry_type();
    if kind == EntryType::Directory {
        return make_dirs(top, name).map(drop).map_err(fail);
    }
    let (Some(parent), Some(file_name)) = (name.parent(), name.file_name()) else {
        return Err(invalid(format!("`{shown}` has no name")));
    };
    let dir = make_dirs(top, parent).map_err(fail)?;
    match kind {
        EntryType::Regular | EntryType::Continuous => {
            let mode = Mode::from_raw_mode(entry.header().mode().unwrap_or(0o644) & 0o777);
            remove(&dir, file_name).map_err(fail)?;
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&dir, file_name, flags, Mode::RUSR | Mode::WUSR).map_err(fail)?;
            let mut file = File::from(file);
            io::copy(entry, &mut file).map_err(|e| failed(&shown, e))?;
            rustix::fs::fchmod(&file, mode).map_err(fail)
        }
        EntryType::Symlink => {
            let target = entry.link_name().map_err(|e| failed(&shown, e))?;
            let target = target.ok_or_else(|| invalid(format!("the link `{shown}` leads nowhere")))?;
            if !stays_beneath(parent, &target) {
                return Err(invalid(format!("the link `{shown}` leads outside, to `{}`", target.display())));
            }
            remove(&dir, file_name).map_err(fail)?;
            rustix::fs::symlinkat(&*target, &dir, file_name).map_err(fail)
        }
        other => Err(invalid(format!("`{shown}` is neither file, directory nor link but {other:?}"))),
    }
}

/// Sends `path` as a tar: files, directories and links as they are; sockets, pipes and devices are left out.
pub fn pack(root: &OwnedFd, path: &str, to: impl Write) -> Result<(), Refusal> {
    let inside = open_root(path)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = rustix::fs::openat2(root, &inside, flags, Mode::empty(), BENEATH).map_err(|e| missing(path, e))?;
    let stat = rustix::fs::fstat(&top).map_err(|e| missing(path, e))?;
    let mut builder = Builder::new(to);
    builder.sparse(false);
    let mut packer = Packer { builder, count: 0 };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            let dir = reopen_dir(root, &inside).map_err(|e| missing(path, e))?;
            packer.dir(&dir, Path::new(""), 0)?;
        }
        FileType::RegularFile => {
            let (Some(parent), Some(name)) = (inside.parent(), inside.file_name()) else {
                return Err(invalid(format!("`{path}` has no name")));
            };
            let dir = reopen_dir(root, parent).map_err(|e| missing(path, e))?;
            packer.entry(&dir, name, Path::new(""), 0)?;
        }
        _ => return Err(invalid(format!("`{path}` is neither a file nor a directory"))),
    }
    let mut to = packer.builder.into_inner().map_err(|e| failed(path, e))?;
    to.flush().map_err(|e| failed(path, e))
}

struct Packer<W: Write> {
    builder: Builder<W>,
    count: usize,
}

impl<W: Write> Packer<W> {
    fn dir(&mut self, dir: &OwnedFd, at: &Path, depth: usize) -> Result<(), Refusal> {
        if depth > MAX_DEPTH {
            return Err(Refusal::TooLarge { limit: MAX_DEPTH as u64 });
        }
        let shown = at.display().to_string();
        let fail = |error: Errno| failed(&shown, error.into());
        for name in Dir::read_from(dir).map_err(fail)? {
            let name = name.map_err(fail)?;
            let name = OsStr::from_bytes(name.file_name().to_bytes());
            if name != "." && name != ".." {
                self.entry(dir, name, at, depth)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, dir: &OwnedFd, name: &OsStr, at: &Path, depth: usize) -> Result<(), Refusal> {
        self.count += 1;
        if self.count > MAX_ENTRIES {
            return Err(Refusal::TooLarge { limit: MAX_ENTRIES as u64 });
        }
        let path = at.join(name);
        let shown = path.display().to_string();
        let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            // It went away meanwhile.
            Err(Errno::NOENT) => return Ok(()),
            other => other.map_err(|e| failed(&shown, e.into()))?,
        };
        let mut header = Header::new_gnu();
        header.set_mode(stat.st_mode & 0o777);
        header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                header.set_entry_type(EntryType::Directory);
                header.set_size(0);
                self.append(&mut header, &path, io::empty())?;
                match reopen_dir(dir, Path::new(name)) {
                    Ok(inner) => self.dir(&inner, &path, depth + 1),
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
                    Err(error) => Err(failed(&shown, error.into())),
                }
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = match rustix::fs::openat2(dir, name, flags, Mode::empty(), BENEATH) {
                    Err(Errno::NOENT | Errno::LOOP) => return Ok(()),
                    other => File::from(other.map_err(|e| failed(&shown, e.into()))?),
                };
                let stat = rustix::fs::fstat(&file).map_err(|e| failed(&shown, e.into()))?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                    return Ok(());
                }
                header.set_entry_type(EntryType::Regular);
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                header.set_size(size);
                // A file that shrinks meanwhile is filled up, since its length is already told.
                self.append(&mut header, &path, file.chain(io::repeat(0)).take(size))
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(dir, name, Vec::new()).map_err(|e| failed(&shown, e.into()))?;
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                let target = PathBuf::from(OsStr::from_bytes(target.to_bytes()));
                self.builder.append_link(&mut header, &path, target).map_err(|e| failed(&shown, e))
            }
            _ => Ok(()),
        }
    }

    fn append(&mut self, header: &mut Header, path: &Path, data: impl Read) -> Result<(), Refusal> {
        self.builder.append_data(header, path, data).map_err(|e| failed(&path.display().to_string(), e))
    }
}

/// The part of an absolute path below `/`, if it lies in a directory that is open to clients.
fn open_root(path: &str) -> Result<PathBuf, Refusal> {
    let plain = Path::new(path).components().skip(1).all(|part| matches!(part, Component::Normal(_)));
    let open = OPEN_ROOTS.iter().any(|root| Path::new(path).starts_with(root));
    match path.strip_prefix('/') {
        Some(inside) if plain && open && !path.contains('\0') => Ok(inside.into()),
        _ => Err(invalid(format!("`{path}` is not below {}", OPEN_ROOTS.join(", ")))),
    }
}

/// An entry's name, relative and without `..`.
fn inner_name(name: &Path) -> Result<PathBuf, Refusal> {
    let mut inner = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => inner.push(part),
            Component::CurDir => {}
            _ => return Err(invalid(format!("`{}` leads outside", name.display()))),
        }
    }
    if inner.components().count() > MAX_DEPTH {
        return Err(Refusal::TooLarge { limit: MAX_DEPTH as u64 });
    }
    Ok(inner)
}

fn stays_beneath(parent: &Path, target: &Path) -> bool {
    let mut depth = parent.components().count();
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return false,
        }
    }
    true
}

/// Opens the directory `path` below `top`, making what is absent.
fn make_dirs(top: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let mut dir = reopen_dir(top, Path::new("."))?;
    for part in path.components() {
        let Component::Normal(part) = part else { return Err(Errno::INVAL) };
        dir = match reopen_dir(&dir, Path::new(part)) {
            Err(Errno::NOENT) => {
                match rustix::fs::mkdirat(&dir, part, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error),
                }
                reopen_dir(&dir, Path::new(part))?
            }
            other => other?,
        };
    }
    Ok(dir)
}

fn reopen_dir(top: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    rustix::fs::openat2(top, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty(), BENEATH)
}

fn remove(dir: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

fn invalid(detail: String) -> Refusal {
    Refusal::Invalid { detail }
}

fn missing(path: &str, error: Errno) -> Refusal {
    match error {
        Errno::NOENT | Errno::NOTDIR => Refusal::NotFound { what: path.to_owned() },
        other => failed(path, other.into()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it ends chains of `map_err`")]
fn failed(what: &str, error: io::Error) -> Refusal {
    if error.kind() == io::ErrorKind::QuotaExceeded {
        return Refusal::TooLarge { limit: 0 };
    }
    Refusal::Failed { detail: format!("{what}: {error}") }
}
