//! `runyard user`.

use super::JsonArg;
use clap::{Args, Subcommand, ValueEnum};

/// `runyard user`.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// List people
    List(JsonArg),
    /// Make a link that lets somebody in
    #[command(after_help = "\
The link works once, within seven days. It is printed and nowhere else: hand it over yourself.

Example: runyard user invite ada@example.org --role maintainer")]
    Invite {
        #[command(flatten)]
        person: PersonArg,
        /// What they may do
        #[arg(long, value_name = "ROLE", default_value = "member")]
        role: Role,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Make a link with which somebody chooses another password
    #[command(after_help = "\
The link works once, within a day. The password is as it was until then; with a new one all their other sign-ins end.

Example: runyard user reset-password ada@example.org")]
    ResetPassword {
        #[command(flatten)]
        person: PersonArg,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Give somebody another role; the last admin stays one
    Role {
        #[command(flatten)]
        person: PersonArg,
        /// What they may do
        role: Role,
    },
    /// Send somebody away: every sign-in and token of theirs ends at once, what they did stays
    Deactivate(PersonArg),
    /// Let somebody in again who was sent away
    Activate(PersonArg),
}

/// A person.
#[derive(Debug, Args)]
pub struct PersonArg {
    /// Their mail address
    #[arg(value_name = "MAIL")]
    pub email: String,
}

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Works with sessions
    Member,
    /// Changes settings as well
    Maintainer,
    /// Everything
    Admin,
}

impl From<Role> for domain::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Member => Self::Member,
            Role::Maintainer => Self::Maintainer,
            Role::Admin => Self::Admin,
        }
    }
}
