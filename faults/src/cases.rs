//! What happens in a case, drawn from its seed and nothing else.

use crate::points::{ERRORS, POINTS, Point};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::{fmt, time::Duration};

/// What a person wants in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Three steps, a stack of three pull requests.
    Stacked,
    /// Three steps, one pull request, nobody is asked.
    OneShot,
    /// The second step asks a question.
    Asks,
    /// The second step hangs, is stopped, and is tried again.
    Stopped,
    /// Two steps; then a question, a revision and two merges.
    Review,
    /// The agent breaks down once.
    Trouble,
    /// The same step is hit until it is given up.
    Poison,
    /// Nobody starts the server again.
    Alone,
    /// On PostgreSQL: a server dies or stands still past its lease, and another one carries on.
    TwoServers,
    /// On PostgreSQL, whose processes die too.
    Postgres,
}

impl Scenario {
    /// Whether the record is on PostgreSQL.
    pub fn on_postgres(self) -> bool {
        matches!(self, Self::TwoServers | Self::Postgres)
    }
}

/// The order in which cases come.
const ORDER: [Scenario; 14] = [
    Scenario::Stacked,
    Scenario::OneShot,
    Scenario::Stacked,
    Scenario::Asks,
    Scenario::OneShot,
    Scenario::Stopped,
    Scenario::Stacked,
    Scenario::Review,
    Scenario::Poison,
    Scenario::OneShot,
    Scenario::Trouble,
    Scenario::Alone,
    Scenario::TwoServers,
    Scenario::Postgres,
];

/// What dies, hangs or fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The server, by its own hand, as by `kill -9`.
    Kill,
    /// The server, as a panic would end it.
    Exit,
    /// The server with its process group.
    Group,
    /// The first process of each sandbox, from the host.
    Shim,
    /// The agent, from the host.
    Agent,
    /// The agent and then the server.
    Both,
    /// A process of PostgreSQL that serves the server, which ends all of its connections.
    Database,
    /// The server stands still for longer than its lease and goes on.
    Hang,
    /// It goes on after a while that is shorter than the lease.
    Slow,
    /// The call fails, this often.
    Error(u64),
}

impl Mode {
    /// Whether a process dies by `SIGKILL` (or, as a panic would, by `abort`).
    pub fn kills(self) -> bool {
        !matches!(self, Self::Hang | Self::Slow | Self::Error(_))
    }

    /// Whether the server itself dies.
    pub fn ends_server(self) -> bool {
        matches!(self, Self::Kill | Self::Exit | Self::Group | Self::Both)
    }

    /// Whether the server only stands still at the point and the harness does the rest.
    pub fn is_from_outside(self) -> bool {
        matches!(self, Self::Group | Self::Shim | Self::Agent | Self::Both | Self::Database | Self::Hang)
    }

    /// What is ordered at the point, for the N-th time that it is reached.
    fn order(self, at: u64) -> String {
        match self {
            Self::Kill => format!("kill@{at}"),
            Self::Exit => format!("exit@{at}"),
            Self::Slow => format!("sleep(700)@{at}"),
            Self::Error(times) => format!("return(planned by the harness)@{at}-{}", at + times - 1),
            Self::Group | Self::Shim | Self::Agent | Self::Both | Self::Database | Self::Hang => format!("stop@{at}"),
        }
    }
}

/// One fault: it belongs to one life of the server.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The point's name.
    pub point: &'static str,
    /// The time that it is reached.
    pub at: u64,
    /// What happens.
    pub mode: Mode,
    /// How long nobody starts the server again.
    pub pause: Duration,
}

impl Fault {
    /// As `RUNYARD_FAILPOINTS` has it.
    pub fn order(&self) -> String {
        format!("{}={}", self.point, self.mode.order(self.at))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?}, then {} ms)", self.order(), self.mode, self.pause.as_millis())
    }
}

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its seed.
    pub seed: u64,
    /// What is wanted.
    pub scenario: Scenario,
    /// What goes wrong, life by life; the lives after that are calm.
    pub faults: Vec<Fault>,
    /// The point that it goes for, when it does.
    pub aim: Option<&'static str>,
    /// The real Claude Code instead of the scripted agent.
    pub real: bool,
    /// How many lines each agent writes.
    pub lines: u64,
    /// Milliseconds between two lines.
    pub pace: u64,
    /// Every N-th line comes in two pieces.
    pub torn: u64,
    /// The person answers once the action was put to rest, and not while the agent still waits for them.
    pub lets_wait: bool,
}

