//! Signatures of providers: which are accepted, and whether one is good.
//!
//! The primitives are those that TLS has here anyway. A library for tokens would bring a second stack of cryptography, and
//! judge moments by a clock of its own.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

/// The most keys of a provider that are looked at.
const MOST_KEYS: usize = 64;

/// A way of signing that only the provider can do: neither `none` nor those with a shared secret are among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// The one with this name (RFC 7518, RFC 8037).
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }

    /// For RSA, how; keys of less than 2048 bits do for none of them.
    fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &RSA_PSS_2048_8192_SHA512,
            Self::Es256 | Self::Es384 | Self::EdDsa => return None,
        })
    }
}

/// A public key of a provider.
#[derive(Debug)]
pub struct Key {
    id: Option<String>,
    /// The only algorithm that it is for, when it says so.
    algorithm: Option<String>,
    number: Number,
}

#[derive(Debug)]
enum Number {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// A JSON Web Key (RFC 7517), as far as it is looked at.
#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    used: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Key {
    fn read(written: Value) -> Option<Self> {
        let Written { kty, kid, alg, used, crv, n, e, x, y } = serde_json::from_value(written).ok()?;
        if used.is_some_and(|used| used != "sig") {
            return None;
        }
        let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
        let point = |length: usize| {
            let (x, y) = (bytes(x.clone())?, bytes(y)?);
            // 4 says that both coordinates follow.
            (x.len() == length && y.len() == length).then(|| [&[4], &*x, &*y].concat())
        };
        let number = match (kty.as_str(), crv.as_deref()) {
            ("RSA", _) => Number::Rsa { modulus: whole(&bytes(n)?), exponent: whole(&bytes(e)?) },
            ("EC", Some("P-256")) => Number::P256(point(32)?),
            ("EC", Some("P-384")) => Number::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Number::Ed25519(bytes(x)?),
            _ => return None,
        };
        Some(Self { id: kid, algorithm: alg, number })
    }

    /// Whether it may have signed something that is signed like this.
    pub fn fits(&self, algorithm: Algorithm, id: Option<&str>) -> bool {
        let same_kind = match self.number {
            Number::Rsa { .. } => algorithm.rsa().is_some(),
            Number::P256(_) => algorithm == Algorithm::Es256,
            Number::P384(_) => algorithm == Algorithm::Es384,
            Number::Ed25519(_) => algorithm == Algorithm::EdDsa,
        };
        let for_it = self.algorithm.as_deref().is_none_or(|name| Algorithm::named(name) == Some(algorithm));
        same_kind && for_it && id.is_none_or(|id| self.id.as_deref() == Some(id))
    }

    /// Whether it signed `text`.
    pub fn signed(&self, algorithm: Algorithm, text: &[u8], signature: &[u8]) -> bool {
        let good = match (&self.number, algorithm.rsa()) {
            (Number::Rsa { modulus, exponent }, Some(how)) => {
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(how, text, signature).is_ok()
            }
            (Number::P256(point), None) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(text, signature).is_ok()
            }
            (Number::P384(point), None) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(text, signature).is_ok()
            }
            (Number::Ed25519(point), None) => UnparsedPublicKey::new(&ED25519, point).verify(text, signature).is_ok(),
            (Number::Rsa { .. }, None) | (_, Some(_)) => false,
        };
        good && self.fits(algorithm, None)
    }
}

/// A number without zeros before it.
fn whole(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().skip_while(|byte| *byte == 0).collect()
}

/// The keys of a provider.
#[derive(Debug)]
pub struct Keys(pub Vec<Key>);

/// As a provider writes them (RFC 7517).
#[derive(Debug, Deserialize)]
pub struct KeySet {
    keys: Vec<Value>,
}

impl From<KeySet> for Keys {
    /// Those that we understand; a provider may have others.
    fn from(set: KeySet) -> Self {
        Self(set.keys.into_iter().take(MOST_KEYS).filter_map(Key::read).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(keys: &Value) -> Keys {
        serde_json::from_value::<KeySet>(json!({ "keys": keys })).expect("a set").into()
    }

    /// The examples of RFC 7515 (A.2, A.3) and RFC 8037 (A.4).
    #[test]
    fn the_examples_of_the_specifications_are_good_and_altered_ones_are_not() {
        let keys = read(&json!([
            { "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" },
            { "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" },
            { "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
            { "kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ" },
            { "kty": "RSA", "use": "enc", "e": "AQAB", "n": "AQAB" },
            "no key", 7, {}
        ]));
        assert_eq!(keys.0.len(), 3, "the rest is none that signs");
        for (algorithm, text, signature) in [
            (
                Algorithm::Rs256,
                "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
                "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
            ),
            (
                Algorithm::Es256,
                "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
                "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
            ),
            (
                Algorithm::EdDsa,
                "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
                "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
            ),
        ] {
            let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
            let good = |algorithm, text: &str, signature: &[u8]| {
                keys.0
                    .iter()
                    .filter(|key| key.fits(algorithm, None))
                    .any(|key| key.signed(algorithm, text.as_bytes(), signature))
            };
            assert!(good(algorithm, text, &signature), "{algorithm:?}");
            assert!(!good(algorithm, &text.replace("eyJ", "eyK"), &signature), "{algorithm:?}");
            assert!(!good(algorithm, text, &signature[1..]), "{algorithm:?}");
            assert!(!good(algorithm, text, &[]), "{algorithm:?}");
            for other in [Algorithm::Ps256, Algorithm::Rs512, Algorithm::Es384] {
                assert!(!good(other, text, &signature), "{algorithm:?} as {other:?}");
            }
        }
    }

    #[test]
    fn short_keys_and_shared_secrets_are_none() {
        // 1024 bits: whatever it signed, it counts for nothing.
        let short = read(&json!([{ "kty": "RSA", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode([0xc1; 128]) }]));
        assert!(!short.0[0].signed(Algorithm::Rs256, b"text", &[0; 128]));
        for name in ["none", "None", "HS256", "HS512", "", "rs256", "RSA-OAEP", "ES256K"] {
            assert_eq!(Algorithm::named(name), None, "{name}");
        }
    }

    #[test]
    fn a_key_is_for_what_it_says() {
        let point = json!({ "kty": "EC", "crv": "P-256", "kid": "a", "alg": "ES256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
        let keys = read(&json!([point]));
        let fits = |algorithm, id| keys.0[0].fits(algorithm, id);
        assert!(fits(Algorithm::Es256, Some("a")) && fits(Algorithm::Es256, None));
        assert!(!fits(Algorithm::Es256, Some("b")) && !fits(Algorithm::Rs256, Some("a")));
    }
}
