//! Secrets sealed for the database, each bound to its place there.
//!
//! A value is sealed under a data key of its own, and the data key under the keyring's current key (both
//! XChaCha20-Poly1305). So a rotation of the keyring's key touches 48 bytes of each row, and no two values share a key.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | version of this layout, 1 |
//! | 8 | id of the keyring's key |
//! | 24 | nonce of the data key's seal |
//! | 48 | the data key, sealed |
//! | 24 | nonce of the value's seal |
//! | 16 and more | the value, sealed |
//!
//! Table, row and column are authenticated with both seals, the first nine bytes with the data key's, so that nothing can
//! be changed, cut or put into another row. Nonces have 192 bits and are random: they do not repeat, however often the
//! data directory is copied and both copies go on.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::{KeyId, Keyring, Secret};

const VERSION: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;
const HEADER: usize = 1 + 8;
const WRAPPED: usize = 32 + TAG;
const SHORTEST: usize = HEADER + NONCE + WRAPPED + NONCE + TAG;

/// Where a sealed value is kept. One that is found anywhere else does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat<'a> {
    /// The table.
    pub table: &'a str,
    /// The row's id.
    pub row: &'a [u8],
    /// The column.
    pub column: &'a str,
}

/// Why a sealed value cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// It is too short, or of an unknown version.
    #[error("it is not a sealed value that this version knows")]
    NotAnEnvelope,
    /// Its key is not in the keyring.
    #[error("it is sealed under the key {0}, which is not in the keyring; put that key's line back into the keyring")]
    NoKey(KeyId),
    /// It was altered, or belongs elsewhere.
    #[error("it was altered, or belongs to another row")]
    Forged,
}

impl Keyring {
    /// Seals `value` for its seat under the current key.
    pub fn seal(&self, seat: &Seat<'_>, value: &Secret, rng: &mut impl CryptoRng) -> Vec<u8> {
        let mut data_key = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *data_key);
        let mut sealed = self.wrap(seat, &data_key, rng);
        sealed.extend(seal(&data_key, &seat.bytes(b"value"), value.expose().as_bytes(), rng));
        sealed
    }

    /// Opens what was sealed for this seat.
    pub fn open(&self, seat: &Seat<'_>, sealed: &[u8]) -> Result<Secret, EnvelopeError> {
        let data_key = self.unwrap(seat, sealed)?;
        let value = open(&data_key, &seat.bytes(b"value"), &sealed[HEADER + NONCE + WRAPPED..])?;
        let text = std::str::from_utf8(&value).map_err(|_| EnvelopeError::Forged)?;
        Ok(Secret::new(text))
    }

    /// The same value sealed under the current key; none when it is already.
    pub fn reseal(
        &self,
        seat: &Seat<'_>,
        sealed: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<Option<Vec<u8>>, EnvelopeError> {
        // Opened as a whole: what is damaged is to be noticed now, and not to be given a fresh seal.
        self.open(seat, sealed)?;
        if key_of(sealed)? == self.current() {
            return Ok(None);
        }
        let data_key = self.unwrap(seat, sealed)?;
        let mut fresh = self.wrap(seat, &data_key, rng);
        fresh.extend_from_slice(&sealed[HEADER + NONCE + WRAPPED..]);
        Ok(Some(fresh))
    }

    fn wrap(&self, seat: &Seat<'_>, data_key: &[u8; 32], rng: &mut impl CryptoRng) -> Vec<u8> {
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&self.current().0);
        let about = [&sealed, &*seat.bytes(b"key")].concat();
        sealed.extend(seal(self.current_key().bytes(), &about, data_key, rng));
        sealed
    }

    fn unwrap(&self, seat: &Seat<'_>, sealed: &[u8]) -> Result<Zeroizing<[u8; 32]>, EnvelopeError> {
        let id = key_of(sealed)?;
        let key = self.key(id).ok_or(EnvelopeError::NoKey(id))?;
        let about = [&sealed[..HEADER], &*seat.bytes(b"key")].concat();
        let opened = open(key.bytes(), &about, &sealed[HEADER..HEADER + NONCE + WRAPPED])?;
        let mut data_key = Zeroizing::new([0; 32]);
        data_key.copy_from_slice(opened.get(..32).ok_or(EnvelopeError::Forged)?);
        Ok(data_key)
    }
}

