//! Trees that made some git execute or write what it must not. They are tried as what a sandbox hands over and as what a
//! repository has, with a trap at every place that such a tree leads to.

use crate::support::{World, worlds, write};
use forge::{Bundle, Error, ImportLimits};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// What becomes of a tree that a sandbox hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handed {
    /// It is not taken in.
    Refused,
    /// It does no harm, and people are told of the link in it.
    Flagged,
}

struct Tree {
    hole: &'static str,
    modules: &'static str,
    /// Mode, path, and content or what a link says.
    entries: &'static [(&'static str, &'static str, &'static str)],
    handed: Handed,
}

/// `@` stands for a directory outside of everything.
const TREES: &[Tree] = &[
    Tree {
        hole: "CVE-2018-11235: a submodule's name leads out of .git/modules",
        modules: "[submodule \"../../evil\"]\n\tpath = sub\n\turl = ./sub\n",
        entries: &[("160000", "sub", "")],
        handed: Handed::Refused,
    },
    Tree {
        hole: "CVE-2018-17456: an option for an address",
        modules: "[submodule \"x\"]\n\tpath = sub\n\turl = -u./payload\n",
        entries: &[("160000", "sub", ""), ("100755", "payload", "#!/bin/sh\ntouch @/ran\n")],
        handed: Handed::Refused,
    },
    Tree {
        hole: "CVE-2018-17456: an option for a path",
        modules: "[submodule \"x\"]\n\tpath = -u./payload\n\turl = ./sub\n",
        entries: &[("160000", "sub", "")],
        handed: Handed::Refused,
    },
    Tree {
        hole: "CVE-2019-19604: a command for an update",
        modules: "[submodule \"x\"]\n\tpath = sub\n\turl = ./sub\n\tupdate = !touch @/ran\n",
        entries: &[("160000", "sub", "")],
        handed: Handed::Refused,
    },
    Tree {
        hole: "CVE-2020-5260: an address with an end of line",
        modules: "[submodule \"x\"]\n\tpath = sub\n\turl = \"https://evil.test?%0ahost=github.com\"\n",
        entries: &[("160000", "sub", "")],
        handed: Handed::Refused,
    },
    Tree {
        hole: "CVE-2021-21300: a link and a directory that differ in case, and a filter that delays",
        modules: "",
        entries: &[
            ("100644", ".gitattributes", "A/post-checkout filter=lfs diff=lfs merge=lfs\n"),
            ("100755", "A/post-checkout", "#!/bin/sh\ntouch @/ran\n"),
            ("120000", "a", ".git/hooks"),
        ],
        handed: Handed::Flagged,
    },
    Tree {
        hole: "CVE-2023-25652: a link where a rejected patch would be written",
        modules: "",
        entries: &[("120000", "README.md.rej", "@/written"), ("120000", "x.orig", "@/written")],
        handed: Handed::Flagged,
    },
    Tree {
        hole: "CVE-2023-29007: an address so long that its end is read as configuration",
        modules: "[submodule \"x\"]\n\tpath = sub\n\turl = LONG[core]fsmonitor=touch @/ran\n",
        entries: &[("160000", "sub", "")],
        handed: Handed::Refused,
    },
    Tree {
        hole: "CVE-2024-32002: a submodule below a directory that is a link to .git when case does not count",
        modules: "[submodule \"x/y\"]\n\tpath = A/modules/x\n\turl = ./sub\n",
        entries: &[("160000", "A/modules/x", ""), ("120000", "a", ".git")],
        handed: Handed::Refused,
    },
    Tree {
        hole: "CVE-2025-48384: a carriage return at the end of a submodule's path",
        modules: "[submodule \"sub\"]\n\tpath = \"sub\r\"\n\turl = ./sub\n",
        entries: &[("160000", "sub\r", ""), ("120000", "sub", ".git/modules/sub/hooks")],
        handed: Handed::Refused,
    },
    Tree {
        hole: "CVE-2025-48384: the same as a file",
        modules: "",
        entries: &[("100755", "hooks\r", "#!/bin/sh\ntouch @/ran\n")],
        handed: Handed::Refused,
    },
];

impl Tree {
    /// Commits it on the head of the repository `at`, whatever its files are.
    fn commit(&self, world: &World, at: &Path, outside: &Path) {
        let fill = |text: &str| {
            text.replace("LONG", &"x".repeat(2000)).replace('@', outside.to_str().expect("a path in UTF-8"))
        };
        let modules = [("100644", ".gitmodules", self.modules)];
        let entries = modules.iter().filter(|entry| !entry.2.is_empty()).chain(self.entries);
        for (mode, path, content) in entries {
            let id = if *mode == "160000" {
                "1".repeat(40)
            } else {
                let written = world.feed(at, &["hash-object", "-w", "--stdin"], fill(content).as_bytes());
                String::from_utf8(written).expect("an id").trim().to_owned()
            };
            let line = format!("{mode} {id}\t{path}\0");
            world.feed(at, &["update-index", "-z", "--add", "--index-info"], line.as_bytes());
        }
        world.git_in(at, &["commit", "-q", "-m", "Work"]);
    }
}

