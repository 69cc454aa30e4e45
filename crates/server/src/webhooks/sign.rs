//! Signatures as Standard Webhooks has them: HMAC-SHA-256 over id, time and body (<https://www.standardwebhooks.com>).

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{DeliveryId, Timestamp};
use rand::TryRngCore as _;
use secrets::Secret;
use zeroize::Zeroizing;

/// What every secret that is made here begins with, so that scanners for leaked secrets know it.
const PREFIX: &str = "whsec_";

/// A new secret: the prefix and 32 random bytes in Base64.
pub fn new_secret() -> Secret {
    let mut random = Zeroizing::new([0; 32]);
    // Without randomness of the operating system nothing here is safe.
    rand::rngs::OsRng.try_fill_bytes(&mut *random).expect("the operating system gives random bytes");
    Secret::new(format!("{PREFIX}{}", STANDARD.encode(*random)))
}

/// The secret without its prefix, which is hidden as well: some verifiers are given only that.
pub fn bare(secret: &Secret) -> Option<Secret> {
    secret.expose().strip_prefix(PREFIX).map(Secret::new)
}

/// When an attempt is made, as it is sent: whole seconds.
pub fn seconds(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000_000)
}

/// The signature of a delivery's body.
pub fn signature(secret: &Secret, id: DeliveryId, at: Timestamp, body: &[u8]) -> String {
    let decoded = secret.expose().strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
    // One that somebody stored by hand may be no Base64: then it is taken as it is.
    let key = Zeroizing::new(decoded.unwrap_or_else(|| secret.expose().as_bytes().to_vec()));
    let mut signed = format!("{id}.{}.", seconds(at)).into_bytes();
    signed.extend_from_slice(body);
    format!("v1,{}", STANDARD.encode(sign(&Key::new(HMAC_SHA256, &key), &signed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_that_was_reckoned_elsewhere() {
        // python3: base64.b64encode(hmac.new(b'runyard'*4, b'ID.1700000000.{"a":1}', 'sha256').digest())
        let secret = Secret::new(format!("whsec_{}", STANDARD.encode("runyardrunyardrunyardrunyard")));
        let id = "00000000-0000-8000-8000-000000000001".parse().expect("an id");
        let signature = signature(&secret, id, Timestamp(1_700_000_000_999_999), b"{\"a\":1}");
        assert_eq!(signature, "v1,2mBA8onbidBVq1h6pQHsHDLq9/5ByBQKN+rCbGc+ifc=");
    }

    #[test]
    fn secrets_differ_and_are_strong() {
        let (one, other) = (new_secret(), new_secret());
        assert!(!one.is(other.expose().as_bytes()));
        assert!(!one.is_weak() && !bare(&one).expect("has one").is_weak());
    }
}
