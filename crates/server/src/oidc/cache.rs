//! What a provider said of itself, kept for a while.

use super::failure::Failure;
use domain::Clock;
use std::{future::Future, sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// How long it is good.
const FRESH: Duration = Duration::from_hours(1);
/// How long an old one will do while the provider cannot be asked.
const STALE: Duration = Duration::from_hours(24);
/// The least time between two requests that somebody outside could cause.
const BRAKE: Duration = Duration::from_secs(10);

/// One thing, asked for by one at a time.
pub struct Cache<T> {
    clock: Arc<dyn Clock>,
    inside: Mutex<Inside<T>>,
}

struct Inside<T> {
    known: Option<(Arc<T>, Duration)>,
    /// When it was asked for last.
    asked: Option<Duration>,
    failed: Option<(super::Turned, String)>,
}

impl<T> Cache<T> {
    /// Nothing yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, inside: Mutex::new(Inside { known: None, asked: None, failed: None }) }
    }

    /// What is known, asked for when it is old.
    pub async fn get<F: Future<Output = Result<T, Failure>>>(
        &self,
        ask: impl FnOnce() -> F,
    ) -> Result<Arc<T>, Failure> {
        let mut inside = self.inside.lock().await;
        let now = self.clock.monotonic();
        match &inside.known {
            Some((known, at)) if now.saturating_sub(*at) < FRESH => Ok(Arc::clone(known)),
            _ => inside.ask(now, &*self.clock, ask).await,
        }
    }

    /// What is known, asked for anew unless it just was: for whoever misses something in it.
    pub async fn renew<F: Future<Output = Result<T, Failure>>>(
        &self,
        ask: impl FnOnce() -> F,
    ) -> Result<Arc<T>, Failure> {
        let mut inside = self.inside.lock().await;
        let now = self.clock.monotonic();
        inside.ask(now, &*self.clock, ask).await
    }
}

impl<T> Inside<T> {
    async fn ask<F: Future<Output = Result<T, Failure>>>(
        &mut self,
        now: Duration,
        clock: &dyn Clock,
        ask: impl FnOnce() -> F,
    ) -> Result<Arc<T>, Failure> {
        let is_braked = self.asked.is_some_and(|asked| now.saturating_sub(asked) < BRAKE);
        if !is_braked {
            let answer = ask().await;
            // Those who waited meanwhile find this attempt made.
            let now = clock.monotonic();
            self.asked = Some(now);
            match answer {
                Ok(new) => {
                    self.known = Some((Arc::new(new), now));
                    self.failed = None;
                }
                Err(failure) => self.failed = Some((failure.turned, failure.why)),
            }
        }
        match (&self.known, &self.failed) {
            (Some((known, at)), _) if now.saturating_sub(*at) < STALE => Ok(Arc::clone(known)),
            (_, Some((turned, why))) => Err(Failure::new(*turned, why.clone())),
            (_, None) => Err(Failure::provider("nothing is known of the provider")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::Turned;
    use domain::Timestamp;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

    #[derive(Default)]
    struct Hands(AtomicU64);

    impl Clock for Hands {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.load(SeqCst))
        }
    }

    #[tokio::test]
    async fn it_is_asked_for_when_it_is_old_and_braked_when_it_is_missed() {
        let (hands, asked) = (Arc::new(Hands::default()), AtomicUsize::new(0));
        let cache = Cache::new(hands.clone());
        let ask = async || Ok(asked.fetch_add(1, SeqCst));
        let at = |seconds| hands.0.store(seconds, SeqCst);
        assert_eq!(*cache.get(ask).await.expect("there"), 0);
        at(3599);
        assert_eq!(*cache.get(ask).await.expect("there"), 0, "still fresh");
        assert_eq!(*cache.renew(ask).await.expect("there"), 1, "somebody missed something");
        for _ in 0..100 {
            assert_eq!(*cache.renew(ask).await.expect("there"), 1, "it was just asked for");
        }
        at(3609);
        assert_eq!(*cache.renew(ask).await.expect("there"), 2);

        let fail = async || Err(Failure::new(Turned::Unreachable, "it is away"));
        at(3609 + 3600);
        assert_eq!(*cache.get(fail).await.expect("there"), 2, "an old one will do for a while");
        at(3609 + 24 * 3600);
        assert_eq!(cache.get(fail).await.expect_err("too old").turned, Turned::Unreachable);
        assert_eq!(cache.get(ask).await.expect_err("braked").turned, Turned::Unreachable);
        at(3609 + 24 * 3600 + 10);
        assert_eq!(*cache.get(ask).await.expect("it is back"), 3);
    }
}
