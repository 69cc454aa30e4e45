//! A small sweep: twenty kills at points of every kind, always the same ones.

use faults::{
    cases::Case,
    play::{Options, Programs, play},
};
use std::sync::Arc;

/// Cases that come to different points; between them they hold more than twenty kills.
const SEEDS: [u64; 7] = [3, 4, 7, 8, 10, 11, 14];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_break_no_promise() {
    let programs = Arc::new(Programs {
        runyard: product_tests::runyard_with_crash_points().to_owned(),
        agent: env!("CARGO_BIN_EXE_scripted-agent").into(),
        claude: "/nonexistent".into(),
    });
    let mut kills = 0;
    let mut wrong = Vec::new();
    for pair in SEEDS.chunks(2) {
        let playing: Vec<_> = pair
            .iter()
            .map(|seed| {
                let (case, programs) = (Case::of(*seed, false), programs.clone());
                let options = Options { keep: true, ..Options::default() };
                tokio::spawn(async move { play(case, &programs, &options).await })
            })
            .collect();
        for played in playing {
            let played = played.await.expect("no panic").expect("a case that can be played");
            kills += played.happened.iter().filter(|(_, mode)| mode.kills()).count();
            wrong.extend(played.violations.iter().map(|what| format!("{what} ({})", played.case.replay())));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(kills >= 20, "only {kills} kills came true: choose other seeds");
}
