//! Real bundles, spoiled at random: what does not pass leaves no trace, and what passes is what was made.

use crate::support::{World, worlds, write};
use domain::CommitId;
use forge::{Bundle, Error, ImportLimits, Mirror};
use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, path::Path, time::SystemTime};

/// How many bundles are spoiled for each git, or as many as the environment says.
fn rounds() -> usize {
    std::env::var("RUNYARD_BUNDLE_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

/// A repository of the hash that this crate can make itself, so that a spoiled pack can pass git's first check.
async fn scene(world: &World) -> (Mirror, CommitId, Vec<u8>) {
    let at = world.path("repo");
    std::fs::create_dir_all(&at).expect("a directory");
    world.git_in(&at, &["init", "-q", "-b", "main", "--object-format=sha256", "."]);
    write(&at.join("src/a.rs"), &"fn a() {}\n".repeat(40));
    write(&at.join("b"), "b\n");
    let base = world.commit_all(&at, "Begin");
    let mirror = world.mirror(&at).await;
    write(&at.join("src/a.rs"), &"fn a() {}\n".repeat(41));
    write(&at.join("deep/er/c"), "c\n");
    std::os::unix::fs::symlink("../b", at.join("src/link")).expect("a link");
    world.commit_all(&at, "Work");
    let since = format!("^{base}");
    let output = world.command(&at).args(["bundle", "create", "-q", "-", "HEAD", &since]).output().expect("git");
    assert!(output.status.success());
    (mirror, base, output.stdout)
}

/// Every file of the mirror with its length and time; the directories for scratch are left out, but must be empty.
fn all_of(mirror: &Mirror) -> BTreeMap<std::path::PathBuf, (u64, SystemTime)> {
    fn walk(dir: &Path, into: &mut BTreeMap<std::path::PathBuf, (u64, SystemTime)>) {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let entry = entry.expect("an entry");
            let meta = entry.metadata().expect("metadata");
            if meta.is_dir() {
                walk(&entry.path(), into);
            } else {
                into.insert(entry.path(), (meta.len(), meta.modified().expect("a time")));
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(&mirror.git_dir(), &mut files);
    walk(&mirror.git_dir().with_file_name("tmp"), &mut files);
    files
}

fn spoil(bundle: &[u8], random: &mut TestRng) -> Vec<u8> {
    let mut bytes = bundle.to_vec();
    let mut below = |limit: usize| usize::try_from(random.next_u64()).expect("64 bits") % limit.max(1);
    let pack_at = bytes.windows(4).position(|window| window == b"PACK").expect("a pack");
    for _ in 0..=below(3) {
        // As often in the header as in the pack, which is longer.
        let at = if below(2) == 0 { below(pack_at + 12) } else { pack_at + below(bytes.len().saturating_sub(pack_at)) };
        let at = at.min(bytes.len() - 1);
        match below(6) {
            0 => bytes[at] ^= 1 << below(8),
            1 => bytes[at] = u8::try_from(below(256)).expect("a byte"),
            2 => bytes.insert(at, u8::try_from(below(256)).expect("a byte")),
            3 => drop(bytes.remove(at)),
            4 => bytes.truncate(at.max(1)),
            _ => {
                let piece = bytes[at..(at + below(64)).min(bytes.len())].to_vec();
                let to = below(bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
    // Half of the packs are sealed again, or nothing beyond the seal would ever be looked at.
    if below(2) == 0
        && let Some(pack_at) = bytes.windows(4).position(|window| window == b"PACK")
        && bytes.len() > pack_at + 44
    {
        let end = bytes.len() - 32;
        let seal = Sha256::digest(&bytes[pack_at..end]);
        bytes[end..].copy_from_slice(&seal);
    }
    bytes
}

#[tokio::test]
async fn a_spoiled_bundle_leaves_no_trace() {
    for world in worlds().await {
        let (mirror, base, bundle) = scene(&world).await;
        let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
        let mut before = all_of(&mirror);
        let (mut passed, mut beyond_the_header) = (Vec::new(), 0);
        for round in 0..rounds() {
            let spoiled = spoil(&bundle, &mut random);
            match mirror.import(Bundle::Bytes(&spoiled), &base, &ImportLimits::default()).await {
                Ok(proposed) => {
                    passed.push((round, proposed));
                    before = all_of(&mirror);
                }
                Err(Error::Bundle(refused)) => {
                    let text = refused.to_string();
                    beyond_the_header += usize::from(text.contains("do not pass git's checks"));
                    assert_eq!(all_of(&mirror), before, "round {round}, refused with `{text}`, left a trace");
                }
                Err(other) => panic!("round {round}: {other:?} is not the bundle's fault"),
            }
        }
        assert!(beyond_the_header >= rounds() / 10, "only {beyond_the_header} came beyond the header");
        let honest = mirror.import(Bundle::Bytes(&bundle), &base, &ImportLimits::default()).await.expect("taken in");
        for (round, proposed) in passed {
            assert_eq!(proposed, honest, "round {round}: other work than was made passed");
        }
    }
}
