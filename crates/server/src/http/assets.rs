//! The dashboard: files that are part of the program.

use super::{headers::PLAYGROUND_POLICY, problem::Answer};
use axum::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use domain::BlobHash;
use std::{collections::HashMap, sync::LazyLock};

// `FILES`: what `cargo xtask dashboard` built, or a page that says that nobody built it (`build.rs`).
include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// A file with what tells its versions apart.
struct File {
    bytes: &'static [u8],
    tag: String,
}

static BY_NAME: LazyLock<HashMap<&str, File>> = LazyLock::new(|| {
    let tag = |bytes: &[u8]| format!("\"{}\"", &BlobHash::of(bytes).to_string()[..32]);
    FILES.iter().map(|(name, bytes)| (*name, File { bytes, tag: tag(bytes) })).collect()
});

/// A document of its own, under a policy of its own.
const PLAYGROUND: &str = "playground.html";

/// Paths of programs: nothing there is a page.
const NOT_PAGES: [&str; 5] = ["api/", "auth/", "graphql", "assets/", "metrics"];

/// A file of the dashboard, or its page, which finds its way by the address.
pub async fn page(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let name = match path {
        "playground" | PLAYGROUND => PLAYGROUND,
        path if BY_NAME.contains_key(path) => path,
        _ => "index.html",
    };
    if name != path && NOT_PAGES.iter().any(|prefix| path.starts_with(prefix)) {
        return Answer::new(StatusCode::NOT_FOUND, "not-found", "there is nothing at this address").into_response();
    }
    if !matches!(method, Method::GET | Method::HEAD) {
        let message = "this address is only read";
        return Answer::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message).into_response();
    }
    let Some(File { bytes, tag }) = BY_NAME.get(name) else {
        return Answer::new(StatusCode::NOT_FOUND, "not-found", "there is nothing at this address").into_response();
    };
    // Names of assets hold their own hash, so what is behind one never changes.
    let keep = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { bytes.into_response() };
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(name)));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    if name == PLAYGROUND {
        out.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PLAYGROUND_POLICY));
    }
    if let Ok(tag) = HeaderValue::from_str(tag) {
        out.insert(header::ETAG, tag);
    }
    response
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "ttf" => "font/ttf",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "json" | "webmanifest" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
