//! The file of a backup: written whole or not at all, and read only after every byte of it was proven.

use super::manifest::{FORMAT, Manifest, Part};
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// The name of the first entry.
const MANIFEST: &str = "manifest.json";
/// The last line, before 64 hexadecimal digits and a line break.
const SEAL: &[u8] = b"runyard-backup sha256:";
const SEAL_LENGTH: u64 = SEAL.len() as u64 + 65;
/// A manifest is a few kilobytes.
const MANIFEST_LIMIT: u64 = 16 << 20;

/// Why a file cannot be used as a backup.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is something else.
    #[error("{} is not a backup of Runyard", .0.display())]
    Foreign(PathBuf),
    /// It does not end as a backup does.
    #[error("{} was cut short, or its end was altered", .0.display())]
    CutShort(PathBuf),
    /// Its bytes are not those that were written.
    #[error("{} was altered since it was written: {what}", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
        /// Which part of it.
        what: String,
    },
    /// A newer version wrote it.
    #[error(
        "{} has format {found} and was written by Runyard {version}; this version reads format {FORMAT}",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The version that wrote it.
        version: String,
    },
    /// It contradicts itself.
    #[error("{} is no whole backup: {what}", path.display())]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// How.
        what: String,
    },
    /// Reading or writing failed.
    #[error("failed to {attempt} {}", path.display())]
    Io {
        /// What was attempted.
        attempt: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn io_error(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArchiveError {
    let path = path.to_owned();
    move |source| ArchiveError::Io { attempt, path, source }
}

/// The name, size and SHA-256 of a file, as an entry.
pub fn part(name: &str, holds: super::manifest::Holds, file: &Path) -> Result<Part, ArchiveError> {
    let mut reader = File::open(file).map_err(io_error("open", file))?;
    let mut seal = Sealing::new(io::sink());
    let size = io::copy(&mut reader, &mut seal).map_err(io_error("read", file))?;
    Ok(Part { name: name.to_owned(), size, sha256: seal.digest(), holds })
}

/// Writes an archive of these files to a new file and flushes it to the disk. Each file is removed once it is in.
pub fn write(to: &Path, manifest: &Manifest, files: &[(Part, PathBuf)]) -> Result<(), ArchiveError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(io_error("make", to))?;
    let written = || -> io::Result<File> {
        let mut tar = tar::Builder::new(Sealing::new(BufWriter::new(file)));
        let text = serde_json::to_vec_pretty(manifest)?;
        append(&mut tar, manifest, MANIFEST, text.len() as u64, &text[..])?;
        for (part, path) in files {
            append(&mut tar, manifest, &part.name, part.size, File::open(path)?)?;
            fs::remove_file(path)?;
        }
        let sealing = tar.into_inner()?;
        let digest = sealing.digest();
        let mut file = sealing.inner;
        file.write_all(SEAL)?;
        writeln!(file, "{digest}")?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(file)
    };
    written().map(drop).map_err(io_error("write", to))
}

fn append(
    tar: &mut tar::Builder<impl Write>,
    manifest: &Manifest,
    name: &str,
    size: u64,
    bytes: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o600);
    header.set_size(size);
    header.set_mtime(u64::try_from(manifest.made_at.0 / 1_000_000).unwrap_or(0));
    tar.append_data(&mut header, name, bytes.take(size))
}

/// An archive whose every byte is as it was written.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Where each part begins.
    places: Vec<u64>,
}

