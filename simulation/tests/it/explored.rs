//! The model, explored to its last state within bounds.

use simulation::model::{Act, Faults, Planted, Protocol};
use stateright::{Checker, Expectation, Model};

/// How an exploration may go wrong: the property, and the acts that lead there.
type Violation = (&'static str, Vec<Act>);

fn protocol(servers: u8, (stops, hiccups): (u8, u8)) -> Protocol {
    Protocol { servers, one_host: false, watching: false, faults: Faults { stops, hiccups }, planted: None }
}

/// What is violated first, and which of the things that should be possible were seen.
fn explore(protocol: Protocol) -> (Vec<Violation>, Vec<&'static str>, usize) {
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    let (mut violations, mut seen) = (Vec::new(), Vec::new());
    for (name, path) in checker.discoveries() {
        match protocol.property(name).expectation {
            Expectation::Sometimes => seen.push(name),
            _ => violations.push((name, path.into_actions())),
        }
    }
    (violations, seen, checker.unique_state_count())
}

fn holds(protocol: Protocol, at_least: usize) -> Vec<&'static str> {
    let (violations, seen, states) = explore(protocol);
    assert!(violations.is_empty(), "{protocol:?}\n{violations:#?}");
    assert!(states >= at_least, "only {states} states of {protocol:?}");
    seen
}

#[test]
fn a_server_alone_may_die_three_times_and_mishear_once() {
    let seen = holds(Protocol { one_host: true, ..protocol(1, (3, 1)) }, 50_000);
    assert!(seen.contains(&"an action is given up after too many crashes"), "{seen:?}");
}

#[test]
fn two_servers_on_one_host_may_be_stopped_three_times() {
    let seen = holds(Protocol { one_host: true, ..protocol(2, (3, 0)) }, 200_000);
    assert_eq!(seen.len(), 6, "not everything that can happen did: {seen:?}");
}

#[test]
fn two_servers_on_two_hosts_may_be_stopped_twice_and_mishear_once() {
    holds(protocol(2, (1, 1)), 50_000);
    holds(protocol(2, (2, 0)), 50_000);
}

#[test]
fn looking_and_taking_over_may_be_far_apart() {
    holds(Protocol { watching: true, ..protocol(2, (1, 0)) }, 10_000);
}

/// A mistake is found, and by which properties it may be.
#[test]
fn every_planted_mistake_is_found() {
    let small = protocol(2, (1, 0));
    for planted in Planted::ALL {
        let one_host = Protocol { one_host: true, ..small };
        let (bounds, by) = match planted {
            Planted::FenceIgnored => (small, "no write under a stale epoch"),
            Planted::SandboxIgnoresEpoch => (one_host, "no sandbox obeys a stale epoch"),
            Planted::WayOutUnchecked => (small, "no call is admitted under a stale epoch"),
            Planted::PullRequestNotLookedUp => (small, "a change has one pull request"),
            Planted::PushBlind => (small, "the branch has only what is on record, and only goes forward"),
            Planted::PushBeforeNote => (small, "the branch has only what is on record, and only goes forward"),
            Planted::TwoTransactions => (small, "a completed step is worked on no more"),
            Planted::AttemptsForgotten => (small, "every attempt is counted"),
            Planted::TakeOverWithoutCompare => (Protocol { watching: true, ..small }, "a beating lease is not taken"),
            Planted::CommittedRunFails => {
                (protocol(1, (0, 1)), "a step has one result, and its commit is the only one")
            }
            Planted::PoisonLeavesRun => (protocol(1, (3, 0)), "without faults everything ends"),
            Planted::OwnLeasesUnwatched => (protocol(1, (0, 1)), "without faults everything ends"),
        };
        let (violations, _, _) = explore(Protocol { planted: Some(planted), ..bounds });
        let found: Vec<_> = violations.iter().map(|(name, _)| *name).collect();
        assert!(found.contains(&by), "{planted:?} is not found by `{by}`, but by {found:?}");
    }
}
