//! Backups: one file with the record, the commits that only the mirrors have, and the proof that it is whole.
//!
//! It is a tar archive of `manifest.json`, `record.db` and one git bundle for each mirror, followed by a line with the
//! SHA-256 of all that comes before. No secret is in it: neither keys nor configuration, and nothing of sandboxes.

mod archive;
mod make;
mod manifest;
mod restore;
mod verify;

pub use make::make;
pub use manifest::Manifest;
pub use restore::restore;
pub use verify::verify;

use crate::exit::{Failure, chain};
use rustix::fs::statvfs;
use std::path::Path;

/// The record in an archive, always as a SQLite file.
const RECORD: &str = "record.db";

/// What failed, with its causes.
fn failed(attempt: &str, error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::environment(format!("failed to {attempt}: {}", chain(error)))
}

/// Fails when the file system of a directory has less than `needed` bytes free.
fn check_room(dir: &Path, needed: u64) -> Result<(), Failure> {
    let Ok(found) = statvfs(dir) else { return Ok(()) };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    if free >= needed {
        return Ok(());
    }
    let message = format!("{} has {} free and about {} are needed", dir.display(), size(free), size(needed));
    Err(Failure::environment(message).mend("make room, or choose another place"))
}

/// Bytes as people say them.
pub fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let (mut left, mut unit) = (bytes / 1024, 0);
    while left >= 10 * 1024 && unit + 1 < units.len() {
        left /= 1024;
        unit += 1;
    }
    if bytes < 1024 { format!("{bytes} bytes") } else { format!("{left} {}", units[unit]) }
}

/// A moment, for people and for names of files.
fn moment(at: domain::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(at.0 / 1_000_000).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let said = [0, 1023, 1024, 5 << 20, 20 << 20, 3 << 40].map(size);
        assert_eq!(said, ["0 bytes", "1023 bytes", "1 KiB", "5120 KiB", "20 MiB", "3072 GiB"]);
    }

    #[test]
    fn a_full_disk_is_seen_before_anything_is_written() {
        let dir = tempfile::tempdir().expect("a directory");
        check_room(dir.path(), 1).expect("a byte is free");
        let failure = check_room(dir.path(), u64::MAX).expect_err("nobody has that much");
        assert!(failure.message.contains("are needed"), "{failure}");
    }
}
