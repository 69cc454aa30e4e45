//! Frames: the unit of the byte stream between a client and the shim, the same in both directions.
//!
//! A frame is the header's length and the body's length, each as four bytes big-endian, then the header (JSON) and the
//! body (bytes). Both lengths are capped, so that a hostile peer cannot make the other side allocate more than
//! [`MAX_HEADER`] + [`MAX_BODY`]; a longer one breaks the connection, since what follows cannot be trusted.

use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, Read, Write};

/// The most bytes of a header. An exec's arguments and environment must fit.
pub const MAX_HEADER: usize = 1 << 20;
/// The most bytes of a body.
pub const MAX_BODY: usize = 256 << 10;
/// The bytes before the header.
pub const PREFIX: usize = 8;

/// A frame that breaks the rules. The connection cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A length is over its cap.
    #[error("a frame of {header} + {body} bytes is too large")]
    TooLarge {
        /// The header's length.
        header: usize,
        /// The body's length.
        body: usize,
    },
    /// The header is not what was expected.
    #[error("a frame's header cannot be read: {0}")]
    Header(#[from] serde_json::Error),
    /// The stream failed or ended within a frame.
    #[error("the stream broke: {0}")]
    Io(#[from] io::Error),
}

/// The lengths of header and body, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// Bytes of the header.
    pub header: usize,
    /// Bytes of the body.
    pub body: usize,
}

impl Lengths {
    /// Reads the bytes before a header.
    #[expect(clippy::cast_possible_truncation, reason = "each half has 32 bits")]
    pub fn parse(prefix: [u8; PREFIX]) -> Result<Self, FrameError> {
        let both = u64::from_be_bytes(prefix);
        let (header, body) = ((both >> 32) as usize, (both & u64::from(u32::MAX)) as usize);
        if header > MAX_HEADER || body > MAX_BODY {
            return Err(FrameError::TooLarge { header, body });
        }
        Ok(Self { header, body })
    }
}

/// A frame's bytes up to its body. Errors when header or body are over their caps.
pub fn encode_head<H: Serialize>(header: &H, body: usize) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; PREFIX];
    serde_json::to_writer(&mut bytes, header)?;
    let length = bytes.len() - PREFIX;
    let too_large = FrameError::TooLarge { header: length, body };
    if length > MAX_HEADER || body > MAX_BODY {
        return Err(too_large);
    }
    let (Ok(header), Ok(body)) = (u32::try_from(length), u32::try_from(body)) else {
        return Err(too_large);
    };
    bytes[..4].copy_from_slice(&header.to_be_bytes());
    bytes[4..PREFIX].copy_from_slice(&body.to_be_bytes());
    Ok(bytes)
}

/// Writes one frame.
pub fn write<H: Serialize>(to: &mut impl Write, header: &H, body: &[u8]) -> Result<(), FrameError> {
    let mut bytes = encode_head(header, body.len())?;
    bytes.extend_from_slice(body);
    to.write_all(&bytes)?;
    to.flush()?;
    Ok(())
}

/// Reads one frame; `None` when the stream ends between two frames.
pub fn read<H: DeserializeOwned>(from: &mut impl Read) -> Result<Option<(H, Vec<u8>)>, FrameError> {
    let mut prefix = [0; PREFIX];
    let mut have = 0;
    while have < PREFIX {
        match from.read(&mut prefix[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(n) => have += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let lengths = Lengths::parse(prefix)?;
    let mut header = vec![0; lengths.header];
    from.read_exact(&mut header)?;
    let header = serde_json::from_slice(&header)?;
    let mut body = vec![0; lengths.body];
    from.read_exact(&mut body)?;
    Ok(Some((header, body)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Call, Request};
    use proptest::prelude::*;

    fn stdin(call: u64) -> Call {
        Call { call, request: Request::Stdin { exec: "a".to_owned(), seq: call } }
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 0..8)) {
            let mut wire = Vec::new();
            for (call, body) in (0..).zip(&bodies) {
                write(&mut wire, &stdin(call), body).unwrap();
            }
            let mut rest = wire.as_slice();
            for (call, body) in (0..).zip(&bodies) {
                prop_assert_eq!(read::<Call>(&mut rest).unwrap(), Some((stdin(call), body.clone())));
            }
            prop_assert_eq!(read::<Call>(&mut rest).unwrap(), None);
        }

        #[test]
        fn a_cut_frame_is_an_error_and_never_a_frame(cut in 1_usize..60) {
            let mut wire = Vec::new();
            write(&mut wire, &stdin(7), b"body").unwrap();
            let cut = cut % (wire.len() - 1) + 1;
            prop_assert!(read::<Call>(&mut &wire[..cut]).is_err());
        }
    }

    #[test]
    fn lengths_over_the_caps_are_refused_before_anything_is_allocated() {
        let mut wire = Vec::new();
        wire.extend_from_slice(&u32::MAX.to_be_bytes());
        wire.extend_from_slice(&0_u32.to_be_bytes());
        assert!(matches!(read::<Call>(&mut wire.as_slice()), Err(FrameError::TooLarge { .. })));
        assert!(matches!(encode_head(&stdin(1), MAX_BODY + 1), Err(FrameError::TooLarge { .. })));
    }
}
