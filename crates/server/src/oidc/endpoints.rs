//! What a provider says of itself (OpenID Connect Discovery 1.0).

use super::{failure::Failure, is_here};
use serde::Deserialize;
use url::Url;

/// As it is written.
#[derive(Debug, Deserialize)]
pub struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// Where a provider is asked for what.
#[derive(Debug)]
pub struct Endpoints {
    /// Where people sign in.
    pub authorization: Url,
    /// Where a code becomes a token.
    pub token: Url,
    /// Where its keys are.
    pub keys: Url,
    /// Where more is said of a person.
    pub userinfo: Option<Url>,
    /// Whether the client's secret is sent in the body, since its header is not understood.
    pub secret_in_body: bool,
    /// Whether it says who it is when it sends a browser back (RFC 9207).
    pub names_itself: bool,
}

/// Where the document of an issuer is.
pub fn document_of(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

impl Document {
    /// What the document of `issuer` says, if it is its own and leads nowhere that is open to others.
    pub fn checked(self, issuer: &str) -> Result<Endpoints, Failure> {
        if self.issuer != issuer {
            return Err(Failure::untrusted(
                "the provider's document is another issuer's; oidc.issuer must be it to the letter",
            ));
        }
        let is_local = Url::parse(issuer).is_ok_and(|issuer| is_here(&issuer));
        let endpoint = |name: &str, text: &str| {
            let url = Url::parse(text).ok().filter(|url| {
                let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
                plain && (url.scheme() == "https" || (is_local && is_here(url)))
            });
            url.ok_or_else(|| Failure::untrusted(format!("the provider's {name} is no https address")))
        };
        let methods = &self.token_endpoint_auth_methods_supported;
        let takes = |method: &str| methods.iter().any(|it| it == method);
        Ok(Endpoints {
            authorization: endpoint("authorization_endpoint", &self.authorization_endpoint)?,
            token: endpoint("token_endpoint", &self.token_endpoint)?,
            keys: endpoint("jwks_uri", &self.jwks_uri)?,
            userinfo: self.userinfo_endpoint.as_deref().map(|it| endpoint("userinfo_endpoint", it)).transpose()?,
            // The header is what holds when nothing is said.
            secret_in_body: takes("client_secret_post") && !takes("client_secret_basic"),
            names_itself: self.authorization_response_iss_parameter_supported,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(issuer: &str, change: &serde_json::Value) -> Result<Endpoints, Failure> {
        let mut document = json!({
            "issuer": "https://id.example.org",
            "authorization_endpoint": "https://id.example.org/auth?tenant=1",
            "token_endpoint": "https://id.example.org/token",
            "jwks_uri": "https://keys.example.org/jwks",
        });
        for (key, value) in change.as_object().expect("an object") {
            document[key] = value.clone();
        }
        serde_json::from_value::<Document>(document).expect("a document").checked(issuer)
    }

    #[test]
    fn only_its_own_document_counts_and_nothing_in_it_is_open_to_others() {
        let issuer = "https://id.example.org";
        let found = read(issuer, &json!({})).expect("good");
        assert!(!found.secret_in_body && !found.names_itself && found.userinfo.is_none());
        let post = json!({ "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"] });
        assert!(read(issuer, &post).expect("good").secret_in_body);
        for other in ["https://id.example.org/", "https://ID.example.org", "https://evil.example"] {
            assert!(read(other, &json!({})).is_err(), "{other}");
        }
        for bad in [
            json!({ "token_endpoint": "http://id.example.org/token" }),
            json!({ "token_endpoint": "http://127.0.0.1/token" }),
            json!({ "jwks_uri": "file:///etc/passwd" }),
            json!({ "userinfo_endpoint": "gopher://x" }),
            json!({ "authorization_endpoint": "javascript:alert(1)" }),
            json!({ "authorization_endpoint": "https://id@evil.example" }),
            json!({ "token_endpoint": "" }),
        ] {
            assert!(read(issuer, &bad).is_err(), "{bad}");
        }
    }
}
