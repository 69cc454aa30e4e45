//! Values that only their bearer has: of sign-ins, tokens and links.
//!
//! A value is a prefix that says what it is for (so that scanners for leaked secrets know it), 32 random bytes in
//! hexadecimal, and a CRC-32 of both, so that a mistyped one is told without asking the database.

use domain::BearerHash;
use rand::TryRngCore as _;
use secrets::Secret;

/// What a value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A browser's cookie.
    SignIn,
    /// A program that acts as a person.
    UserToken,
    /// A program that acts for the account.
    AccountToken,
    /// A link that is handed over.
    Link,
    /// A browser's cookie while somebody signs in at a provider.
    Errand,
}

impl Kind {
    const ALL: [Self; 5] = [Self::SignIn, Self::UserToken, Self::AccountToken, Self::Link, Self::Errand];

    fn prefix(self) -> &'static str {
        match self {
            Self::SignIn => "rys_",
            Self::UserToken => "ryu_",
            Self::AccountToken => "rya_",
            Self::Link => "ryl_",
            Self::Errand => "rye_",
        }
    }
}

/// A new value, and what is kept of it.
pub fn mint(kind: Kind) -> (Secret, BearerHash) {
    let mut random = [0; 32];
    // Without randomness of the operating system nothing here is safe.
    rand::rngs::OsRng.try_fill_bytes(&mut random).expect("the operating system gives random bytes");
    let body = format!("{}{}", kind.prefix(), hex::encode(random));
    let value = format!("{body}{:08x}", crc32fast::hash(body.as_bytes()));
    let hash = BearerHash::of(&value);
    (Secret::new(value), hash)
}

/// What a value is for and what is kept of it; none when it was never made here.
pub fn read(value: &str) -> Option<(Kind, BearerHash)> {
    let kind = Kind::ALL.into_iter().find(|kind| value.starts_with(kind.prefix()))?;
    let (body, sum) = value.split_at_checked(kind.prefix().len() + 64)?;
    let right = sum == format!("{:08x}", crc32fast::hash(body.as_bytes()));
    right.then(|| (kind, BearerHash::of(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_back_and_a_damaged_one_is_not() {
        for kind in Kind::ALL {
            let (value, hash) = mint(kind);
            assert_eq!(read(value.expose()), Some((kind, hash)));
            let text = value.expose();
            assert_eq!(text.len(), 76);
            for at in 0..text.len() {
                let mut damaged = text.as_bytes().to_vec();
                damaged[at] = if damaged[at] == b'a' { b'b' } else { b'a' };
                assert_eq!(read(std::str::from_utf8(&damaged).expect("ASCII")), None, "at {at}");
            }
        }
        for text in ["", "rys_", "ryx_", "ryu_é", &"ryu_".repeat(100)] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
