//! One request: who asks, and what was read for it already.

use super::error::{Code, Failure, problem};
use crate::{
    gate::{Caller, Proof},
    state::State,
};
use async_graphql::{PathSegment, Response};
use domain::{Member, UserId};
use engine::{Command, Reply, Right, Told, may};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::OnceCell;

/// What the resolvers of one request share.
pub struct Call {
    /// The server's parts.
    pub state: Arc<State>,
    /// Who asks.
    pub caller: Caller,
    people: OnceCell<HashMap<UserId, Member>>,
}

impl Call {
    pub(super) fn new(state: Arc<State>, caller: Caller) -> Self {
        Self { state, caller, people: OnceCell::new() }
    }

    /// Does what is asked, if the caller may.
    pub async fn ask(&self, command: Command) -> Result<Reply, Failure> {
        self.must(command.needs())?;
        self.state.call(&self.caller, command).await.map_err(problem)
    }

    /// Does what is none of the engine's commands; what it changes is written down as the caller's.
    pub async fn doing<F: Future>(&self, told: Told, work: F) -> F::Output {
        self.state.doing(&self.caller, told, work).await
    }

    /// Writes down which operations were refused for want of a right.
    pub async fn note_refusals(&self, response: &Response) {
        for error in &response.errors {
            let extension = |name: &str| error.extensions.as_ref().and_then(|extensions| extensions.get(name));
            let denied = extension("code") == Some(&Code::Forbidden.text().into()) && extension("field").is_none();
            if let (true, Some(PathSegment::Field(operation))) = (denied, error.path.first()) {
                let told = Told::new("operation.refused", operation);
                self.state.refused(self.caller.deed(&self.state, told)).await;
            }
        }
    }

    /// Refuses a caller who may not.
    pub fn must(&self, right: Right) -> Result<(), Failure> {
        if may(self.caller.role, right) {
            return Ok(());
        }
        let wanted = match right {
            Right::Look | Right::Work => "a member",
            Right::Configure => "a maintainer",
            Right::Administer => "an admin",
        };
        Err(Failure::new(Code::Forbidden, format!("only {wanted} may do this")).mend("ask an admin of the account"))
    }

    /// Refuses programs: what is about people is done by people.
    pub fn must_be_person(&self) -> Result<&Member, Failure> {
        let told = || Failure::new(Code::Forbidden, "a token of the account is nobody").mend("use a token of a person");
        self.caller.member.as_ref().ok_or_else(told)
    }

    /// Refuses everybody who did not sign in with a password: a leaked token must not make further ones.
    pub fn must_be_signed_in(&self) -> Result<&Member, Failure> {
        match self.caller.proof {
            Proof::SignIn(..) => self.must_be_person(),
            Proof::Token(..) => {
                Err(Failure::new(Code::Forbidden, "a token may not do this").mend("sign in with your password"))
            }
        }
    }

    /// Everybody of the account, read once.
    pub async fn people(&self) -> Result<&HashMap<UserId, Member>, Failure> {
        self.people
            .get_or_try_init(|| async {
                let members = self.state.access.members(self.state.account).await?;
                Ok(members.into_iter().map(|member| (member.user.id, member)).collect())
            })
            .await
    }

    /// A person by id.
    pub async fn person(&self, id: UserId) -> Result<Option<&Member>, Failure> {
        Ok(self.people().await?.get(&id))
    }
}
