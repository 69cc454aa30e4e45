//! What whoever has the server's machine may ask about people: the acts of an admin, without signing in.

use crate::people::{LinkFor, checked_email, make_link, told_of, told_of_link};
use domain::{
    AccountId, Clock, Deed, DoerKind, LinkPurpose, Member, MemberChange, Mint, Outcome, Role, Timestamp, Via,
};
use engine::{Person, Problem, ProblemCode, Told};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};
use store::{Access, StoreError};

/// Something asked about people. They are named by their mail addresses, in any case of ASCII letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum PeopleCommand {
    /// Who is there. Answers with [`PeopleReply::People`].
    List,
    /// Lets somebody in. Answers with [`PeopleReply::Link`].
    Invite {
        /// Their mail address.
        email: String,
        /// What they may do.
        role: Role,
    },
    /// Lets somebody who is there choose another password. Answers with [`PeopleReply::Link`].
    ResetPassword {
        /// Whose.
        email: String,
    },
    /// Gives a person another role. Answers with [`PeopleReply::Person`].
    SetRole {
        /// Whom.
        email: String,
        /// Which.
        role: Role,
    },
    /// Sends a person away, or lets them in again. Answers with [`PeopleReply::Person`].
    SetActive {
        /// Whom.
        email: String,
        /// In or out.
        active: bool,
    },
}

/// What was found or done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "told", content = "value", rename_all = "snake_case")]
pub enum PeopleReply {
    /// People by name.
    People(Vec<Member>),
    /// A person as they are now.
    Person(Member),
    /// A link to hand over; it is nowhere else.
    Link {
        /// For whom.
        email: String,
        /// Its address below the server's.
        path: String,
        /// Where people reach the server, without a slash at the end; none while it does not listen.
        base: Option<String>,
        /// From when on it is refused.
        expires_at: Timestamp,
    },
}

/// Answers what is asked about the people of one account.
pub struct Desk {
    access: Arc<dyn Access>,
    account: AccountId,
    clock: Arc<dyn Clock>,
    mint: Arc<dyn Mint>,
    base: OnceLock<String>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("account", &self.account).field("base", &self.base).finish_non_exhaustive()
    }
}

impl Desk {
    /// A desk of a server that does not listen (yet).
    pub fn new(access: Arc<dyn Access>, account: AccountId, clock: Arc<dyn Clock>, mint: Arc<dyn Mint>) -> Self {
        Self { access, account, clock, mint, base: OnceLock::new() }
    }

    /// Tells the desk once where people reach the server.
    pub fn reached_at(&self, url: &str) {
        // Whoever comes second says the same: a process listens once.
        let _ = self.base.set(url.trim_end_matches('/').to_owned());
    }

    /// Does what somebody asks who has the server's machine, and says who they are.
    pub async fn ask(&self, who: Option<&Person>, command: PeopleCommand) -> Result<PeopleReply, Problem> {
        match command {
            PeopleCommand::List => Ok(PeopleReply::People(self.access.members(self.account).await?)),
            PeopleCommand::Invite { email, role } => {
                let email = checked_email(&email).map_err(|why| Problem::new(ProblemCode::BadRequest, why))?;
                if let Some(known) = self.find(&email).await? {
                    let mend = if known.active { "reset-password" } else { "activate" };
                    let message = format!("{} is there already, as {}", email, known.user.name);
                    let known = Problem::new(ProblemCode::Conflict, message);
                    return Err(known.command(format!("did you mean: runyard user {mend} {email}")));
                }
                self.link(who, LinkPurpose::Invitation, email, role).await
            }
            PeopleCommand::ResetPassword { email } => {
                let member = self.named(&email).await?;
                if !member.active {
                    let away = Problem::new(ProblemCode::Conflict, format!("{} was sent away", member.user.email));
                    return Err(away.command(format!("let them in again: runyard user activate {}", member.user.email)));
                }
                self.link(who, LinkPurpose::PasswordReset, member.user.email, member.user.role).await
            }
            PeopleCommand::SetRole { email, role } => self.change(who, &email, MemberChange::Role(role)).await,
            PeopleCommand::SetActive { email, active } => self.change(who, &email, MemberChange::Active(active)).await,
        }
    }

    fn deed(&self, who: Option<&Person>, told: Told) -> Deed {
        let Told { action, target, details } = told;
        Deed {
            at: self.clock.now(),
            kind: DoerKind::CommandLine,
            actor: who.map_or_else(|| "command line".to_owned(), |who| who.email.clone()),
            via: Via::CommandLine,
            address: None,
            action: action.to_owned(),
            target,
            outcome: Outcome::Done,
            details,
        }
    }

    async fn link(
        &self,
        who: Option<&Person>,
        purpose: LinkPurpose,
        email: String,
        role: Role,
    ) -> Result<PeopleReply, Problem> {
        let wanted = LinkFor { purpose, email: Some(email.clone()), role, by: None };
        let parts = (self.clock.as_ref(), self.mint.as_ref());
        let deed = self.deed(who, told_of_link(purpose, &email, role));
        let work = make_link(self.access.as_ref(), self.account, parts, wanted);
        let (value, link) = store::doing(self.account, deed, work).await?;
        let path = format!("/welcome/{}", value.expose());
        Ok(PeopleReply::Link { email, path, base: self.base.get().cloned(), expires_at: link.expires_at })
    }

    async fn change(&self, who: Option<&Person>, email: &str, change: MemberChange) -> Result<PeopleReply, Problem> {
        let member = self.named(email).await?;
        let work = self.access.change_member(self.account, member.user.id, &change);
        let changed = store::doing(self.account, self.deed(who, told_of(&change)), work).await;
        changed.map(PeopleReply::Person).map_err(|error| match error {
            StoreError::LastAdmin => {
                let last = Problem::new(ProblemCode::Conflict, format!("{} is the last admin", member.user.email));
                last.command("make somebody else an admin first: runyard user role MAIL admin")
            }
            other => other.into(),
        })
    }

    async fn named(&self, email: &str) -> Result<Member, Problem> {
        let found = self.find(email.trim()).await?;
        found.ok_or_else(|| {
            let nobody = Problem::new(ProblemCode::NotFound, format!("there is nobody with the address {email:?}"));
            nobody.command("`runyard user list` shows everybody; `runyard user invite` lets somebody in")
        })
    }

    async fn find(&self, email: &str) -> Result<Option<Member>, Problem> {
        let members = self.access.members(self.account).await?;
        Ok(members.into_iter().find(|member| member.user.email.eq_ignore_ascii_case(email)))
    }
}
