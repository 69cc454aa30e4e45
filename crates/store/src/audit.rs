//! The audit log: what people do is written down in the same transaction that does it.
//!
//! Whoever knows who does what says so once, by [`doing`]; the first change that is made of it takes the entry along.
//! So nobody can change something and forget to write it down, and what fails leaves nothing.

use crate::StoreError;
use async_trait::async_trait;
use domain::{AccountId, AuditEntry, AuditFilter, AuditMark, AuditVerdict, Deed};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which entries a page has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditPage {
    /// The newest with numbers below this one, or of all, newest first.
    Newest(Option<i64>),
    /// The oldest with numbers above this one, oldest first.
    Oldest(i64),
}

/// The audit log of accounts. Nothing changes or removes an entry, also not a hand in the database: triggers refuse it.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Writes down what changed nothing here, such as a sign-in that was refused.
    async fn note_deed(&self, account: AccountId, deed: &Deed) -> Result<(), StoreError>;

    /// Entries that a filter lets through, at most `limit`.
    async fn audit(
        &self,
        account: AccountId,
        filter: &AuditFilter,
        page: AuditPage,
        limit: i64,
    ) -> Result<Vec<AuditEntry>, StoreError>;

    /// Looks along the whole chain of an account, and at an entry that was noted elsewhere.
    async fn verify_audit(&self, account: AccountId, noted: Option<AuditMark>) -> Result<AuditVerdict, StoreError>;
}

/// What is being done and not written down yet.
#[derive(Debug, Default)]
struct Doing {
    by: Option<(AccountId, Deed)>,
    written: bool,
}

tokio::task_local! {
    static DOING: Arc<Mutex<Doing>>;
}

/// Does `work`; the first change that it makes writes `deed` down.
pub async fn doing<F: Future>(account: AccountId, deed: Deed, work: F) -> F::Output {
    let doing = Doing { by: Some((account, deed)), written: false };
    DOING.scope(Arc::new(Mutex::new(doing)), work).await
}

/// Does `work`, which only looks: of what it changes nevertheless, what is done [`besides`] is written down.
pub async fn looking<F: Future>(account: AccountId, deed: Deed, work: F) -> F::Output {
    let doing = Doing { by: Some((account, deed)), written: true };
    DOING.scope(Arc::new(Mutex::new(doing)), work).await
}

/// Does `work` as another deed of whoever does the present one: what it changes is not the present one's.
pub async fn besides<F: Future>(other: impl FnOnce(&mut Deed), work: F) -> F::Output {
    let present = DOING.try_with(|doing| doing.lock().by.clone()).ok().flatten();
    match present {
        Some((account, mut deed)) => {
            other(&mut deed);
            doing(account, deed, work).await
        }
        None => work.await,
    }
}

/// Does `work`, whose changes are nobody's deed.
pub async fn unnoted<F: Future>(work: F) -> F::Output {
    DOING.scope(Arc::default(), work).await
}

/// Whether somebody said what is being done.
pub fn is_told() -> bool {
    DOING.try_with(|doing| doing.lock().by.is_some()).unwrap_or_default()
}

/// What is to be written down with the next change.
pub(crate) fn pending() -> Option<(AccountId, Deed)> {
    let pending = |doing: &Arc<Mutex<Doing>>| {
        let doing = doing.lock();
        doing.by.clone().filter(|_| !doing.written)
    };
    DOING.try_with(pending).ok().flatten()
}

/// It is written down, and that is committed.
pub(crate) fn written() {
    let _ = DOING.try_with(|doing| doing.lock().written = true);
}
