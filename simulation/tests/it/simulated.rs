//! The engine's servers under virtual time: many seeds hold, the same seed repeats, and planted flaws are found.

use simulation::world::{Flaw, Outcome, Plan, run, tools};

fn outcomes(plans: impl Iterator<Item = Plan>) -> impl Iterator<Item = (Plan, Outcome)> {
    let dir = tempfile::tempdir().expect("a directory");
    let tools = tools(dir.path()).expect("git");
    plans.map(move |plan| {
        let _kept = &dir;
        (plan, run(plan, &tools).expect("runs"))
    })
}

fn seeds() -> u64 {
    std::env::var("RUNYARD_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(200)
}

#[test]
fn every_promise_holds_for_every_seed() {
    for (plan, outcome) in outcomes((0..seeds()).map(Plan::new)) {
        let seed = plan.seed;
        assert!(
            outcome.violations.is_empty(),
            "seed {seed}: {:#?}\nagain: cargo xtask bench simulate --seeds 1 --seed {seed} --history",
            outcome.violations
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let seeds = || (0..10).map(Plan::new);
    let twice = outcomes(seeds()).zip(outcomes(seeds()));
    let mut hashes = std::collections::BTreeSet::new();
    for ((plan, first), (_, second)) in twice {
        assert_eq!(first.hash, second.hash, "seed {}", plan.seed);
        hashes.insert(first.hash);
    }
    assert_eq!(hashes.len(), 10, "different seeds give different histories");
}

#[test]
fn planted_flaws_are_found() {
    for flaw in Flaw::ALL {
        let by = match flaw {
            Flaw::FenceIgnored | Flaw::WallClockLease => "I3",
            Flaw::AttemptsForgotten => "I4",
            Flaw::TwoTransactions => "I1",
            Flaw::SubscribeAfterSnapshot => "I7",
            Flaw::PullRequestNotLookedUp => "I5",
        };
        let plans = (0..150).map(|seed| {
            let plan = Plan { flaw: Some(flaw), ..Plan::new(seed) };
            match flaw {
                Flaw::AttemptsForgotten => plan.cruel(),
                _ => plan,
            }
        });
        let found = outcomes(plans)
            .find(|(_, outcome)| outcome.violations.iter().any(|violation| violation.invariant == by))
            .map(|(plan, _)| plan.seed);
        println!("{flaw:?}: {by} in seed {found:?}");
        assert!(found.is_some(), "{flaw:?} went unnoticed by {by}");
    }
}
