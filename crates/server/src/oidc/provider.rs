//! The provider, as we speak to it.

use super::{
    ProviderSettings, Thread, Turned, admission,
    cache::Cache,
    endpoints::{Document, Endpoints, document_of},
    failure::{Failure, word},
    signature::{KeySet, Keys},
    token::{self, Bad, Expected, Vouched},
    wire,
};
use domain::{Arrival, Clock, UserId};
use reqwest::{Client, RequestBuilder, StatusCode, header};
use secrets::Secret;
use serde::{Deserialize, Deserializer};
use std::sync::Arc;
use url::{Url, form_urlencoded};

/// One provider.
pub struct Provider {
    settings: ProviderSettings,
    client: Client,
    clock: Arc<dyn Clock>,
    endpoints: Cache<Endpoints>,
    keys: Cache<Keys>,
}

/// With what a provider sends a browser back.
#[derive(Debug, Default)]
pub struct Returned {
    /// What we gave the browser on its way.
    pub state: String,
    code: Option<Secret>,
    issuer: Option<String>,
    error: Option<String>,
}

impl Returned {
    /// What a query says. None when it says something twice: who reads the first and who the last would not agree.
    pub fn read(query: &str) -> Option<Self> {
        let mut found = Self::default();
        let (mut state, mut code) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "state" => &mut state,
                "code" => &mut code,
                "iss" => &mut found.issuer,
                "error" => &mut found.error,
                _ => continue,
            };
            if place.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        (found.state, found.code) = (state?, code.map(Secret::new));
        Some(found)
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default, deserialize_with = "secret")]
    id_token: Option<Secret>,
    #[serde(default, deserialize_with = "secret")]
    access_token: Option<Secret>,
    error: Option<String>,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Secret::new))
}

impl Provider {
    /// A provider that nobody has asked anything yet: one that is away keeps no server from starting.
    pub fn new(settings: ProviderSettings, clock: Arc<dyn Clock>) -> reqwest::Result<Self> {
        let (endpoints, keys) = (Cache::new(clock.clone()), Cache::new(clock.clone()));
        Ok(Self { settings, client: wire::client()?, clock, endpoints, keys })
    }

    /// What it is, and for whom it may vouch.
    pub fn settings(&self) -> &ProviderSettings {
        &self.settings
    }

