//! The audit log, for every backend.

use super::{clean, transact};
use crate::{
    Audit, StoreError, audit,
    audit::AuditPage,
    backend::{Backend, Rows},
};
use async_trait::async_trait;
use domain::{
    AccountId, Admission, AuditEntry, AuditFilter, AuditHash, AuditIndex, AuditMark, AuditVerdict, Chain, Deed, Member,
    Session, Unfit, Welcomed,
};
use secrets::Redactor;

type Result<T> = std::result::Result<T, StoreError>;

/// So many entries are read at once when the chain is looked along.
const STRIDE: i64 = 500;

/// The same as `transact`, for what people change: what is being done is written down in the transaction.
macro_rules! change {
    ($store:expr, |$rows:ident| $body:expr) => {{
        let redactor = $store.known().redactor();
        let result = $crate::door::transact!($store, |$rows| async {
            let value = $body.await?;
            $crate::door::audit::write_down($rows, &value, &redactor).await?;
            Ok(value)
        });
        if result.as_ref().is_ok_and($crate::door::audit::Change::is_one) {
            $crate::audit::written();
        }
        result
    }};
}

pub(super) use change;

/// What came of a change.
pub(super) trait Change {
    /// Whether anything was changed.
    fn is_one(&self) -> bool {
        true
    }

    /// Adds to the entry what nobody knew before.
    fn completes(&self, _deed: &mut Deed) {}
}

impl Change for bool {
    fn is_one(&self) -> bool {
        *self
    }
}

impl Change for u64 {
    fn is_one(&self) -> bool {
        *self > 0
    }

    fn completes(&self, deed: &mut Deed) {
        deed.details.insert("count".to_owned(), self.to_string());
    }
}

impl Change for usize {
    fn is_one(&self) -> bool {
        *self > 0
    }

    fn completes(&self, deed: &mut Deed) {
        deed.details.insert("count".to_owned(), self.to_string());
    }
}

impl Change for Option<Member> {
    fn is_one(&self) -> bool {
        self.is_some()
    }

    fn completes(&self, deed: &mut Deed) {
        if let Some(member) = self {
            deed.target.clone_from(&member.user.email);
        }
    }
}

impl Change for Member {
    fn completes(&self, deed: &mut Deed) {
        deed.target.clone_from(&self.user.email);
    }
}

impl Change for Admission {
    fn is_one(&self) -> bool {
        // Whoever comes again changes nothing: their sign-in is told.
        matches!(self, Self::In(_, how) if *how != Welcomed::Again)
    }

    fn completes(&self, deed: &mut Deed) {
        if let Self::In(member, how) = self {
            let how = match how {
                Welcomed::Again => "again",
                Welcomed::Linked => "linked to the person who is there",
                Welcomed::Invited => "invited",
                Welcomed::New => "new",
            };
            deed.target.clone_from(&member.user.email);
            deed.details.insert("how".to_owned(), how.to_owned());
        }
    }
}

impl Change for Session {
    fn completes(&self, deed: &mut Deed) {
        deed.target = self.number.to_string();
        deed.details.insert("title".to_owned(), self.title.clone());
    }
}

impl Change for domain::Repository {
    fn completes(&self, deed: &mut Deed) {
        if deed.action == "repository.add" {
            deed.target.clone_from(&self.name);
        }
    }
}

impl Change for () {}
impl Change for crate::Committed {}
impl Change for crate::PullRequest {}
impl Change for domain::Delivery {}
impl Change for domain::Webhook {}

/// Writes down what is being done, unless that was done already or nothing was.
pub(super) async fn write_down(rows: &mut dyn Rows, change: &impl Change, redactor: &Redactor) -> Result<()> {
    match audit::pending().filter(|_| change.is_one()) {
        Some((account, mut deed)) => {
            change.completes(&mut deed);
            append(rows, account, deed, redactor).await
        }
        None => Ok(()),
    }
}

async fn append(rows: &mut dyn Rows, account: AccountId, deed: Deed, redactor: &Redactor) -> Result<()> {
    // One entry after the other: each has the hash of the one before it. The lock is the last that a transaction takes,
    // so that whoever has it waits for nobody.
    rows.lock_account(account).await?;
    let last = rows.last_audit(account).await?;
    let last = last.unwrap_or(AuditMark { number: 0, hash: AuditHash::BEGINNING });
    // Masked before it is cut: half a secret would be found by nobody.
    let text = |text: &String| clean::text(text, redactor);
    let deed = Deed {
        actor: text(&deed.actor),
        address: deed.address.as_ref().map(text),
        target: text(&deed.target),
        details: deed.details.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        ..deed
    };
    let deed = deed.bounded();
    let index = AuditIndex::from(&deed);
    let deed = serde_json::to_string(&deed)
        .map_err(|error| StoreError::Damaged { what: "entry to write down", detail: error.to_string() })?;
    let number = last.number + 1;
    let hash = AuditHash::of(last.hash, account, number, &deed);
    rows.add_audit(account, &AuditEntry { number, deed, hash }, &index).await
}

#[async_trait]
impl<B: Backend> Audit for B {
    async fn note_deed(&self, account: AccountId, deed: &Deed) -> Result<()> {
        let redactor = self.known().redactor();
        transact!(self, |rows| append(rows, account, deed.clone(), &redactor))
    }

    async fn audit(
        &self,
        account: AccountId,
        filter: &AuditFilter,
        page: AuditPage,
        limit: i64,
    ) -> Result<Vec<AuditEntry>> {
        self.read().await?.audit(account, &filter.folded(), page, limit.max(0)).await
    }

    async fn verify_audit(&self, account: AccountId, noted: Option<AuditMark>) -> Result<AuditVerdict> {
        let mut chain = Chain::of(account, noted);
        loop {
            let page = self.read().await?.chained(account, chain.end().number, STRIDE).await?;
            for (entry, index) in &page {
                if let Err(why) = chain.take(entry, index) {
                    return Ok(AuditVerdict { last: chain.end(), unfit: Some((entry.number, why)) });
                }
            }
            if page.is_empty() {
                let missing = chain.is_missing().map(|number| (number, Unfit::Missing));
                return Ok(AuditVerdict { last: chain.end(), unfit: missing });
            }
        }
    }
}
