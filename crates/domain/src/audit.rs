//! Who did what to what: entries of which each has a hash over itself and the one before it.

use crate::{AccountId, Timestamp, text::is_invisible};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// The longest text of an entry in characters: strangers write some of them.
const LONGEST: usize = 300;

/// What kind of somebody did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoerKind {
    /// A person who signed in, or a token of theirs.
    Person,
    /// A token of the account.
    AccountToken,
    /// Whoever has the server's machine, at the command line.
    CommandLine,
    /// Somebody who did not come in.
    Stranger,
    /// The server by itself.
    Server,
}

/// Which way it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A browser with its sign-in, or one that is to get one.
    Page,
    /// A token.
    Api,
    /// The control socket, or a command that is its own server.
    CommandLine,
    /// Nothing from outside.
    Server,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused, for want of a right or of a proof.
    Refused,
}

/// Something that somebody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// When.
    pub at: Timestamp,
    /// What kind of somebody.
    pub kind: DoerKind,
    /// Who: a mail address, or the name of a token.
    pub actor: String,
    /// Which way it came.
    pub via: Via,
    /// From which address, when it came over a network.
    pub address: Option<String>,
    /// What: `session.create`, `person.role`.
    pub action: String,
    /// To what: `r/42`, `ada@example.org`.
    pub target: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What else belongs to it, by name; nothing that is secret.
    pub details: BTreeMap<String, String>,
}

impl Deed {
    /// The same with texts that fit into a line: bounded, and without characters that cannot be seen.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        for text in [&mut self.actor, &mut self.action, &mut self.target].into_iter().chain(&mut self.address) {
            *text = bounded(text);
        }
        self.details.values_mut().for_each(|text| *text = bounded(text));
        self
    }
}

fn bounded(text: &str) -> String {
    let mut seen = text.chars().map(|c| if c.is_control() || is_invisible(c) { '\u{fffd}' } else { c });
    let mut kept: String = seen.by_ref().take(LONGEST).collect();
    if seen.next().is_some() {
        kept.push('…');
    }
    kept
}

/// What an entry is found by, in lower case. It is kept beside the entry, says nothing that the entry does not say, and
/// does not count where it differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditIndex {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// To what.
    pub target: String,
    /// Every text of it, one in a line.
    pub words: String,
}

impl From<&Deed> for AuditIndex {
    fn from(deed: &Deed) -> Self {
        let mut words: Vec<&str> = vec![&deed.actor, &deed.action, &deed.target];
        words.extend(deed.address.as_deref());
        for (name, value) in &deed.details {
            words.extend([name.as_str(), value.as_str()]);
        }
        Self {
            at: deed.at,
            actor: deed.actor.to_lowercase(),
            action: deed.action.to_lowercase(),
            target: deed.target.to_lowercase(),
            words: words.join("\n").to_lowercase(),
        }
    }
}

/// Which entries are wanted; what is not given is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditFilter {
    /// Part of who did it, in any case.
    pub who: Option<String>,
    /// What was done: `person.role`, or all of its kind: `person`.
    pub action: Option<String>,
    /// Part of what it was done to, in any case.
    pub target: Option<String>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Part of any text of it, in any case.
    pub text: Option<String>,
}

impl AuditFilter {
    /// The same in lower case and bounded, as it is compared.
    #[must_use]
    pub fn folded(&self) -> Self {
        let fold = |text: &Option<String>| {
            let text = text.as_deref().map(|text| text.trim().chars().take(LONGEST).collect::<String>().to_lowercase());
            text.filter(|text| !text.is_empty())
        };
        Self {
            who: fold(&self.who),
            action: fold(&self.action),
            target: fold(&self.target),
            text: fold(&self.text),
            ..self.clone()
        }
    }

    /// Whether a [folded](Self::folded) filter lets an entry through.
    pub fn fits(&self, entry: &AuditIndex) -> bool {
        let within = |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|part| text.contains(part));
        let of_kind = |wanted: &str| {
            entry.action.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        within(&self.who, &entry.actor)
            && within(&self.target, &entry.target)
            && within(&self.text, &entry.words)
            && self.action.as_deref().is_none_or(of_kind)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
    }
}

/// SHA-256 over an entry and all before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AuditHash(pub [u8; 32]);

impl AuditHash {
    /// What stands before the first entry.
    pub const BEGINNING: Self = Self([0; 32]);

    /// The hash of the entry with this number that follows on `previous`.
    ///
    /// What is hashed is `previous` (32 bytes), the account's id (16), the number (8, the highest first), and the deed as
    /// it is kept: JSON. All but the last have a fixed length, so that no two entries have the same bytes.
    pub fn of(previous: Self, account: AccountId, number: i64, deed: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(previous.0);
        hash.update(account.0.as_bytes());
        hash.update(number.to_be_bytes());
        hash.update(deed.as_bytes());
        Self(hash.finalize().into())
    }
}

