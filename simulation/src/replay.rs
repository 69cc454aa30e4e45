//! Walks along the model's paths, and asks the real store the same at every step: it must say what the model says, and
//! hold what the model holds.

mod rows;

use crate::model::{Act, Call, Op, Protocol, State, Verdict};
use domain::{Lease, ServerId, Timestamp};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use rows::Rows;
use store::{ClaimLimits, Fence, Store, StoreError};
use uuid::Uuid;

/// Where store and model disagree.
#[derive(Debug, thiserror::Error)]
#[error("after {acts:?}: {what}")]
pub struct Disagreement {
    /// The path from the beginning, the last act included.
    pub acts: Vec<Act>,
    /// What is not alike.
    pub what: String,
}

/// What was compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compared {
    /// Paths that were walked.
    pub paths: usize,
    /// Calls of the store whose answers were alike.
    pub calls: usize,
    /// How many of these were refused because of the epoch.
    pub fenced: usize,
}

impl std::ops::AddAssign for Compared {
    fn add_assign(&mut self, other: Self) {
        self.paths += other.paths;
        self.calls += other.calls;
        self.fenced += other.fenced;
    }
}

/// A path that a seed chooses, of at most `length` acts. It prefers what goes on over what goes wrong.
pub fn random_path(protocol: &Protocol, seed: u64, length: usize) -> Vec<Act> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut state = protocol.start();
    let mut path = Vec::new();
    while path.len() < length {
        let next: Vec<_> = protocol.acts().filter_map(|act| Some((act, protocol.step(&state, act)?.state))).collect();
        let goes_on = |(act, _): &&(Act, State)| matches!(act, Act::Go(_) | Act::Claim(_) | Act::Restart(_));
        let onwards: Vec<_> = next.iter().filter(goes_on).collect();
        let chosen = if !onwards.is_empty() && random.random_bool(0.6) {
            onwards.choose(&mut random).copied()
        } else {
            next.choose(&mut random)
        };
        let Some((act, reached)) = chosen else { break };
        path.push(*act);
        state = reached.clone();
    }
    path
}

/// All paths of exactly `depth` acts, or shorter ones that end.
pub fn all_paths(protocol: &Protocol, depth: usize) -> Vec<Vec<Act>> {
    let mut paths = Vec::new();
    let mut open = vec![(protocol.start(), Vec::new())];
    while let Some((state, path)) = open.pop() {
        let moves = protocol.acts().filter_map(|act| Some((act, protocol.step(&state, act)?.state)));
        let before = open.len();
        if path.len() < depth {
            // What leaves everything as it was does so at the end of a path as well as in its middle.
            open.extend(moves.filter(|(_, next)| *next != state).map(|(act, next)| {
                let longer = path.iter().copied().chain([act]).collect::<Vec<_>>();
                (next, longer)
            }));
        }
        if open.len() == before {
            paths.push(path);
        }
    }
    paths
}

/// Walks along one path in a store that has never seen session `number`.
pub async fn replay(
    protocol: &Protocol,
    path: &[Act],
    store: &dyn Store,
    number: u32,
) -> Result<Compared, Disagreement> {
    let rows = Rows::new(number);
    let disagreement = |acts: &[Act], what: String| Disagreement { acts: acts.to_vec(), what };
    rows.settle(store).await.map_err(|error| disagreement(&[], error.to_string()))?;
    let mut state = protocol.start();
    let mut compared = Compared { paths: 1, ..Compared::default() };
    for (index, act) in path.iter().enumerate() {
        let so_far = &path[..=index];
        let Some(moved) = protocol.step(&state, *act) else {
            return Err(disagreement(so_far, "the model does not take this act".to_owned()));
        };
        if let Some(Call { op, verdict }) = &moved.call {
            let said = ask(store, &rows, op).await.map_err(|error| disagreement(so_far, error.to_string()))?;
            if said != *verdict {
                return Err(disagreement(so_far, format!("{op:?}: the model says {verdict:?}, the store {said:?}")));
            }
            compared.calls += 1;
            compared.fenced += usize::from(said == Verdict::Fenced);
            let held = rows.differences(store, &moved.state.record).await;
            let held = held.map_err(|error| disagreement(so_far, error.to_string()))?;
            if let Some(what) = held {
                return Err(disagreement(so_far, format!("after {op:?}: {what}")));
            }
        }
        state = moved.state;
    }
    Ok(compared)
}

async fn ask(store: &dyn Store, rows: &Rows, op: &Op) -> Result<Verdict, StoreError> {
    let yes = |yes: bool| if yes { Verdict::Accepted } else { Verdict::No };
    let now = Timestamp(1_000);
    Ok(match op {
        Op::Claim(owner) => {
            let limits = ClaimLimits { per_account: i64::MAX };
            yes(store.claim(rows.server(*owner), limits, now).await?.is_some())
        }
        Op::Beat(owner, epoch) => yes(store.beat(rows.session, rows.server(*owner), i64::from(*epoch)).await?),
        Op::Release(owner, epoch) => {
            let before = store.lease(rows.session).await?;
            store.release(rows.session, rows.server(*owner), i64::from(*epoch)).await?;
            yes(store.lease(rows.session).await? != before)
        }
        Op::Expire(seen) => {
            let owner = seen.owner.map_or(ServerId(Uuid::nil()), |owner| rows.server(owner));
            let seen = Lease { owner, epoch: i64::from(seen.epoch), beat: i64::from(seen.beat) };
            yes(store.expire(rows.session, seen, now).await?)
        }
        Op::Commit(owner, epoch, puts) => {
            let fence = Fence::Lease { owner: rows.server(*owner), epoch: i64::from(*epoch) };
            let writes = rows.writes(store, puts).await?;
            match store.commit(rows.session, fence, &writes, &[], now).await {
                Ok(_) => Verdict::Accepted,
                Err(StoreError::Fenced { .. }) => Verdict::Fenced,
                Err(error) => return Err(error),
            }
        }
    })
}