    /// Where a browser is sent to sign in; it comes back to `back`.
    pub async fn sign_in_url(&self, thread: &Thread, back: &str) -> Result<Url, Failure> {
        let mut url = self.endpoints().await?.authorization.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", back)
            .append_pair("scope", &self.settings.scopes.join(" "))
            .append_pair("state", &thread.state())
            .append_pair("nonce", &thread.nonce())
            .append_pair("code_challenge", &thread.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(url)
    }

    /// Whoever the provider vouches for, with what the settings allow them; `id` is theirs when they are new.
    pub async fn arrival(
        &self,
        thread: &Thread,
        returned: Returned,
        back: &str,
        id: UserId,
    ) -> Result<Arrival, Failure> {
        let endpoints = self.endpoints().await?;
        let Returned { code, issuer, error, .. } = returned;
        match issuer {
            Some(issuer) if issuer != self.settings.issuer => {
                return Err(Failure::untrusted("another provider sent the browser back"));
            }
            None if endpoints.names_itself => {
                return Err(Failure::untrusted("the browser came back without the provider's name"));
            }
            _ => {}
        }
        if let Some(error) = error {
            return Err(denied(&word(&error)));
        }
        let code = code.ok_or_else(|| Failure::provider("the browser came back with neither code nor error"))?;
        let (id_token, access_token) = self.exchange(&endpoints, thread, &code, back).await?;
        let mut vouched = self.judge(&endpoints, &id_token, &thread.nonce()).await?;
        if let (None, Some(url), Some(token)) = (&vouched.email, &endpoints.userinfo, access_token) {
            vouched = self.described(url, &token, vouched).await?;
        }
        Ok(admission::arrival(&self.settings, vouched, id))
    }

    async fn endpoints(&self) -> Result<Arc<Endpoints>, Failure> {
        let ask = || async {
            let request = self.client.get(document_of(&self.settings.issuer));
            let said = wire::ask::<Document>("the provider's document", request).await?;
            good(said, "the provider's document")?.checked(&self.settings.issuer)
        };
        self.endpoints.get(ask).await
    }

    /// Exchanges a code for tokens.
    async fn exchange(
        &self,
        endpoints: &Endpoints,
        thread: &Thread,
        code: &Secret,
        back: &str,
    ) -> Result<(Secret, Option<Secret>), Failure> {
        let said = wire::ask::<TokenAnswer>(
            "the provider's token endpoint",
            self.token_request(endpoints, thread, code, back),
        )
        .await?;
        let status = said.status;
        let answer = said.body?;
        match (answer.id_token, answer.error) {
            (Some(token), None) if status == StatusCode::OK => Ok((token, answer.access_token)),
            (_, Some(error)) if error == "invalid_grant" => {
                Err(Failure::new(Turned::Expired, "the provider does not take the code (any more)"))
            }
            (_, Some(error)) => Err(Failure::provider(format!(
                "the provider's token endpoint answered {status}: {}; look at oidc.client_id and the client's secret",
                word(&error)
            ))),
            (_, None) => {
                Err(Failure::provider(format!("the provider's token endpoint answered {status}, with no token")))
            }
        }
    }

    fn token_request(&self, endpoints: &Endpoints, thread: &Thread, code: &Secret, back: &str) -> RequestBuilder {
        let ProviderSettings { client_id, client_secret, .. } = &self.settings;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code.expose())
            .append_pair("redirect_uri", back)
            .append_pair("code_verifier", &thread.verifier());
        let mut request = self.client.post(endpoints.token.clone());
        match client_secret {
            Some(secret) if !endpoints.secret_in_body => {
                let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                request = request.basic_auth(encoded(client_id), Some(encoded(secret.expose())));
            }
            secret => {
                form.append_pair("client_id", client_id);
                if let Some(secret) = secret {
                    form.append_pair("client_secret", secret.expose());
                }
            }
        }
        request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.finish())
    }

    /// Judges an ID token. One that is signed with a key that we do not know makes us look for new keys, once.
    async fn judge(&self, endpoints: &Endpoints, token: &Secret, nonce: &str) -> Result<Vouched, Failure> {
        let ask = || async {
            let said = wire::ask::<KeySet>("the provider's keys", self.client.get(endpoints.keys.clone())).await?;
            Ok(Keys::from(good(said, "the provider's keys")?))
        };
        let ProviderSettings { issuer, client_id, .. } = &self.settings;
        let expected = Expected { issuer, client_id, nonce, now: self.clock.now() };
        let keys = self.keys.get(ask).await?;
        match token::read(token.expose(), &keys, expected) {
            Err(Bad::UnknownKey) => {
                let keys = self.keys.renew(ask).await?;
                token::read(token.expose(), &keys, expected).map_err(Failure::from)
            }
            judged => judged.map_err(Failure::from),
        }
    }

    /// What the provider says of a person beside the token.
    async fn described(&self, url: &Url, token: &Secret, known: Vouched) -> Result<Vouched, Failure> {
        let request = self.client.get(url.clone()).bearer_auth(token.expose());
        let said = wire::ask::<Vouched>("the provider's userinfo endpoint", request).await?;
        let found = good(said, "the provider's userinfo endpoint")?;
        if found.subject != known.subject {
            return Err(Failure::untrusted("the provider's userinfo endpoint speaks of somebody else"));
        }
        let name = known.name.or(found.name);
        let preferred_username = known.preferred_username.or(found.preferred_username);
        Ok(Vouched { name, preferred_username, ..found })
    }
}

/// What an answer says, when it says yes.
fn good<T>(said: wire::Said<T>, what: &str) -> Result<T, Failure> {
    if said.status == StatusCode::OK {
        said.body
    } else {
        Err(Failure::provider(format!("{what} answered {}", said.status)))
    }
}

/// Why a provider sent somebody back without a code.
fn denied(error: &str) -> Failure {
    let turned = match error {
        "server_error" | "temporarily_unavailable" => Turned::Unreachable,
        "invalid_request" | "unauthorized_client" | "unsupported_response_type" | "invalid_scope" => Turned::Provider,
        _ => Turned::Denied,
    };
    Failure::new(turned, format!("the provider said {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_twice_is_not_read() {
        let found = Returned::read("code=a%20b&state=s&iss=https%3A%2F%2Fx&session_state=1").expect("good");
        assert_eq!(found.code.expect("a code").expose(), "a b");
        assert_eq!((found.state.as_str(), found.issuer.as_deref()), ("s", Some("https://x")));
        for bad in ["", "code=a", "code=a&code=b&state=s", "state=s&state=s", "iss=a&iss=b&state=s"] {
            assert!(Returned::read(bad).is_none(), "{bad}");
        }
    }
}