impl fmt::Display for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<AuditHash> for String {
    fn from(hash: AuditHash) -> Self {
        hash.to_string()
    }
}

/// A text that is no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash of the audit log has 64 hexadecimal digits")]
pub struct NoAuditHash;

impl FromStr for AuditHash {
    type Err = NoAuditHash;

    fn from_str(text: &str) -> Result<Self, NoAuditHash> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| NoAuditHash)?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for AuditHash {
    type Error = NoAuditHash;

    fn try_from(text: String) -> Result<Self, NoAuditHash> {
        text.parse()
    }
}

/// One entry of an account's audit log, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// 1, 2, 3 … within the account.
    pub number: i64,
    /// The [`Deed`] as JSON, byte for byte as it was hashed.
    pub deed: String,
    /// The hash over it and all before.
    pub hash: AuditHash,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Unfit {
    /// Entries are missing before it, or there is one twice.
    #[error("it should be number {0}")]
    Number(i64),
    /// It, or one before it, is not as it was written.
    #[error("its hash is not the one of what it says and of the entry before it")]
    Hash,
    /// It says nothing that could be a deed.
    #[error("it cannot be read")]
    Unreadable,
    /// What it is found by is not what it says.
    #[error("it is found by something else than it says")]
    Index,
    /// Its hash is not the one that was noted elsewhere: all was written anew, or it is another record.
    #[error("its hash is not the one that was noted")]
    Noted,
    /// It was noted elsewhere and is not there any more.
    #[error("it was noted, and is not there")]
    Missing,
}

/// The number of an entry and its hash, as noted outside: `42:9f86d081…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditMark {
    /// The entry's number; 0 before the first.
    pub number: i64,
    /// Its hash.
    pub hash: AuditHash,
}

impl fmt::Display for AuditMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.hash)
    }
}

impl FromStr for AuditMark {
    type Err = NoAuditHash;

    fn from_str(text: &str) -> Result<Self, NoAuditHash> {
        let (number, hash) = text.split_once(':').ok_or(NoAuditHash)?;
        let number = number.trim().parse().map_err(|_| NoAuditHash)?;
        Ok(Self { number, hash: hash.parse()? })
    }
}

/// Looks along a chain, oldest entry first.
#[derive(Debug, Clone, Copy)]
pub struct Chain {
    account: AccountId,
    end: AuditMark,
    noted: Option<AuditMark>,
}

impl Chain {
    /// Before the first entry of an account, with what was noted of it elsewhere.
    pub fn of(account: AccountId, noted: Option<AuditMark>) -> Self {
        Self { account, end: AuditMark { number: 0, hash: AuditHash::BEGINNING }, noted }
    }

    /// Takes the next entry, unless it does not fit.
    pub fn take(&mut self, entry: &AuditEntry, index: &AuditIndex) -> Result<(), Unfit> {
        let number = self.end.number + 1;
        if entry.number != number {
            return Err(Unfit::Number(number));
        }
        if entry.hash != AuditHash::of(self.end.hash, self.account, number, &entry.deed) {
            return Err(Unfit::Hash);
        }
        let deed: Deed = serde_json::from_str(&entry.deed).map_err(|_| Unfit::Unreadable)?;
        if AuditIndex::from(&deed) != *index {
            return Err(Unfit::Index);
        }
        if self.noted.is_some_and(|noted| noted.number == number && noted.hash != entry.hash) {
            return Err(Unfit::Noted);
        }
        self.end = AuditMark { number, hash: entry.hash };
        Ok(())
    }

    /// The last entry that was taken.
    pub fn end(&self) -> AuditMark {
        self.end
    }

    /// After the last entry: the number of one that was noted and never came.
    pub fn is_missing(&self) -> Option<i64> {
        self.noted.map(|noted| noted.number).filter(|number| *number > self.end.number)
    }
}

