//! What every command has at hand.

use crate::{
    cli::{Global, When},
    config::{Config, Flags, Surroundings},
    control::Backend,
    exit::Failure,
    input::Input,
    render::Style,
    screen::Screen,
};
use domain::{AccountId, Clock};
use engine::{Person, Problem};
use futures::future::BoxFuture;
use jiff::tz::TimeZone;
use secrets::{Known, Secret};
use server::WebhookRecord;
use std::{io::IsTerminal as _, sync::Arc};
use store::{Access, Store};
use tokio::sync::mpsc;

/// Puts the parts together: with workers, or only to look things up.
pub type Compose = Box<dyn Fn(&Config, Person, Workers) -> BoxFuture<'static, Result<Composed, Problem>> + Send + Sync>;

/// Parts that were put together.
pub struct Composed {
    /// What answers commands.
    pub backend: Arc<dyn Backend>,
    /// What pages need beside it; none for a stand-in.
    pub pages: Option<Pages>,
}

/// Reads a stored secret by name.
pub type Stored = Arc<dyn Fn(String) -> BoxFuture<'static, Result<Secret, Problem>> + Send + Sync>;

/// What pages need beside what answers commands.
#[derive(Clone)]
pub struct Pages {
    /// The record.
    pub store: Arc<dyn Store>,
    /// Who may come in.
    pub access: Arc<dyn Access>,
    /// Webhooks and their secrets.
    pub webhooks: Arc<dyn WebhookRecord>,
    /// Into which account.
    pub account: AccountId,
    /// The secrets that are stored.
    pub stored: Stored,
}

/// Whether an embedded server does work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// It executes what is queued.
    Run,
    /// It only looks things up and queues.
    Rest,
}

/// The surroundings of a command.
pub struct App {
    /// The configuration.
    pub config: Config,
    /// Colours or not.
    pub style: Style,
    /// Characters in a row, on a terminal.
    pub width: Option<usize>,
    /// Where output goes.
    pub screen: Screen,
    /// True when a person sits at a terminal.
    pub interactive: bool,
    /// What is typed.
    pub input: Box<dyn Input>,
    /// Each Ctrl-C.
    pub interrupts: mpsc::UnboundedReceiver<()>,
    /// Who works here.
    pub who: Person,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The time zone that moments are shown in.
    pub zone: TimeZone,
    /// Puts the parts together.
    pub compose: Compose,
    /// What this process knows to be secret.
    pub known: Known,
    /// The command in short, for others who find the data directory taken.
    pub name: &'static str,
    /// How much more to say.
    pub verbose: u8,
}

/// Reads the configuration with the flags of the command line.
pub fn configuration(global: &Global) -> Result<Config, Failure> {
    let mut set = global.set.clone();
    match global.verbose {
        0 => {}
        1 => set.push("log=debug".into()),
        _ => set.push("log=trace".into()),
    }
    let flags = Flags { data_dir: global.data_dir.clone(), config: global.config.clone(), set };
    let around = Surroundings {
        variable: &|name| std::env::var(name).ok(),
        variables: std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect(),
        root: rustix::process::geteuid().is_root(),
        home: std::env::home_dir().filter(|home| home.is_absolute()),
    };
    Ok(Config::load(&flags, &around)?)
}

/// Whether to use colours: as asked, else on a terminal, unless `NO_COLOR` is set (no-color.org) or it is dumb.
pub fn style(when: When) -> Style {
    let colours = match when {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            std::io::stdout().is_terminal() && !refused && !dumb
        }
    };
    Style { colours }
}

/// The terminal's width, not beyond what reads well.
pub fn width() -> Option<usize> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col).clamp(40, 120))
}
