//! The audit log: who did what to what.

use super::{
    Call, call,
    enums::{DoerKind, DoneOrRefused, Way},
    error::{Code, Failure, odd},
    scalars::{DateTime, Long},
};
use async_graphql::{
    Context, InputObject, Object, Result, SimpleObject,
    connection::{Connection, ConnectionNameType, CursorType, Edge, EdgeNameType, EmptyFields, EnableNodesField},
};
use domain::{AuditEntry, AuditFilter, AuditMark, Deed, Unfit};
use engine::{Command, Reply};
use store::AuditPage;

/// Entries of a page at most.
const LONGEST_PAGE: i32 = 200;

/// A place in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(i64);

impl CursorType for Place {
    type Error = std::num::ParseIntError;

    fn decode_cursor(text: &str) -> Result<Self, Self::Error> {
        text.strip_prefix("entry/").unwrap_or("-").parse().map(Self)
    }

    fn encode_cursor(&self) -> String {
        format!("entry/{}", self.0)
    }
}

type Entries = Connection<Place, Entry, EmptyFields, EmptyFields, EntriesName, EntryEdgeName, EnableNodesField>;

/// Names of the types of a page of entries.
pub struct EntriesName;

impl ConnectionNameType for EntriesName {
    fn type_name<T: async_graphql::OutputType>() -> String {
        "AuditEntryConnection".to_owned()
    }
}

/// The name of its edges' type.
pub struct EntryEdgeName;

impl EdgeNameType for EntryEdgeName {
    fn type_name<T: async_graphql::OutputType>() -> String {
        "AuditEntryEdge".to_owned()
    }
}

/// Which entries are wanted; what is not given is not asked for.
#[derive(Debug, Default, InputObject)]
pub struct AuditWanted {
    /// Part of who did it, in any case.
    who: Option<String>,
    /// What was done: `person.role`, or all of its kind: `person`.
    action: Option<String>,
    /// Part of what it was done to, in any case.
    target: Option<String>,
    /// From this moment on.
    since: Option<DateTime>,
    /// Before this moment.
    until: Option<DateTime>,
    /// Part of any text of it, in any case.
    text: Option<String>,
}

/// Something that somebody did, or that was refused to them.
#[derive(Debug, SimpleObject)]
#[graphql(name = "AuditEntry")]
pub struct Entry {
    /// 1, 2, 3 … without gaps.
    pub number: Long,
    /// When.
    pub at: DateTime,
    /// What kind of somebody.
    pub kind: DoerKind,
    /// Who: a mail address, or the name of a token of the account.
    pub actor: String,
    /// Which way it came.
    pub via: Way,
    /// From which address, when it came over a network.
    pub address: Option<String>,
    /// What: `session.create`.
    pub action: String,
    /// To what: `r/42`.
    pub target: String,
    /// What became of it.
    pub outcome: DoneOrRefused,
    /// What else belongs to it.
    pub details: Vec<Detail>,
    /// SHA-256 over it and all before, in hexadecimal.
    pub hash: String,
}

/// Something that belongs to an entry.
#[derive(Debug, SimpleObject)]
#[graphql(name = "AuditDetail")]
pub struct Detail {
    /// What it is.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What came of looking along the whole audit log.
#[derive(Debug, SimpleObject)]
#[graphql(name = "AuditVerdict")]
pub struct Verdict {
    /// True when every entry follows on the one before it, and on what was noted.
    pub whole: bool,
    /// The last entry that fits, as number and hash: `42:9f86d081…`. Note it where nobody who can write to the database
    /// can write, and give it as `noted` later.
    pub mark: String,
    /// The number of the last entry that fits; 0 when there is none.
    pub number: Long,
    /// The number of the first entry that does not fit.
    pub unfit: Option<Long>,
    /// Why it does not.
    pub why: Option<String>,
}

/// What can be read of the audit log.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditQuery;

#[Object]
impl AuditQuery {
    /// Who did what to what, newest first. Admins only.
    #[graphql(complexity = "(first.clamp(1, 200) as usize) * child_complexity / 2")]
    async fn audit_log(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 50)] first: i32,
        after: Option<String>,
        filter: Option<AuditWanted>,
    ) -> Result<Entries> {
        if !(1..=LONGEST_PAGE).contains(&first) {
            let told = format!("ask for 1 to {LONGEST_PAGE} entries");
            return Err(Failure::new(Code::BadRequest, told).field("first").into());
        }
        let told = || Failure::new(Code::BadRequest, "this is no cursor of the audit log").field("after");
        let before = after.map(|cursor| Place::decode_cursor(&cursor).map_err(|_| told())).transpose()?;
        let AuditWanted { who, action, target, since, until, text } = filter.unwrap_or_default();
        let moment = |at: Option<DateTime>| at.map(|DateTime(at)| at);
        let filter = AuditFilter { who, action, target, since: moment(since), until: moment(until), text };
        let page = AuditPage::Newest(before.map(|place| place.0));
        let command = Command::Audit { filter, page, limit: i64::from(first) + 1 };
        let Reply::Audit(mut found) = call(ctx)?.ask(command).await? else { return Err(odd().into()) };
        let length = usize::try_from(first)?;
        let mut entries = Entries::new(before.is_some(), found.len() > length);
        found.truncate(length);
        for entry in &found {
            entries.edges.push(Edge::new(Place(entry.number), Entry::read(entry)?));
        }
        Ok(entries)
    }

    /// Looks along the whole audit log, and at the entry that was noted elsewhere. It reads every entry. Admins only.
    #[graphql(complexity = 1000)]
    async fn audit_verdict(&self, ctx: &Context<'_>, noted: Option<String>) -> Result<Verdict> {
        let told = || {
            let told = "give a number and its hash as they were noted, as in 42:9f86d081…";
            Failure::new(Code::BadRequest, told).field("noted")
        };
        let noted: Option<AuditMark> = noted.map(|text| text.parse().map_err(|_| told())).transpose()?;
        let call: std::sync::Arc<Call> = call(ctx)?;
        match call.ask(Command::VerifyAudit { noted }).await? {
            Reply::AuditVerdict(verdict) => Ok(Verdict {
                whole: verdict.unfit.is_none(),
                mark: verdict.last.to_string(),
                number: verdict.last.number.into(),
                unfit: verdict.unfit.as_ref().map(|(number, _)| (*number).into()),
                why: verdict.unfit.as_ref().map(|(_, why): &(i64, Unfit)| why.to_string()),
            }),
            _ => Err(odd().into()),
        }
    }
}

impl Entry {
    fn read(entry: &AuditEntry) -> Result<Self, Failure> {
        let deed: Deed = serde_json::from_str(&entry.deed).map_err(|error| {
            tracing::error!(%error, number = entry.number, "an entry of the audit log cannot be read");
            Failure::new(Code::Internal, format!("entry {} of the audit log cannot be read", entry.number))
                .mend("look along the log: somebody altered it")
        })?;
        let details = deed.details.into_iter().map(|(name, value)| Detail { name, value });
        Ok(Self {
            number: entry.number.into(),
            at: DateTime(deed.at),
            kind: deed.kind.into(),
            actor: deed.actor,
            via: deed.via.into(),
            address: deed.address,
            action: deed.action,
            target: deed.target,
            outcome: deed.outcome.into(),
            details: details.collect(),
            hash: entry.hash.to_string(),
        })
    }
}