/// What came of looking along a whole chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditVerdict {
    /// The last entry that fits: to be noted where nobody who can write to the database can write.
    pub last: AuditMark,
    /// The number of the first entry that does not fit, and why.
    pub unfit: Option<(i64, Unfit)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const ACCOUNT: AccountId = AccountId(Uuid::nil());

    fn deed(target: &str) -> Deed {
        Deed {
            at: Timestamp(1),
            kind: DoerKind::Person,
            actor: "Ada@Example.org".to_owned(),
            via: Via::Page,
            address: Some("192.0.2.1".to_owned()),
            action: "session.create".to_owned(),
            target: target.to_owned(),
            outcome: Outcome::Done,
            details: BTreeMap::from([("mode".to_owned(), "One Shot".to_owned())]),
        }
    }

    fn chained(targets: &[&str]) -> Vec<AuditEntry> {
        let mut last = AuditHash::BEGINNING;
        let entries = (1..).zip(targets).map(|(number, target)| {
            let deed = serde_json::to_string(&deed(target)).expect("JSON");
            last = AuditHash::of(last, ACCOUNT, number, &deed);
            AuditEntry { number, deed, hash: last }
        });
        entries.collect()
    }

    fn index(entry: &AuditEntry) -> AuditIndex {
        AuditIndex::from(&serde_json::from_str::<Deed>(&entry.deed).expect("a deed"))
    }

    fn first_unfit(entries: &[AuditEntry], noted: Option<AuditMark>) -> Option<(i64, Unfit)> {
        let mut chain = Chain::of(ACCOUNT, noted);
        for entry in entries {
            if let Err(why) = chain.take(entry, &index(entry)) {
                return Some((entry.number, why));
            }
        }
        chain.is_missing().map(|number| (number, Unfit::Missing))
    }

    #[test]
    fn whatever_is_done_to_a_chain_shows() {
        let whole = chained(&["one", "two", "three"]);
        assert_eq!(first_unfit(&whole, None), None);
        let mut altered = whole.clone();
        altered[1].deed = altered[1].deed.replace("two", "2");
        assert_eq!(first_unfit(&altered, None), Some((2, Unfit::Hash)));
        // Also when the altered entry is given the hash that fits it.
        altered[1].hash = AuditHash::of(whole[0].hash, ACCOUNT, 2, &altered[1].deed);
        assert_eq!(first_unfit(&altered, None), Some((3, Unfit::Hash)));
        assert_eq!(first_unfit(&[whole[0].clone(), whole[2].clone()], None), Some((3, Unfit::Number(2))));
        assert_eq!(first_unfit(&[whole[1].clone(), whole[0].clone()], None), Some((2, Unfit::Number(1))));
        let mut chain = Chain::of(AccountId(Uuid::from_u128(1)), None);
        assert_eq!(chain.take(&whole[0], &index(&whole[0])), Err(Unfit::Hash), "another account's chain");
        let mut chain = Chain::of(ACCOUNT, None);
        let elsewhere = AuditIndex { actor: "grace@example.org".to_owned(), ..index(&whole[0]) };
        assert_eq!(chain.take(&whole[0], &elsewhere), Err(Unfit::Index), "it would be found as somebody else's");
    }

    #[test]
    fn a_cut_tail_and_a_chain_that_was_written_anew_show_against_what_was_noted() {
        let whole = chained(&["one", "two", "three"]);
        let noted: AuditMark = format!("3:{}", whole[2].hash).parse().expect("a mark");
        assert_eq!(first_unfit(&whole, Some(noted)), None);
        assert_eq!(first_unfit(&whole[..2], Some(noted)), Some((3, Unfit::Missing)));
        assert_eq!(first_unfit(&chained(&["one", "zwei", "three"]), Some(noted)), Some((3, Unfit::Noted)));
        for text in ["", "3", "3:", "x:00", "3:zz"] {
            assert!(text.parse::<AuditMark>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_filter_asks_for_all_that_it_names() {
        let entry = AuditIndex::from(&deed("r/42"));
        let some = |text: &str| Some(text.to_owned());
        for (filter, fits) in [
            (AuditFilter::default(), true),
            (AuditFilter { who: some(" ADA@"), ..AuditFilter::default() }, true),
            (AuditFilter { who: some("grace"), ..AuditFilter::default() }, false),
            (AuditFilter { action: some("session"), ..AuditFilter::default() }, true),
            (AuditFilter { action: some("session.create"), ..AuditFilter::default() }, true),
            (AuditFilter { action: some("sess"), ..AuditFilter::default() }, false),
            (AuditFilter { target: some("R/4"), who: some("ada"), ..AuditFilter::default() }, true),
            (AuditFilter { target: some("r/5"), who: some("ada"), ..AuditFilter::default() }, false),
            (AuditFilter { text: some("one shot"), ..AuditFilter::default() }, true),
            (AuditFilter { text: some("192.0.2"), ..AuditFilter::default() }, true),
            (AuditFilter { since: Some(Timestamp(1)), until: Some(Timestamp(2)), ..AuditFilter::default() }, true),
            (AuditFilter { since: Some(Timestamp(2)), ..AuditFilter::default() }, false),
            (AuditFilter { until: Some(Timestamp(1)), ..AuditFilter::default() }, false),
        ] {
            assert_eq!(filter.folded().fits(&entry), fits, "{filter:?}");
        }
    }

    #[test]
    fn strangers_write_no_more_than_a_line() {
        let told = Deed { actor: "x".repeat(5000), target: "a\nb\u{202e}c".to_owned(), ..deed("") }.bounded();
        assert_eq!(told.actor.chars().count(), LONGEST + 1);
        assert_eq!(told.target, "a\u{fffd}b\u{fffd}c");
    }
}
