use crate::support::{pat, worlds, write};
use forge::{Conflict, Error, Merge, Message, Restack, Restacked};

#[tokio::test]
async fn merges_say_what_fits_and_what_does_not() {
    for world in worlds().await {
        let at = world.repository("repo");
        let base = world.commit(&at, "a", "1\n2\n3\n");
        world.switch(&at, "ours");
        let ours = world.commit(&at, "a", "one\n2\n3\n");
        world.git_in(&at, &["checkout", "-q", "main"]);
        world.switch(&at, "theirs");
        let theirs = world.commit(&at, "b", "new\n");
        world.git_in(&at, &["checkout", "-q", "main"]);
        world.switch(&at, "against");
        let against = world.commit(&at, "a", "uno\n2\n3\n");
        world.git_in(&at, &["checkout", "-q", "--orphan", "alone"]);
        let alone = world.commit(&at, "c", "alone");
        let mirror = world.mirror(&at).await;

        assert!(mirror.is_ancestor(&base, &ours).await.expect("asked"));
        assert!(!mirror.is_ancestor(&ours, &base).await.expect("asked"));
        assert_eq!(mirror.merge_base(&ours, &theirs).await.expect("asked"), Some(base));
        let merged = mirror.merge_commit(&ours, &theirs, &Message::new("Merge"), &pat()).await.expect("ran");
        let merged = merged.expect("fits");
        assert_eq!(mirror.parents(&merged).await.expect("parents"), [ours.clone(), theirs]);
        let a = mirror.file_at(&merged, "a", 99).await.expect("read");
        assert_eq!(a.as_deref(), Some(b"one\n2\n3\n".as_slice()));
        assert!(mirror.file_at(&merged, "b", 99).await.expect("read").is_some());

        let Merge::Conflict(Conflict { files, tree }) = mirror.merge(&ours, &against).await.expect("ran") else {
            panic!("it does not fit")
        };
        assert_eq!(files, ["a"]);
        let marked = world.git_in(&mirror.git_dir(), &["cat-file", "blob", &format!("{tree}:a")]);
        assert!(marked.contains("<<<<<<<") && marked.contains("uno"), "{marked}");
        assert!(matches!(mirror.merge(&ours, &alone).await, Err(Error::Unrelated { .. })));
    }
}

#[tokio::test]
async fn a_branch_follows_its_base_by_a_merge() {
    for world in worlds().await {
        let at = world.repository("repo");
        let old = world.commit(&at, "a", "1\n");
        world.switch(&at, "upper");
        let upper = world.commit(&at, "b", "upper\n");
        world.git_in(&at, &["checkout", "-q", "main"]);
        let new = world.commit(&at, "a", "2\n");
        let mirror = world.mirror(&at).await;
        let message = Message::new("Bring the base");
        let stack = Restack { old_base: &old, new_base: &new, head: &upper };
        let Restacked::Commit(moved) = mirror.restack(stack, &message, &pat()).await.expect("ran") else { panic!() };
        assert_eq!(mirror.parents(&moved).await.expect("parents"), [upper, new.clone()]);
        let own = mirror.diff(&new, &moved, &forge::DiffLimits::default()).await.expect("diff");
        assert_eq!(own.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["b"]);
        let again = Restack { old_base: &new, new_base: &new, head: &moved };
        assert_eq!(mirror.restack(again, &message, &pat()).await.expect("ran"), Restacked::UpToDate);
    }
}

#[tokio::test]
async fn after_a_squash_a_branch_keeps_only_its_own_work() {
    for world in worlds().await {
        let at = world.repository("repo");
        world.commit(&at, "a", "zero\n");
        world.switch(&at, "lower");
        let lower = world.commit(&at, "a", "one\n");
        world.switch(&at, "upper");
        let upper = world.commit(&at, "a", "two\n");
        world.git_in(&at, &["checkout", "-q", "main"]);
        world.git_in(&at, &["merge", "-q", "--squash", "lower"]);
        let squashed = world.commit_all(&at, "Squash lower");
        let mirror = world.mirror(&at).await;

        let plain = mirror.merge(&upper, &squashed).await.expect("ran");
        assert!(matches!(plain, Merge::Conflict(_)), "by history alone the same work was done twice");
        let stack = Restack { old_base: &lower, new_base: &squashed, head: &upper };
        let message = Message::new("Bring the base");
        let Restacked::Commit(moved) = mirror.restack(stack, &message, &pat()).await.expect("ran") else {
            panic!("it fits")
        };
        let own = mirror.diff(&squashed, &moved, &forge::DiffLimits::default()).await.expect("diff");
        assert_eq!((own.files[0].additions, own.files[0].deletions), (1, 1));
        assert!(own.files[0].patch.contains("-one\n+two\n"), "{}", own.files[0].patch);

        write(&at.join("a"), "elsewhere\n");
        let changed = world.commit_all(&at, "Change the same line");
        mirror.fetch(&world.upstream(&at).await).await.expect("fetch");
        let stack = Restack { old_base: &squashed, new_base: &changed, head: &moved };
        let result = mirror.restack(stack, &message, &pat()).await.expect("ran");
        assert!(matches!(result, Restacked::Conflict(conflict) if conflict.files == ["a"]));
    }
}
