//! An exec's output on disk, both streams in the order of their arrival.
//!
//! Within each stream that is the order of writing. Between the two it is the order in which the shim came to read the
//! pipes: of writes to both within the same moment nobody can tell which was first.
//!
//! The data file holds the bytes alone, so an offset into it is an offset into the output. The index has a record for
//! each switch between the streams: 8 bytes of offset, 1 of stream, 7 unused.

use rustix::fs::{AtFlags, Mode, OFlags};
use shim::proto::Stream;
use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::FileExt},
};

/// Bytes of an index record, counted against the quota.
const RECORD: u64 = 16;
const RECORD_BYTES: usize = 16;

/// The writing side and what the reading side needs; changes are made under the exec's lock.
pub struct Spool {
    data: File,
    index: File,
    records: u64,
    last: Option<Stream>,
    total: u64,
}

impl Spool {
    /// Makes the files of a new exec.
    pub fn create(dir: &OwnedFd, name: &str) -> io::Result<Self> {
        let make = |kind: &str| {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
            rustix::fs::openat(dir, format!("{name}.{kind}"), flags, Mode::from_raw_mode(0o600)).map(File::from)
        };
        Ok(Self { data: make("data")?, index: make("index")?, records: 0, last: None, total: 0 })
    }

    /// Removes the files of an exec that was forgotten.
    pub fn remove(dir: &OwnedFd, name: &str) {
        for kind in ["data", "index"] {
            let _ = rustix::fs::unlinkat(dir, format!("{name}.{kind}"), AtFlags::empty());
        }
    }

    /// Bytes of output so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes used on disk.
    pub fn spent(&self) -> u64 {
        self.total + self.records * RECORD
    }

    /// Adds output. On failure nothing of it counts.
    pub fn append(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        self.data.write_all_at(bytes, self.total)?;
        if self.last != Some(stream) {
            let mut record = [0; RECORD_BYTES];
            record[..8].copy_from_slice(&self.total.to_be_bytes());
            record[8] = u8::from(stream == Stream::Stderr);
            self.index.write_all_at(&record, self.records * RECORD)?;
            self.records += 1;
            self.last = Some(stream);
        }
        self.total += bytes.len() as u64;
        Ok(())
    }

    /// Where to read at `offset`, which is below the total.
    pub fn locate(&self, offset: u64) -> io::Result<Segment> {
        let (mut low, mut high) = (0, self.records);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.record(middle)?.0 <= offset { low = middle } else { high = middle }
        }
        let (_, stream) = self.record(low)?;
        let end = if low + 1 < self.records { self.record(low + 1)?.0 } else { self.total };
        Ok(Segment { data: self.data.try_clone()?, stream, end })
    }

    fn record(&self, number: u64) -> io::Result<(u64, Stream)> {
        let mut record = [0; RECORD_BYTES];
        self.index.read_exact_at(&mut record, number * RECORD)?;
        let stream = if record[8] == 0 { Stream::Stdout } else { Stream::Stderr };
        let offset = record[..8].iter().fold(0, |offset, byte| offset << 8 | u64::from(*byte));
        Ok((offset, stream))
    }
}

/// A stretch of output of one stream.
pub struct Segment {
    data: File,
    /// Whose bytes they are.
    pub stream: Stream,
    /// The offset after the last byte that is known.
    pub end: u64,
}

impl Segment {
    /// Reads at most `most` bytes from `offset` on.
    pub fn read(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.end - offset).unwrap_or(usize::MAX).min(most);
        let mut bytes = vec![0; length];
        self.data.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_offset_finds_its_bytes_and_its_stream(writes in prop::collection::vec((any::<bool>(), 1_usize..40), 1..60)) {
            let dir = tempfile::tempdir().unwrap();
            let fd = OwnedFd::from(File::open(dir.path()).unwrap());
            let mut spool = Spool::create(&fd, "x").unwrap();
            let mut model = Vec::new();
            for (number, (stderr, length)) in writes.iter().enumerate() {
                let stream = if *stderr { Stream::Stderr } else { Stream::Stdout };
                let bytes = vec![u8::try_from(number).unwrap(); *length];
                spool.append(stream, &bytes).unwrap();
                model.extend(bytes.iter().map(|byte| (stream, *byte)));
            }
            prop_assert_eq!(spool.total(), model.len() as u64);
            let mut at = 0;
            while at < model.len() {
                let segment = spool.locate(at as u64).unwrap();
                let bytes = segment.read(at as u64, 7).unwrap();
                prop_assert!(!bytes.is_empty());
                for byte in bytes {
                    prop_assert_eq!((segment.stream, byte), model[at]);
                    at += 1;
                }
            }
        }
    }
}