/// How long a server's lease outlives it in every case.
pub const PATIENCE: Duration = Duration::from_millis(1500);
/// How often a lease is renewed.
pub const BEAT: Duration = Duration::from_millis(300);

impl Case {
    /// The case of a seed. Neighbouring seeds go through the scenarios and through the points of each in turn.
    pub fn of(seed: u64, real: bool) -> Self {
        let count = u64::try_from(ORDER.len()).unwrap_or(1);
        let scenario = if real {
            [Scenario::Stacked, Scenario::OneShot][usize::try_from(seed % 2).unwrap_or(0)]
        } else {
            ORDER[usize::try_from(seed % count).unwrap_or(0)]
        };
        Self::drawn(seed, scenario, real, None)
    }

    /// A case that goes for one point first.
    pub fn aimed(seed: u64, point: &'static Point) -> Self {
        Self::drawn(seed, point.scenarios[0], false, Some(point))
    }

    fn drawn(seed: u64, scenario: Scenario, real: bool, aim: Option<&'static Point>) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let mut faults = Vec::new();
        match scenario {
            Scenario::Poison => {
                let point = ["crash-way-out-open", "crash-agent-ended"][dice.random_range(0..2)];
                for life in 0..5 {
                    // The plan passes; from then on the first step is hit again and again.
                    let at = if life == 0 { 2 } else { 1 };
                    faults.push(Fault { point, at, mode: Mode::Kill, pause: Duration::from_millis(20) });
                }
            }
            Scenario::TwoServers => {
                let of_it: Vec<_> =
                    POINTS.iter().filter(|point| point.scenarios.contains(&Scenario::Stacked)).collect();
                // What a server comes to that has a session to work on.
                let of_it = &of_it[of_it.iter().position(|point| point.name == "crash-action-claimed").unwrap_or(0)..];
                let point = of_it[usize::try_from(seed / 14).unwrap_or(0) * 5 % of_it.len()];
                let at = dice.random_range(1..=point.times.min(12));
                let mode = if dice.random_bool(0.7) { Mode::Hang } else { Mode::Group };
                faults.push(Fault { point: point.name, at, mode, pause: Duration::ZERO });
            }
            Scenario::Postgres => {
                for _ in 0..4 {
                    let at = dice.random_range(1..=60);
                    let database = dice.random_bool(0.5);
                    let mode = if database { Mode::Database } else { Mode::Kill };
                    let point =
                        if dice.random_bool(0.5) { "crash-transaction-written" } else { "crash-transaction-done" };
                    faults.push(Fault { point, at, mode, pause: Duration::from_millis(20) });
                }
            }
            Scenario::Alone => {
                let near = [("crash-output-stored", 8), ("crash-exec-started", 2), ("crash-line-journaled", 5)];
                let (point, most) = near[dice.random_range(0..near.len())];
                let at = dice.random_range(1..=most);
                faults.push(Fault { point, at, mode: Mode::Group, pause: Duration::ZERO });
            }
            _ => {
                if let Some(point) = aim {
                    add(&mut faults, point, 1, Mode::Kill, Duration::from_millis(20));
                } else {
                    let wanted = dice.random_range(4..=6);
                    let of_it: Vec<_> = POINTS.iter().filter(|point| point.scenarios.contains(&scenario)).collect();
                    let step = of_it.len().div_euclid(3) | 1;
                    let first = usize::try_from(seed.wrapping_mul(7)).unwrap_or(0) % of_it.len();
                    let mut chosen: Vec<_> = (0..wanted).map(|n| of_it[(first + n * step) % of_it.len()]).collect();
                    // In the order of the work most of them are still ahead when the one before was survived.
                    chosen.sort_by_key(|point| POINTS.iter().position(|known| known.name == point.name));
                    for point in chosen {
                        let often = if dice.random_bool(0.5) { 1 } else { point.times };
                        let at = dice.random_range(1..=often);
                        let (mode, pause) = (mode(&mut dice), pause(&mut dice));
                        add(&mut faults, point, at, mode, pause);
                        if dice.random_bool(0.2) {
                            let point = ERRORS[dice.random_range(0..ERRORS.len())];
                            let most = if point.starts_with("fail-commit") || point == "fail-blob" { 20 } else { 2 };
                            let at = dice.random_range(1..=most);
                            let mode = Mode::Error(dice.random_range(1..=2));
                            faults.push(Fault { point, at, mode, pause: Duration::ZERO });
                        }
                    }
                }
            }
        }
        let lets_wait = lets_wait(&faults).unwrap_or_else(|| seed.is_multiple_of(2));
        let lines = if dice.random_bool(0.2) { dice.random_range(30..50) } else { dice.random_range(3..15) };
        let pace = if dice.random_bool(0.5) { 0 } else { dice.random_range(1..10) };
        Self {
            seed,
            scenario,
            faults,
            aim: aim.map(|point| point.name),
            real,
            lines,
            pace,
            torn: dice.random_range(0..4) * 3,
            lets_wait,
        }
    }