impl Seat<'_> {
    /// The seat in bytes, unlike those of every other seat and use.
    fn bytes(&self, what: &[u8]) -> Vec<u8> {
        let mut bytes = b"runyard secret\0".to_vec();
        for part in [what, self.table.as_bytes(), self.row, self.column.as_bytes()] {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// The key under which a value is sealed.
pub fn key_of(sealed: &[u8]) -> Result<KeyId, EnvelopeError> {
    match sealed {
        [VERSION, rest @ ..] if sealed.len() >= SHORTEST => {
            let mut id = [0; 8];
            id.copy_from_slice(&rest[..8]);
            Ok(KeyId(id))
        }
        _ => Err(EnvelopeError::NotAnEnvelope),
    }
}

/// A nonce and the sealed bytes after it.
fn seal(key: &[u8; 32], about: &[u8], bytes: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
    let mut nonce = [0; NONCE];
    rng.fill_bytes(&mut nonce);
    let cipher = XChaCha20Poly1305::new(key.into());
    let sealed = cipher.encrypt(&XNonce::from(nonce), Payload { msg: bytes, aad: about });
    [&nonce[..], &sealed.expect("values are far below the cipher's limit of 256 GiB")].concat()
}

fn open(key: &[u8; 32], about: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(EnvelopeError::Forged)?;
    let cipher = XChaCha20Poly1305::new(key.into());
    let opened = cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: about });
    opened.map(Zeroizing::new).map_err(|_| EnvelopeError::Forged)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rand::{RngCore as _, SeedableRng as _};
    use rand_chacha::ChaCha20Rng;

    use super::*;

    const SEAT: Seat<'_> = Seat { table: "secrets", row: b"0123456789abcdef", column: "sealed" };

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(11)
    }

    /// Two keys, the second one current, as after a rotation.
    fn renewed() -> (Keyring, Keyring, ChaCha20Rng) {
        let dir = tempfile::tempdir().unwrap();
        let (path, mut rng) = (dir.path().join("keyring"), rng());
        let old = Keyring::create(&path, &mut rng).unwrap();
        (old, Keyring::renew(&path, &mut rng).unwrap(), rng)
    }

    #[test]
    fn each_flipped_bit_is_noticed() {
        let (old, new, mut rng) = renewed();
        for keyring in [&old, &new] {
            let sealed = keyring.seal(&SEAT, &Secret::new("sk-ant-1"), &mut rng);
            assert_eq!(keyring.open(&SEAT, &sealed).unwrap().expose(), "sk-ant-1");
            for bit in 0..sealed.len() * 8 {
                let mut altered = sealed.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                assert!(new.open(&SEAT, &altered).is_err(), "bit {bit}");
                assert!(new.reseal(&SEAT, &altered, &mut rng).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn each_cut_and_each_end_is_noticed() {
        let (_, keyring, mut rng) = renewed();
        let sealed = keyring.seal(&SEAT, &Secret::new("sk-ant-1"), &mut rng);
        for length in 0..sealed.len() {
            assert!(keyring.open(&SEAT, &sealed[..length]).is_err(), "{length}");
        }
        for more in [&b"\0"[..], b"0123456789abcdef", &sealed] {
            assert_eq!(keyring.open(&SEAT, &[&sealed, more].concat()).unwrap_err(), EnvelopeError::Forged);
        }
    }

    #[test]
    fn a_value_opens_in_its_seat_only() {
        let (_, keyring, mut rng) = renewed();
        let sealed = keyring.seal(&SEAT, &Secret::new("sk-ant-1"), &mut rng);
        for seat in [
            Seat { table: "secret", ..SEAT },
            Seat { row: b"0123456789abcdeg", ..SEAT },
            Seat { row: b"0123456789abcdef0", ..SEAT },
            Seat { column: "seale", ..SEAT },
            // The same bytes one after the other.
            Seat { table: "secrets0", row: b"123456789abcdef", ..SEAT },
        ] {
            assert_eq!(keyring.open(&seat, &sealed).unwrap_err(), EnvelopeError::Forged, "{seat:?}");
        }
    }

    #[test]
    fn a_data_key_is_not_taken_from_another_row() {
        let (_, keyring, mut rng) = renewed();
        let one = keyring.seal(&SEAT, &Secret::new("sk-ant-1"), &mut rng);
        let two = keyring.seal(&SEAT, &Secret::new("sk-ant-2"), &mut rng);
        let head = HEADER + NONCE + WRAPPED;
        let mixed = [&one[..head], &two[head..]].concat();
        assert_eq!(keyring.open(&SEAT, &mixed).unwrap_err(), EnvelopeError::Forged);
    }

    #[test]
    fn a_new_key_opens_the_old_and_seals_anew() {
        let (old, new, mut rng) = renewed();
        let sealed = old.seal(&SEAT, &Secret::new("sk-ant-1"), &mut rng);
        let fresh = new.reseal(&SEAT, &sealed, &mut rng).unwrap().expect("it was under the old key");
        assert_eq!((key_of(&fresh), key_of(&sealed)), (Ok(new.current()), Ok(old.current())));
        assert_eq!(new.open(&SEAT, &fresh).unwrap().expose(), "sk-ant-1");
        assert_eq!(new.reseal(&SEAT, &fresh, &mut rng).unwrap(), None);
        let error = old.open(&SEAT, &fresh).unwrap_err();
        assert_eq!(error, EnvelopeError::NoKey(new.current()));
        assert!(error.to_string().contains(&new.current().to_string()), "{error}");
    }

    #[test]
    fn no_nonce_and_no_data_key_is_used_twice() {
        let (_, keyring, mut rng) = renewed();
        let mut seen = BTreeSet::new();
        for _ in 0..10_000 {
            let sealed = keyring.seal(&SEAT, &Secret::new("sk-ant-1"), &mut rng);
            let (first, second) = (HEADER, HEADER + NONCE + WRAPPED);
            assert!(seen.insert(sealed[first..first + NONCE].to_vec()));
            assert!(seen.insert(sealed[second..second + NONCE].to_vec()));
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back_and_any_garbage_does_not_open(
            value in "\\PC{0,200}", row: [u8; 16], seed: u64, garbage in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let keyring = Keyring::fresh(&mut rng);
            let seat = Seat { row: &row, ..SEAT };
            let sealed = keyring.seal(&seat, &Secret::new(value.clone()), &mut rng);
            let opened = keyring.open(&seat, &sealed).unwrap();
            prop_assert_eq!(opened.expose(), &value);
            prop_assert!(value.len() < 8 || !sealed.windows(value.len()).any(|window| window == value.as_bytes()));
            prop_assert!(keyring.open(&seat, &garbage).is_err());
            let mut framed = sealed[..HEADER].to_vec();
            framed.extend(garbage);
            framed.resize(SHORTEST + usize::try_from(rng.next_u32() % 40).unwrap(), 0);
            prop_assert!(keyring.open(&seat, &framed).is_err());
        }
    }
}
