//! Sessions that match, by one rule for all back ends: databases disagree about the case of letters beyond ASCII.

use crate::{FoundSessions, SessionFilter, SessionSearch, StoreError, backend::Rows};
use domain::{AccountId, RepositoryId, Session, SessionId, UserId};
use std::collections::HashMap;

/// Sessions that are read at once.
const PAGE: i64 = 250;

/// Sessions that are looked at for one question: whoever wants more asks on.
const LOOKED_AT: usize = 5_000;

/// Sessions of an account that match, newest first.
pub(super) async fn find(
    rows: &mut dyn Rows,
    account: AccountId,
    search: &SessionSearch,
) -> Result<FoundSessions, StoreError> {
    let limit = usize::try_from(search.limit).unwrap_or(0).max(1);
    let wanted = Wanted::of(rows, account, search).await?;
    let mut found = FoundSessions::default();
    let mut filter = SessionFilter {
        archived: search.archived,
        repository: search.repository,
        before: search.before,
        limit: PAGE,
        ..SessionFilter::default()
    };
    let mut looked_at = 0;
    loop {
        let page = rows.sessions(account, &filter).await?;
        let (Some(newest), Some(oldest)) = (page.first(), page.last()) else { return Ok(found) };
        filter.before = Some(oldest.number);
        let branches = rows.branches(account, oldest.number, newest.number).await?;
        let mut by_session: HashMap<SessionId, Vec<String>> = HashMap::new();
        for (session, branch) in branches {
            by_session.entry(session).or_default().push(branch.to_lowercase());
        }
        looked_at += page.len();
        let is_last = page.len() < usize::try_from(PAGE).unwrap_or(0);
        for session in page {
            let number = session.number;
            let branches = by_session.remove(&session.id).unwrap_or_default();
            if wanted.holds(&session, &branches) {
                found.sessions.push(session);
            }
            if found.sessions.len() == limit {
                found.reached = Some(number);
                return Ok(found);
            }
        }
        if is_last {
            return Ok(found);
        }
        if looked_at >= LOOKED_AT {
            found.reached = filter.before;
            return Ok(found);
        }
    }
}

/// What is looked for, in small letters, with the names of repositories and people looked up.
struct Wanted {
    words: Vec<String>,
    branches: Vec<String>,
    repositories: Option<Vec<RepositoryId>>,
    authors: Option<Vec<UserId>>,
}

impl Wanted {
    async fn of(rows: &mut dyn Rows, account: AccountId, search: &SessionSearch) -> Result<Self, StoreError> {
        let small = |words: &[String]| words.iter().map(|word| word.to_lowercase()).collect::<Vec<_>>();
        let one_of = |words: &[String], texts: &[&str]| {
            texts.iter().any(|text| words.iter().any(|word| text.to_lowercase().contains(word)))
        };
        let (repositories, authors) = (small(&search.repositories), small(&search.authors));
        let repositories = if repositories.is_empty() {
            None
        } else {
            let known = rows.repositories(account).await?.into_iter();
            Some(known.filter(|it| one_of(&repositories, &[&it.name])).map(|it| it.id).collect())
        };
        let authors = if authors.is_empty() {
            None
        } else {
            let known = rows.members(account).await?.into_iter().map(|member| member.user);
            Some(known.filter(|it| one_of(&authors, &[&it.name, &it.email])).map(|it| it.id).collect())
        };
        Ok(Self { words: small(&search.words), branches: small(&search.branches), repositories, authors })
    }

    /// Whether a session is looked for; the branches of its changes are in small letters.
    fn holds(&self, session: &Session, branches: &[String]) -> bool {
        let has =
            |wanted: &Option<Vec<RepositoryId>>| wanted.as_ref().is_none_or(|it| it.contains(&session.repository));
        let is_by = |wanted: &Option<Vec<UserId>>| wanted.as_ref().is_none_or(|it| it.contains(&session.requester));
        if !has(&self.repositories) || !is_by(&self.authors) {
            return false;
        }
        let target = session.target_branch.as_str().to_lowercase();
        let on = |word: &str| target.contains(word) || branches.iter().any(|branch| branch.contains(word));
        if !self.branches.is_empty() && !self.branches.iter().any(|word| on(word)) {
            return false;
        }
        let (title, prompt) = (session.title.to_lowercase(), session.prompt.to_lowercase());
        let number = session.number.0.to_string();
        self.words.iter().all(|word| {
            title.contains(word.as_str())
                || prompt.contains(word.as_str())
                || word.strip_prefix("r/").unwrap_or(word) == number
                || on(word)
        })
    }
}