    /// How long the agent's question waits for an answer before the action is put to rest.
    pub fn hold(&self) -> Duration {
        if self.lets_wait { Duration::from_millis(400) } else { Duration::from_secs(30) }
    }

    /// What goes wrong in each life of the server: any number of errors and pauses, at most one that is done from outside,
    /// and at last one that ends it.
    pub fn lives(&self) -> Vec<Vec<Fault>> {
        let mut lives: Vec<Vec<Fault>> = vec![Vec::new()];
        for fault in &self.faults {
            let mut fault = fault.clone();
            let Some(life) = lives.last_mut() else { continue };
            if fault.mode.is_from_outside() && life.iter().any(|other| other.mode.is_from_outside()) {
                fault.mode = Mode::Kill;
            }
            let ends = fault.mode.ends_server();
            life.push(fault);
            if ends {
                lives.push(Vec::new());
            }
        }
        lives.retain(|life| !life.is_empty());
        lives
    }

    /// How a person sees this case again.
    pub fn replay(&self) -> String {
        let real = if self.real { " --real-claude 1" } else { "" };
        let aim = self.aim.map(|point| format!(" --point {point}")).unwrap_or_default();
        format!("cargo xtask bench crash --seed {} --cases 1{real}{aim} --history", self.seed)
    }
}

/// What the person has to do so that the faults come true; nothing when it does not matter.
fn lets_wait(faults: &[Fault]) -> Option<bool> {
    let goes_for = |name: &str| faults.iter().any(|fault| fault.point == name);
    if goes_for("crash-answer-heard") {
        return Some(false);
    }
    goes_for("crash-put-to-rest").then_some(true)
}

fn add(faults: &mut Vec<Fault>, point: &'static Point, at: u64, mode: Mode, pause: Duration) {
    if let Some(before) = point.after {
        let at = if before == "crash-output-stored" { 4 } else { 1 };
        faults.push(Fault { point: before, at, mode: Mode::Kill, pause: Duration::from_millis(20) });
    }
    faults.push(Fault { point: point.name, at, mode, pause });
}

fn mode(dice: &mut ChaCha8Rng) -> Mode {
    match dice.random_range(0..100) {
        0..56 => Mode::Kill,
        56..62 => Mode::Exit,
        62..74 => Mode::Group,
        74..80 => Mode::Shim,
        80..86 => Mode::Agent,
        86..92 => Mode::Both,
        92..97 => Mode::Hang,
        _ => Mode::Slow,
    }
}

fn pause(dice: &mut ChaCha8Rng) -> Duration {
    let milliseconds = match dice.random_range(0..100) {
        0..70 => dice.random_range(0..60),
        70..85 => dice.random_range(200..1200),
        // Longer than the lease.
        _ => 2200,
    };
    Duration::from_millis(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_case_each_time_and_neighbours_differ() {
        let told = |seed| format!("{:?}", Case::of(seed, false));
        assert_eq!(told(7), told(7));
        assert_ne!(told(7), told(19));
    }
}
