//! The engine's servers under virtual time: many seeds hold, the same seed repeats, and planted flaws are found.

use simulation::world::{Flaw, Outcome, Plan, many, run, tools};
use std::{collections::BTreeSet, sync::Mutex};

fn outcomes(plans: impl Iterator<Item = Plan>) -> impl Iterator<Item = (Plan, Outcome)> {
    let dir = tempfile::tempdir().expect("a directory");
    let tools = tools(dir.path()).expect("git");
    plans.map(move |plan| {
        let _kept = &dir;
        (plan, run(plan, &tools).expect("runs"))
    })
}

fn seeds() -> u64 {
    std::env::var("RUNYARD_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(2000)
}

#[test]
fn every_promise_holds_for_every_seed() {
    let dir = tempfile::tempdir().expect("a directory");
    let tools = tools(dir.path()).expect("git");
    let wrong = Mutex::new(Vec::new());
    let each = |seed, outcome: &Outcome| {
        if !outcome.violations.is_empty() {
            let again = format!("again: cargo xtask bench simulate --seeds 1 --seed {seed} --history");
            wrong.lock().expect("nobody panics").push((seed, outcome.violations.clone(), again));
        }
    };
    let met = many(0..seeds(), Plan::new, &tools, each).expect("runs");
    println!("met: {met}");
    let wrong = wrong.into_inner().expect("nobody panics");
    assert!(wrong.is_empty(), "{} seeds: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
    assert_eq!(met.unmet(), Vec::<&str>::new(), "nothing was shown about what was never met");
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let seeds = || (0..10).map(Plan::new);
    let twice = outcomes(seeds()).zip(outcomes(seeds()));
    let mut hashes = BTreeSet::new();
    for ((plan, first), (_, second)) in twice {
        assert_eq!(first.hash, second.hash, "seed {}", plan.seed);
        hashes.insert(first.hash);
    }
    assert_eq!(hashes.len(), 10, "different seeds give different histories");
}

#[test]
fn planted_flaws_are_found() {
    let mut unnoticed = Vec::new();
    for flaw in Flaw::ALL {
        let by = match flaw {
            Flaw::FenceIgnored | Flaw::WallClockLease | Flaw::SecondAgent => "I3",
            Flaw::AttemptsForgotten => "I4",
            Flaw::TwoTransactions => "I2",
            Flaw::SubscribeAfterSnapshot => "I7",
            Flaw::PullRequestNotLookedUp | Flaw::PushBeforeNote => "I5",
            Flaw::SandboxOutlivesLease => "I6",
            Flaw::StopForgotten => "I11",
        };
        let plans = (0..600).map(|seed| {
            let plan = Plan { flaw: Some(flaw), ..Plan::new(seed) };
            match flaw {
                Flaw::AttemptsForgotten => plan.cruel(),
                Flaw::StopForgotten => Plan { people: 200, ..plan },
                // An agent that is done soon does not show that nothing ends it, nor that one beside it is noticed.
                Flaw::SandboxOutlivesLease | Flaw::SecondAgent => Plan { work: plan.lease * 10, ..plan },
                _ => plan,
            }
        });
        let mut others = BTreeSet::new();
        let found = outcomes(plans).find_map(|(plan, outcome)| {
            let invariants: BTreeSet<_> = outcome.violations.iter().map(|violation| violation.invariant).collect();
            let found = invariants.contains(by).then_some(plan);
            others.extend(invariants);
            if found.is_some() {
                println!("{:?}", outcome.violations);
            }
            found
        });
        println!("{flaw:?}: {by} in seed {:?}", found.map(|plan| plan.seed));
        let Some(plan) = found else {
            unnoticed.push(format!("{flaw:?} by {by}, but by {others:?}"));
            continue;
        };
        // The same without the flaw holds: it is the flaw that is noticed.
        for (_, outcome) in outcomes(std::iter::once(Plan { flaw: None, ..plan })) {
            let seed = plan.seed;
            assert!(outcome.violations.is_empty(), "{flaw:?}, seed {seed} without it: {:?}", outcome.violations);
        }
    }
    assert_eq!(unnoticed, Vec::<String>::new(), "flaws that went unnoticed");
}
