//! Where the request that is being answered came from.

use std::net::IpAddr;

tokio::task_local! {
    static FROM: IpAddr;
}

/// Answers a request that came from this address.
pub async fn answering<F: Future>(from: Option<IpAddr>, answer: F) -> F::Output {
    match from {
        Some(from) => FROM.scope(from, answer).await,
        None => answer.await,
    }
}

/// Where the request that is being answered came from.
pub fn from() -> Option<IpAddr> {
    FROM.try_with(|from| *from).ok()
}