impl Archive {
    /// Reads the whole file and proves it before anything of it is believed.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        let file = File::open(path).map_err(io_error("open", path))?;
        let length = file.metadata().map_err(io_error("look at", path))?.len();
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut head = [0; 512];
        if length < 512 || reader.read_exact(&mut head).is_err() || !head.starts_with(b"manifest.json\0") {
            return Err(ArchiveError::Foreign(path.to_owned()));
        }
        let sealed = length.saturating_sub(SEAL_LENGTH);
        let seal = seal_of(&mut reader, sealed).map_err(io_error("read", path))?;
        let Some(seal) = seal else { return Err(ArchiveError::CutShort(path.to_owned())) };
        reader.seek(SeekFrom::Start(0)).map_err(io_error("read", path))?;
        let mut sealing = Sealing::new(io::sink());
        io::copy(&mut (&mut reader).take(sealed), &mut sealing).map_err(io_error("read", path))?;
        if sealing.digest() != seal {
            let what = altered(path, sealed).unwrap_or_else(|| "its frame or its manifest".to_owned());
            return Err(ArchiveError::Altered { path: path.to_owned(), what });
        }
        let (manifest, found) = entries(path, sealed)?;
        if manifest.format != FORMAT {
            let (found, version) = (manifest.format, manifest.runyard);
            return Err(ArchiveError::Newer { path: path.to_owned(), found, version });
        }
        let promised: Vec<_> = manifest.parts.iter().map(|part| (part.name.as_str(), part.size)).collect();
        let there: Vec<_> = found.iter().map(|(name, size, _)| (name.as_str(), *size)).collect();
        if promised != there {
            let what = format!("it promises {promised:?} and holds {there:?}");
            return Err(ArchiveError::Inconsistent { path: path.to_owned(), what });
        }
        let places = found.into_iter().map(|(_, _, place)| place).collect();
        Ok(Self { path: path.to_owned(), manifest, places })
    }

    /// Writes one part to a new file, and proves it once more on the way.
    pub fn extract(&self, part: &Part, to: &Path) -> Result<(), ArchiveError> {
        let at = self.manifest.parts.iter().position(|known| known == part);
        let place = at.and_then(|at| self.places.get(at)).copied().unwrap_or(u64::MAX);
        let read = |attempt| io_error(attempt, &self.path);
        let mut file = File::open(&self.path).map_err(read("open"))?;
        file.seek(SeekFrom::Start(place)).map_err(read("read"))?;
        let out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
        let mut sealing = Sealing::new(out.map_err(io_error("make", to))?);
        io::copy(&mut file.take(part.size), &mut sealing).map_err(io_error("write", to))?;
        let (digest, out) = (sealing.digest(), sealing.inner);
        out.sync_all().map_err(io_error("write", to))?;
        if digest == part.sha256 {
            return Ok(());
        }
        Err(ArchiveError::Altered { path: self.path.clone(), what: format!("`{}` is not what it was", part.name) })
    }
}

/// The digest in the last line; none when the file does not end as a backup does.
fn seal_of(reader: &mut BufReader<File>, at: u64) -> io::Result<Option<String>> {
    let mut seal = Vec::new();
    reader.seek(SeekFrom::Start(at))?;
    reader.take(SEAL_LENGTH).read_to_end(&mut seal)?;
    let digest = seal.strip_prefix(SEAL).and_then(|rest| rest.strip_suffix(b"\n"));
    Ok(digest.filter(|digest| digest.len() == 64).map(|digest| String::from_utf8_lossy(digest).into_owned()))
}

/// An entry's name, size and place.
type Place = (String, u64, u64);

fn entries(path: &Path, sealed: u64) -> Result<(Manifest, Vec<Place>), ArchiveError> {
    let file = File::open(path).map_err(io_error("open", path))?;
    let mut tar = tar::Archive::new(BufReader::new(file.take(sealed)));
    let mut manifest = None;
    let mut found = Vec::new();
    let inconsistent = |what: String| ArchiveError::Inconsistent { path: path.to_owned(), what };
    for entry in tar.entries().map_err(io_error("read", path))? {
        let entry = entry.map_err(io_error("read", path))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if manifest.is_none() {
            let read = serde_json::from_reader(entry.take(MANIFEST_LIMIT));
            manifest = Some(read.map_err(|error| inconsistent(format!("its manifest cannot be read: {error}")))?);
        } else {
            found.push((name, entry.size(), entry.raw_file_position()));
        }
    }
    Ok((manifest.ok_or_else(|| inconsistent("it has no manifest".to_owned()))?, found))
}

/// Which parts were altered, as far as the manifest can still be read.
fn altered(path: &Path, sealed: u64) -> Option<String> {
    let (manifest, found) = entries(path, sealed).ok()?;
    let mut names = Vec::new();
    for (part, (name, size, place)) in manifest.parts.iter().zip(&found) {
        let mut file = File::open(path).ok()?;
        file.seek(SeekFrom::Start(*place)).ok()?;
        let mut sealing = Sealing::new(io::sink());
        io::copy(&mut file.take(*size), &mut sealing).ok()?;
        if part.name != *name || part.sha256 != sealing.digest() {
            names.push(format!("`{}`", part.name));
        }
    }
    (!names.is_empty()).then(|| format!("{} is not what it was", names.join(", ")))
}

