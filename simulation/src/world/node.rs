//! One life of a server, as far as the outside world goes: everything that it does outside passes here, and so everything
//! that can be told apart about a crash or a pause happens here.

use super::{
    history::{Fact, History},
    stage::Plan,
};
use domain::{Clock, Mint, ServerId, Timestamp};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{
    future::pending,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

/// A call that did not go well, though it may have been done.
#[derive(Debug, thiserror::Error)]
#[error("the line was cut")]
pub struct Cut;

/// What all lives share.
pub struct Luck {
    random: Mutex<ChaCha8Rng>,
    plan: Plan,
    calm: AtomicBool,
}

impl Luck {
    pub fn new(plan: Plan) -> Self {
        Self { random: Mutex::new(ChaCha8Rng::seed_from_u64(plan.seed)), plan, calm: AtomicBool::new(false) }
    }

    /// No more faults.
    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// Whether something happens that does so `per_mille` times in a thousand.
    pub fn strikes(&self, per_mille: u32) -> bool {
        !self.is_calm() && self.random.lock().random_ratio(per_mille, 1000)
    }

    pub fn between(&self, least: u64, most: u64) -> u64 {
        self.random.lock().random_range(least..=most)
    }

    /// Milliseconds.
    pub fn while_of(&self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    fn seed(&self) -> u64 {
        self.random.lock().random()
    }
}

/// One life of a server, or a person's connection, which never dies.
pub struct Node {
    pub luck: Arc<Luck>,
    history: Arc<History>,
    mortal: bool,
    dead: AtomicBool,
    paused_until: Mutex<Option<Instant>>,
    id: OnceLock<ServerId>,
}

impl Node {
    pub fn new(luck: Arc<Luck>, history: Arc<History>, mortal: bool) -> Self {
        let (dead, paused_until, id) = (AtomicBool::new(false), Mutex::new(None), OnceLock::new());
        Self { luck, history, mortal, dead, paused_until, id }
    }

    pub fn name(&self, id: ServerId) {
        let _ = self.id.set(id);
        self.history.add(Fact::Started(id));
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Does something outside: `work` happens at one moment, with all that may come between before it and after it.
    pub async fn outside<T>(&self, work: impl Future<Output = T>) -> Result<T, Cut> {
        self.meet_fate().await?;
        let done = work.await;
        self.meet_fate().await?;
        Ok(done)
    }

    async fn meet_fate(&self) -> Result<(), Cut> {
        let rates = self.luck.plan.rates;
        if self.mortal && self.luck.strikes(rates.crash) {
            self.dead.store(true, Ordering::Relaxed);
            self.tell(Fact::Crashed);
        } else if self.mortal && self.luck.strikes(rates.pause) {
            let time = self.luck.while_of(100, 3 * u64::try_from(self.luck.plan.lease.as_millis()).unwrap_or(1_000));
            *self.paused_until.lock() = Some(Instant::now() + time);
            self.tell(|id| Fact::Paused(id, time));
        } else if self.luck.strikes(rates.delay) {
            sleep(self.luck.while_of(1, 200)).await;
        }
        self.stand_still().await;
        if self.luck.strikes(rates.error) { Err(Cut) } else { Ok(()) }
    }

    /// The dead do nothing any more; the paused go on later.
    async fn stand_still(&self) {
        loop {
            if self.is_dead() {
                pending::<()>().await;
            }
            let until = self.paused_until.lock().filter(|until| *until > Instant::now());
            let Some(until) = until else { return };
            sleep_until(until).await;
        }
    }

    fn tell(&self, fact: impl FnOnce(ServerId) -> Fact) {
        if let Some(id) = self.id.get() {
            self.history.add(fact(*id));
        }
    }
}

/// Virtual time, and a wall clock that somebody sets now and then.
pub struct VirtualClock {
    start: Instant,
    /// How far off the wall clock is, in microseconds.
    off: AtomicI64,
    by_the_wall: bool,
}

impl VirtualClock {
    /// What the wall clock shows in the beginning: far enough from zero to be set back.
    const BEGINNING: Timestamp = Timestamp(1_000_000_000_000_000);

    pub fn new(by_the_wall: bool) -> Self {
        Self { start: Instant::now(), off: AtomicI64::new(0), by_the_wall }
    }

    pub fn set_off(&self, micros: i64) {
        self.off.store(micros, Ordering::Relaxed);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let right = Self::BEGINNING.after(self.start.elapsed());
        Timestamp(right.0 + self.off.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        if self.by_the_wall { self.now().since(Timestamp(0)) } else { self.start.elapsed() }
    }
}

/// Ids from a seed.
pub struct SeededMint(Mutex<ChaCha8Rng>);

impl SeededMint {
    pub fn new(luck: &Luck) -> Self {
        Self(Mutex::new(ChaCha8Rng::seed_from_u64(luck.seed())))
    }
}

impl Mint for SeededMint {
    fn uuid(&self) -> Uuid {
        Uuid::from_u128(self.0.lock().random())
    }
}
