//! The text at the head of a bundle (gitformat-bundle(5)), read without git.

use super::{Bundle, BundleRefused, ImportLimits, too_large};
use crate::Error;
use domain::CommitId;
use std::io::Read;

/// More than any bundle of one commit needs.
const LONGEST: usize = 64 << 10;

/// What the header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The commit that it brings as `HEAD`.
    pub(super) head: CommitId,
    /// Where the pack begins.
    pub(super) pack_at: u64,
}

pub(super) fn read(bundle: Bundle<'_>, limits: &ImportLimits) -> Result<Header, Error> {
    let (size, start) = match bundle {
        Bundle::Bytes(bytes) => (bytes.len() as u64, bytes[..bytes.len().min(LONGEST)].to_vec()),
        Bundle::File(path) => {
            let read = || {
                let meta = std::fs::symlink_metadata(path)?;
                if !meta.is_file() {
                    return Err(std::io::Error::other("not a file"));
                }
                let mut start = Vec::new();
                std::fs::File::open(path)?.take(LONGEST as u64).read_to_end(&mut start)?;
                Ok((meta.len(), start))
            };
            read().map_err(Error::io("read the bundle"))?
        }
    };
    if size > limits.bundle_bytes {
        return Err(too_large("bytes of the bundle", size, limits.bundle_bytes));
    }
    let (header, objects) = parse(&start)?;
    if u64::from(objects) > limits.objects {
        return Err(too_large("objects", u64::from(objects), limits.objects));
    }
    Ok(header)
}

/// The header and the number of objects that the pack claims to hold.
fn parse(start: &[u8]) -> Result<(Header, u32), BundleRefused> {
    let refuse = |reason: &str| BundleRefused::NotABundle(reason.to_owned());
    let mut rest = start;
    let mut line = || -> Option<&[u8]> {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let (line, after) = rest.split_at(end);
        rest = &after[1..];
        Some(line)
    };
    match line() {
        Some(b"# v2 git bundle" | b"# v3 git bundle") => {}
        _ => return Err(refuse("it does not begin as one")),
    }
    let mut head = None;
    loop {
        let line = line().ok_or_else(|| refuse("its header does not end"))?;
        let text = std::str::from_utf8(line).unwrap_or_default();
        if line.is_empty() {
            break;
        }
        if line.starts_with(b"-") {
            continue;
        }
        if line.starts_with(b"@") {
            if text.starts_with("@object-format=") {
                continue;
            }
            return Err(refuse("it asks for something that only partial clones need"));
        }
        if let Some((id, "HEAD")) = text.split_once(' ') {
            head = Some(id.parse().map_err(|_| refuse("its HEAD is no commit"))?);
        }
    }
    let head = head.ok_or_else(|| refuse("it has no HEAD"))?;
    let pack_at = (start.len() - rest.len()) as u64;
    let Some((b"PACK", [_, _, _, _, a, b, c, d, ..])) = rest.split_first_chunk::<4>().map(|(m, r)| (m.as_slice(), r))
    else {
        return Err(refuse("it has no pack"));
    };
    Ok((Header { head, pack_at }, u32::from_be_bytes([*a, *b, *c, *d])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_header_ends_where_its_pack_begins() {
        let text = format!("# v2 git bundle\n-{ID} base\n{ID} HEAD\n\nPACK\0\0\0\x02\0\0\x01\x02rest");
        let (header, objects) = parse(text.as_bytes()).expect("valid");
        assert_eq!(&text[usize::try_from(header.pack_at).expect("small")..][..4], "PACK");
        assert_eq!((header.head.as_str(), objects), (ID, 258));
    }

    #[test]
    fn what_is_no_bundle_of_ours_is_refused() {
        let partial = format!("# v3 git bundle\n@filter=blob:none\n{ID} HEAD\n\nPACK\0\0\0\x02\0\0\0\x01");
        let headless = format!("# v2 git bundle\n{ID} refs/heads/main\n\nPACK\0\0\0\x02\0\0\0\x01");
        let packless = format!("# v2 git bundle\n{ID} HEAD\n\n");
        for text in ["", "# v2 git bundle", "PACK", &partial, &headless, &packless, "# v2 git bundle\n--x HEAD\n\nPACK"]
        {
            assert!(matches!(parse(text.as_bytes()), Err(BundleRefused::NotABundle(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
            let mut begun = b"# v2 git bundle\n".to_vec();
            begun.extend(&bytes);
            let _ = parse(&begun);
        }
    }
}