/// Hashes what is written through it.
struct Sealing<W> {
    inner: W,
    hash: Sha256,
}

impl<W> Sealing<W> {
    fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new() }
    }

    /// The SHA-256 of everything so far, in hexadecimal.
    fn digest(&self) -> String {
        hex::encode(self.hash.clone().finalize())
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::manifest::Holds;
    use domain::Timestamp;
    use proptest::prelude::*;

    fn written(dir: &Path) -> PathBuf {
        let record = dir.join("record.db");
        fs::write(&record, b"the record ".repeat(300)).expect("written");
        let part = part("record.db", Holds::Record, &record).expect("a part");
        let manifest = Manifest {
            format: FORMAT,
            runyard: "0.1.0".into(),
            made_at: Timestamp(1_000_000),
            database: "sqlite".into(),
            migration: 1,
            generation: None,
            rows: [("sessions".to_owned(), 3)].into(),
            parts: vec![part.clone()],
            left_out: Vec::new(),
        };
        let to = dir.join("a.backup");
        write(&to, &manifest, &[(part, record)]).expect("an archive");
        to
    }

    #[test]
    fn what_was_put_in_comes_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let archive = Archive::open(&written(dir.path())).expect("whole");
        assert_eq!(archive.manifest.count("sessions"), 3);
        assert!(!dir.path().join("record.db").exists(), "it moved into the archive");
        let out = dir.path().join("out");
        archive.extract(&archive.manifest.parts[0], &out).expect("extracted");
        assert_eq!(fs::read(out).expect("reads"), b"the record ".repeat(300));
    }

    #[test]
    fn tar_reads_it_too() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = File::open(written(dir.path())).expect("opens");
        let mut tar = tar::Archive::new(file);
        let entries = tar.entries().expect("entries");
        let names: Vec<_> = entries.map(|entry| entry.expect("one").path().expect("a name").into_owned()).collect();
        assert_eq!(names, [Path::new("manifest.json"), Path::new("record.db")]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let dir = tempfile::tempdir().expect("a directory");
        let good = fs::read(written(dir.path())).expect("reads");
        let at = dir.path().join("bad");
        let said = |bytes: &[u8]| {
            fs::write(&at, bytes).expect("written");
            let error = Archive::open(&at).expect_err("refused").to_string();
            error.replace(&at.display().to_string(), "FILE")
        };
        insta::assert_snapshot!(said(b"hello"), @"FILE is not a backup of Runyard");
        insta::assert_snapshot!(said(&good[..good.len() - 1]), @"FILE was cut short, or its end was altered");
        insta::assert_snapshot!(said(&good[..2000]), @"FILE was cut short, or its end was altered");
        let mut flipped = good.clone();
        let record = good.windows(10).position(|bytes| bytes == b"the record").expect("it is in there");
        flipped[record + 100] ^= 4;
        insta::assert_snapshot!(said(&flipped), @"FILE was altered since it was written: `record.db` is not what it was");
        let mut longer = good.clone();
        longer.push(b'\n');
        insta::assert_snapshot!(said(&longer), @"FILE was cut short, or its end was altered");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn no_flipped_bit_passes(at in any::<proptest::sample::Index>(), bit in 0..8) {
            let dir = tempfile::tempdir().expect("a directory");
            let file = written(dir.path());
            let mut bytes = fs::read(&file).expect("reads");
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            fs::write(&file, bytes).expect("written");
            prop_assert!(Archive::open(&file).is_err(), "bit {} of byte {} was not seen", bit, at);
        }

        #[test]
        fn no_shorter_file_passes(at in any::<proptest::sample::Index>()) {
            let dir = tempfile::tempdir().expect("a directory");
            let file = written(dir.path());
            let bytes = fs::read(&file).expect("reads");
            fs::write(&file, &bytes[..at.index(bytes.len())]).expect("written");
            prop_assert!(Archive::open(&file).is_err());
        }
    }
}
