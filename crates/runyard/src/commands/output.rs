//! Where a command writes what may be long: the screen, or a file that is there only once it is whole.

use crate::{app::App, cli::OutputArgs, exit::Failure};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// The screen, or a file that nobody else may read.
pub enum Output {
    Screen,
    File(Part),
}

/// A file under a name of its own until it is whole.
pub struct Part {
    path: PathBuf,
    scratch: PathBuf,
    force: bool,
    file: BufWriter<File>,
    placed: bool,
}

impl Output {
    /// Refuses a file that is there already, unless it may be written over.
    pub fn open(args: OutputArgs) -> Result<Self, Failure> {
        let OutputArgs { output, force } = args;
        let Some(path) = output else { return Ok(Self::Screen) };
        if !force && path.exists() {
            return Err(taken(&path));
        }
        let scratch = path.with_added_extension("part");
        let file = begin(&scratch).map_err(|error| failed(&path, &error))?;
        Ok(Self::File(Part { path, scratch, force, file: BufWriter::new(file), placed: false }))
    }

    /// Writes; false when nobody reads any more.
    pub fn write(&mut self, app: &mut App, piece: &str) -> Result<bool, Failure> {
        match self {
            Self::Screen => {
                app.screen.text(piece);
                Ok(!app.screen.is_broken())
            }
            Self::File(part) => {
                part.file.write_all(piece.as_bytes()).map_err(|error| failed(&part.path, &error))?;
                Ok(true)
            }
        }
    }

    /// Puts the whole file where it was wanted, and says so.
    pub fn close(self, app: &mut App) -> Result<(), Failure> {
        let Self::File(mut part) = self else { return Ok(()) };
        part.place()?;
        app.screen.line(format!("wrote {}", part.path.display()));
        Ok(())
    }
}

impl Part {
    fn place(&mut self) -> Result<(), Failure> {
        let Self { path, scratch, force, file, placed } = self;
        file.flush().and_then(|()| file.get_ref().sync_all()).map_err(|error| failed(path, &error))?;
        // What came to be there in the meantime is not ours to write over.
        let flags = if *force { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        match renameat_with(CWD, &*scratch, CWD, &*path, flags) {
            Ok(()) => *placed = true,
            Err(rustix::io::Errno::EXIST) => return Err(taken(path)),
            Err(error) => return Err(failed(path, &error.into())),
        }
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.placed {
            // What is only a part helps nobody.
            let _ = fs::remove_file(&self.scratch);
        }
    }
}

fn begin(part: &Path) -> io::Result<File> {
    // Left by a command that was cut off.
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)
}

fn taken(path: &Path) -> Failure {
    Failure::usage(format!("{} is there already", path.display()))
        .mend("name another file, or write over it with --force")
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::environment(format!("failed to write {}: {error}", path.display()))
}
