//! The mark of a restored record in a repository, and what a backup holds of a mirror.

use crate::support::worlds;
use domain::{Generation, Timestamp};
use forge::{Error, Mirror, ObjectFormat, Upstream};
use uuid::Uuid;

fn life(number: i64, instance: u128) -> Generation {
    Generation {
        record: Uuid::from_u128(1),
        number,
        instance: Uuid::from_u128(instance),
        since: Timestamp(number * 10 + i64::try_from(instance).expect("small")),
        backed_up_at: None,
        unsettled: false,
    }
}

#[tokio::test]
async fn only_the_newest_life_may_go_on() {
    for world in worlds().await {
        let path = world.repository("r");
        let upstream = Upstream::open(&world.git, &path).await.expect("opens");
        let before = world.git_in(&path, &["status", "--porcelain"]);
        let refs = world.git_in(&path, &["for-each-ref"]);
        upstream.raise_generation(&life(1, 1)).await.expect("a record that never was restored");
        assert_eq!(world.git_in(&path, &["for-each-ref"]), refs, "it leaves no mark");

        upstream.raise_generation(&life(2, 2)).await.expect("raises");
        upstream.raise_generation(&life(2, 2)).await.expect("again");
        upstream.check_generation(&life(2, 2)).await.expect("it is the newest");
        let error = upstream.check_generation(&life(1, 1)).await.expect_err("superseded");
        assert!(matches!(error, Error::Superseded { ours: 1, found: 2, .. }), "{error}");
        // The same backup restored once more, later: the first restore yields.
        upstream.raise_generation(&life(2, 3)).await.expect("raises");
        upstream.raise_generation(&life(2, 2)).await.expect_err("it does not take the mark back");
        assert_eq!(upstream.generation(Uuid::from_u128(1)).await.expect("reads").map(|found| found.number), Some(2));

        let other = Generation { record: Uuid::from_u128(9), ..life(1, 7) };
        upstream.check_generation(&other).await.expect("another record is none of its business");
        assert_eq!(world.git_in(&path, &["status", "--porcelain"]), before);

        world.git_in(&path, &["update-ref", &format!("refs/runyard/records/{}", Uuid::from_u128(1)), "HEAD"]);
        upstream.check_generation(&life(2, 3)).await.expect_err("a mark that cannot be read: safe is to stop");
    }
}

#[tokio::test]
async fn what_is_kept_survives_without_the_repository() {
    for world in worlds().await {
        let path = world.repository("r");
        let upstream = Upstream::open(&world.git, &path).await.expect("opens");
        let mirror = Mirror::open_or_create(&world.git, &world.path("m"), ObjectFormat::Sha1).await.expect("a mirror");
        let file = world.path("kept.bundle");
        mirror.fetch(&upstream).await.expect("fetches");
        assert!(!mirror.bundle_kept(&file).await.expect("asks") && !file.exists(), "nothing is kept yet");
        let main = mirror.resolve_branch(&"main".parse().expect("a branch")).await.expect("main");
        let names = ["runs/1", "changes/2", "sessions/3/base"].map(|name| name.parse().expect("a name"));
        for name in &names {
            mirror.keep(name, &main).await.expect("keeps");
        }
        assert!(mirror.bundle_kept(&file).await.expect("bundles"));
        std::fs::remove_dir_all(&path).expect("the repository is lost");

        let fresh = Mirror::open_or_create(&world.git, &world.path("f"), ObjectFormat::Sha1).await.expect("a mirror");
        fresh.take_in_kept(&file).await.expect("takes in");
        for name in &names {
            assert_eq!(fresh.kept(name).await.expect("reads").as_ref(), Some(&main));
        }
        world.git_in(&fresh.git_dir(), &["fsck", "--strict", "--full"]);

        let mut bytes = std::fs::read(&file).expect("reads");
        let last = bytes.len() - 30;
        bytes[last] ^= 1;
        std::fs::write(&file, bytes).expect("writes");
        let third = Mirror::open_or_create(&world.git, &world.path("g"), ObjectFormat::Sha1).await.expect("a mirror");
        third.take_in_kept(&file).await.expect_err("an altered bundle");
    }
}