/// A directory that nothing may be written to.
fn trap(world: &World) -> std::path::PathBuf {
    let outside = world.path("outside");
    fs::create_dir(&outside).expect("made");
    outside
}

fn assert_untouched(outside: &Path, hole: &str) {
    let found: Vec<_> = fs::read_dir(outside).expect("there").flatten().map(|entry| entry.file_name()).collect();
    assert!(found.is_empty(), "{hole}: {found:?}");
}

#[tokio::test]
async fn what_a_sandbox_hands_over_is_refused_or_harmless() {
    for tree in TREES {
        for world in worlds().await {
            let at = world.repository("repo");
            let base = world.tip(&at, "HEAD");
            let mirror = world.mirror(&at).await;
            let outside = trap(&world);
            world.git_in(world.dir.path(), &["clone", "-q", "repo", "sandbox"]);
            let sandbox = world.path("sandbox");
            tree.commit(&world, &sandbox, &outside);
            let since = format!("^{base}");
            let bundle = world.command(&sandbox).args(["bundle", "create", "-q", "-", "HEAD", &since]).output();
            let bundle = bundle.expect("git").stdout;
            match mirror.import(Bundle::Bytes(&bundle), &base, &ImportLimits::default()).await {
                Err(Error::Bundle(_)) => assert_eq!(tree.handed, Handed::Refused, "{}", tree.hole),
                Ok(proposed) => {
                    assert_eq!(tree.handed, Handed::Flagged, "{}", tree.hole);
                    assert!(!proposed.links.is_empty(), "{}: nobody is told", tree.hole);
                }
                Err(other) => panic!("{}: {other}", tree.hole),
            }
            assert_untouched(&outside, tree.hole);
        }
    }
}

#[tokio::test]
async fn what_a_repository_has_is_not_followed_when_it_is_checked_out() {
    for tree in TREES {
        for world in worlds().await {
            let at = world.repository("repo");
            let outside = trap(&world);
            tree.commit(&world, &at, &outside);
            let commit = world.tip(&at, "HEAD");
            let upstream = world.upstream(&at).await;
            let mirror =
                forge::Mirror::open_or_create(&world.git, &world.path("mirror"), upstream.object_format()).await;
            let mirror = mirror.expect("a mirror");
            let base = world.path("base");
            let made = match mirror.fetch(&upstream).await {
                Ok(()) => mirror.base_checkout(&commit, &base, &mirror.objects()).await.map(drop),
                Err(error) => Err(error),
            };
            // It may be refused; if it is not, it is files and links and nothing else.
            match made {
                Ok(()) => {
                    let hooks = fs::read_dir(base.join(".git/hooks")).map_or(0, Iterator::count);
                    assert_eq!(hooks, 0, "{}", tree.hole);
                    assert!(!base.join(".git/modules").exists(), "{}", tree.hole);
                    let config = fs::read_to_string(base.join(".git/config")).expect("its configuration");
                    assert!(!config.contains("submodule") && !config.contains("fsmonitor"), "{}: {config}", tree.hole);
                }
                Err(error) => assert!(error.to_string().len() > 20, "{}: {error}", tree.hole),
            }
            assert_untouched(&outside, tree.hole);
        }
    }
}

/// A hole of transports: what another repository's directory holds is executed (CVE-2024-32004, CVE-2024-32465) is tried
/// in `tainted.rs`. Here a directory lends files of this machine as its objects.
#[tokio::test]
async fn cve_2022_39253_a_link_among_the_objects_lends_nothing() {
    for world in worlds().await {
        let at = world.repository("repo");
        let secret = world.path("secret");
        write(&secret, "SECRET-MARK\n");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("mode");
        for place in ["info/x", "pack/pack-x.pack", "aa"] {
            let link = at.join(".git/objects").join(place);
            fs::create_dir_all(link.parent().expect("a parent")).expect("made");
            std::os::unix::fs::symlink(&secret, link).expect("a link");
        }
        let made = match forge::Upstream::open(&world.git, &at).await {
            Ok(upstream) => {
                let dir = world.path("mirror");
                match forge::Mirror::open_or_create(&world.git, &dir, upstream.object_format()).await {
                    Ok(mirror) => mirror.fetch(&upstream).await,
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        };
        let found = std::process::Command::new("grep").args(["-rl", "SECRET-MARK"]).arg(world.path("mirror")).output();
        let found = String::from_utf8_lossy(&found.expect("grep").stdout).into_owned();
        assert_eq!(found, "", "a file of this machine was copied ({made:?})");
    }
}
