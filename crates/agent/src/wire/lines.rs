use bytes::{Bytes, BytesMut};

/// Lines over this, with their ends, are dropped: nothing that the agent has to say is so long (5 MB ones were seen).
const MAX_LINE: usize = 64 << 20;

/// Cuts standard output into lines, keeping their places in the output of both streams together.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    held: BytesMut,
    /// Where the first byte of `held` is.
    start: u64,
    /// The end of the last chunk, of either stream.
    seen: u64,
    dropping: bool,
}

/// One line without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Split {
    /// A line; `end` is the offset after it, `raw` has its line end too.
    Line { raw: Bytes, end: u64 },
    /// A line that was too long; all of it is lost.
    Dropped { end: u64 },
}

impl Split {
    pub(crate) fn end(&self) -> u64 {
        match self {
            Self::Line { end, .. } | Self::Dropped { end } => *end,
        }
    }
}

impl Lines {
    /// Takes in a chunk of standard output that ends at `end`.
    pub(crate) fn stdout(&mut self, bytes: &[u8], end: u64) -> Vec<Split> {
        let base = end - bytes.len() as u64;
        let mut lines = Vec::new();
        let mut from = 0;
        for at in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1) {
            let line_end = base + at as u64;
            self.hold(&bytes[from..at], base + from as u64);
            lines.push(if std::mem::take(&mut self.dropping) {
                Split::Dropped { end: line_end }
            } else {
                Split::Line { raw: self.held.split().freeze(), end: line_end }
            });
            from = at;
        }
        if from < bytes.len() {
            self.hold(&bytes[from..], base + from as u64);
        }
        self.seen = end;
        lines
    }

    /// Notes that the other stream went on to `end`.
    pub(crate) fn stderr(&mut self, end: u64) {
        self.seen = end;
    }

    /// The offset up to which everything is in lines that were handed out: reading again from here loses nothing.
    pub(crate) fn consumed(&self) -> u64 {
        if self.held.is_empty() && !self.dropping { self.seen } else { self.start }
    }

    /// The last line, when it has no line end.
    pub(crate) fn finish(&mut self) -> Option<Split> {
        if std::mem::take(&mut self.dropping) {
            return Some(Split::Dropped { end: self.seen });
        }
        let raw = self.held.split().freeze();
        (!raw.is_empty()).then_some(Split::Line { raw, end: self.seen })
    }

    fn hold(&mut self, bytes: &[u8], start: u64) {
        if self.dropping {
            return;
        }
        let cut = faultpoint::planted!("planted-utf8-cut").then(|| String::from_utf8_lossy(bytes).into_owned());
        let bytes = cut.as_ref().map_or(bytes, String::as_bytes);
        if self.held.is_empty() {
            self.start = start;
        }
        if self.held.len() + bytes.len() > MAX_LINE {
            self.held = BytesMut::new();
            self.dropping = true;
        } else {
            self.held.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_consumed_never_covers_a_line_that_is_still_open() {
        let mut lines = Lines::default();
        assert!(lines.stdout(b"{\"a\"", 4).is_empty());
        assert_eq!(lines.consumed(), 0);
        lines.stderr(10);
        assert_eq!(lines.consumed(), 0, "standard error in between does not move the open line");
        let split = lines.stdout(b":1}\r\n{", 16);
        assert_eq!(split, [Split::Line { raw: Bytes::from_static(b"{\"a\":1}\r\n"), end: 15 }]);
        assert_eq!(lines.consumed(), 15);
        assert_eq!(lines.finish(), Some(Split::Line { raw: Bytes::from_static(b"{"), end: 16 }));
        assert_eq!(lines.consumed(), 16);
    }

    #[test]
    fn an_endless_line_is_dropped_and_the_next_is_read() {
        let mut lines = Lines::default();
        let megabyte = vec![b'x'; 1 << 20];
        let mut end = 0;
        for _ in 0..=64 {
            end += megabyte.len() as u64;
            assert!(lines.stdout(&megabyte, end).is_empty());
        }
        assert!(lines.held.is_empty());
        assert_eq!(lines.consumed(), 0, "who reads again must know where the long line began");
        let split = lines.stdout(b"yy\nok\n", end + 6);
        assert_eq!(
            split,
            [Split::Dropped { end: end + 3 }, Split::Line { raw: Bytes::from_static(b"ok\n"), end: end + 6 }]
        );
        assert_eq!(lines.consumed(), end + 6);
    }

    #[test]
    fn whether_a_line_is_too_long_does_not_depend_on_how_it_is_cut() {
        let mut long = vec![b'x'; MAX_LINE];
        long.push(b'\n');
        let end = long.len() as u64;
        let whole = Lines::default().stdout(&long, end);
        let mut cut = Lines::default();
        assert!(cut.stdout(&long[..MAX_LINE], end - 1).is_empty());
        assert_eq!(cut.stdout(b"\n", end), whole);
        assert_eq!(whole, [Split::Dropped { end }]);
        let mut open = Lines::default();
        open.stdout(&[long.as_slice(), &long[..1]].concat()[1..], end);
        assert_eq!(open.finish(), Some(Split::Line { raw: Bytes::from_static(b"x"), end }));
    }
}
