use crate::support::{World, pat, worlds};
use domain::CommitId;
use forge::{Error, Message, Mirror};

/// A commit on `base` with one more file, in this mirror and nowhere else.
async fn made_in(world: &World, mirror: &Mirror, base: &CommitId, name: &str) -> CommitId {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").trim().to_owned();
    let blob = text(world.feed(&mirror.git_dir(), &["hash-object", "-w", "--stdin"], name.as_bytes()));
    let listed = world.git_in(&mirror.git_dir(), &["ls-tree", base.as_str()]);
    let entries = format!("{listed}\n100644 blob {blob}\t{name}\n");
    let tree = text(world.feed(&mirror.git_dir(), &["mktree"], entries.as_bytes())).parse().expect("a tree");
    let on = std::slice::from_ref(base);
    mirror.commit_tree(&tree, on, &Message::new(name), &pat(), &pat()).await.expect("a commit")
}

#[tokio::test]
async fn commits_travel_to_a_mirror_that_never_saw_their_trees() {
    for world in worlds().await {
        let at = world.repository("repo");
        let base = world.tip(&at, "HEAD");
        let here = world.mirror(&at).await;
        let upstream = world.upstream(&at).await;
        let there = Mirror::open_or_create(&world.git, &world.path("other"), upstream.object_format()).await;
        let there = there.expect("a second mirror");
        let first = made_in(&world, &here, &base, "first.txt").await;
        let second = made_in(&world, &here, &first, "second.txt").await;
        let all = [base.clone(), first.clone(), second.clone()];
        assert_eq!(there.missing(&all).await.expect("asked"), all, "it is empty");

        let packs = [here.pack(&first, std::slice::from_ref(&base)).await.expect("packed"), {
            here.pack(&second, std::slice::from_ref(&first)).await.expect("packed")
        }];
        let early = there.unpack(&first, &packs[0]).await;
        assert!(matches!(early, Err(Error::MissingCommit { .. })), "it stands on nothing there: {early:?}");
        there.fetch(&upstream).await.expect("fetched");
        let skipped = there.unpack(&second, &packs[1]).await;
        assert!(matches!(skipped, Err(Error::MissingCommit { .. })), "{skipped:?}");
        assert_eq!(there.missing(&all).await.expect("asked"), all[1..], "what was refused is not there");

        there.unpack(&first, &packs[0]).await.expect("taken in");
        there.unpack(&first, &packs[0]).await.expect("once more");
        there.unpack(&second, &packs[1]).await.expect("taken in");
        assert_eq!(there.missing(&all).await.expect("asked"), []);
        world.git_in(&there.git_dir(), &["fsck", "--full", "--strict", "--no-dangling"]);
        let files = world.git_in(&there.git_dir(), &["ls-tree", "-r", "--name-only", second.as_str()]);
        assert_eq!(files, "README.md\nfirst.txt\nsecond.txt");
    }
}

#[tokio::test]
async fn a_damaged_pack_brings_nothing() {
    for world in worlds().await {
        let at = world.repository("repo");
        let base = world.tip(&at, "HEAD");
        let here = world.mirror(&at).await;
        let there = Mirror::open_or_create(&world.git, &world.path("other"), forge::ObjectFormat::Sha1).await;
        let there = there.expect("a second mirror");
        there.fetch(&world.upstream(&at).await).await.expect("fetched");
        let made = made_in(&world, &here, &base, "made.txt").await;
        let mut pack = here.pack(&made, std::slice::from_ref(&base)).await.expect("packed");
        let middle = pack.len() / 2;
        pack[middle] ^= 1;
        let refused = there.unpack(&made, &pack).await;
        assert!(matches!(refused, Err(Error::MissingCommit { .. })), "{refused:?}");
        assert_eq!(there.missing(std::slice::from_ref(&made)).await.expect("asked"), [made]);
    }
}
