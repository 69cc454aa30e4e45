//! Commands by which an agent would do what is the host's: committing, branching, publishing.

use super::shell::{Command, Script};

/// Whether anything in `script` changes history, branches or configuration, or publishes. Advice to an honest agent:
/// there is nothing to push to, and its commits are not taken.
pub(super) fn writes(script: &Script) -> bool {
    script.everything().any(|command| match command.program() {
        "git" => git(command),
        "gh" => gh(command),
        _ => false,
    })
}

fn git(command: &Command) -> bool {
    let mut args = command.words().iter().skip(1).map(|word| word.text.as_str());
    let subcommand = loop {
        match args.next() {
            Some("-c" | "--config-env") => {
                // An alias can be any command.
                if args.next().is_some_and(|setting| setting.starts_with("alias.")) {
                    return true;
                }
            }
            Some("-C" | "--git-dir" | "--work-tree" | "--namespace" | "--exec-path") => drop(args.next()),
            Some(option) if option.starts_with('-') => {}
            Some(subcommand) => break subcommand,
            None => return false,
        }
    };
    let rest: Vec<&str> = args.collect();
    let first = rest.first().copied();
    let any = |options: &[&str]| rest.iter().any(|arg| options.contains(arg));
    let only = |options: &[&str]| rest.iter().all(|arg| options.contains(arg));
    match subcommand {
        "commit" | "push" | "merge" | "rebase" | "cherry-pick" | "revert" | "am" | "reset" | "pull" | "send-pack"
        | "update-ref" | "gc" | "filter-branch" | "filter-repo" | "commit-tree" | "fast-import" | "replace" => true,
        "branch" => {
            !only(&["-a", "-r", "-v", "-vv", "--list", "-l", "--all", "--show-current"])
                && !any(&["--list", "-l", "--contains", "--merged", "--no-merged", "--points-at"])
        }
        "tag" => !rest.is_empty() && !any(&["-l", "--list", "-n", "--contains", "--points-at", "--merged"]),
        "checkout" => any(&["-b", "-B", "--orphan"]),
        "switch" => any(&["-c", "-C", "--create", "--force-create", "--orphan"]),
        "stash" => !matches!(first, Some("list" | "show")),
        "remote" => !matches!(first, None | Some("-v" | "show" | "get-url")),
        "worktree" => first != Some("list"),
        "config" => {
            let reads = ["get", "list", "--get", "--get-all", "--get-regexp", "--list", "-l"];
            let names_one = rest.len() == 1 && first.is_some_and(|name| !name.starts_with('-'));
            !(names_one || any(&reads))
        }
        "symbolic-ref" => rest.iter().filter(|arg| !arg.starts_with('-')).count() > 1,
        _ => false,
    }
}

fn gh(command: &Command) -> bool {
    let words: Vec<&str> =
        command.words().iter().skip(1).map(|word| word.text.as_str()).filter(|word| !word.starts_with('-')).collect();
    matches!(words.first(), Some(&"pr"))
        && !matches!(words.get(1), None | Some(&("view" | "list" | "diff" | "checks" | "status")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_is_seen_in_its_usual_disguises() {
        for line in [
            "git push",
            "cd x && git commit -am y",
            "git -C . push",
            "git -c a=b push",
            "git -c alias.x=push x",
            "git --no-pager push",
            "sh -c 'git push'",
            "bash -lc \"cd a; git push\"",
            "/usr/bin/git push",
            "echo $(git push)",
            "git \"push\"",
            "git pus\\h",
            "( git push )",
            "{ git push; }",
            "eval git push",
            "env A=1 git push",
            "timeout 5 nice -n 3 git push",
            "echo x | xargs -n 1 git push",
            "git stash",
            "git branch -D x",
            "git checkout -b x",
            "git switch -c x",
            "git remote add o x",
            "git config user.name x",
            "git tag v1",
            "git worktree add ../x",
            "gh pr create --fill",
            "gh pr -R a/b merge 3",
        ] {
            assert!(writes(&Script::read(line)), "{line}");
        }
    }

    #[test]
    fn looking_and_restoring_files_is_no_writing() {
        for line in [
            "git status",
            "git log --oneline",
            "git diff",
            "git checkout -- src/lib.rs",
            "git branch",
            "git branch --list 'a*'",
            "git tag -l",
            "git stash list",
            "git remote -v",
            "git config user.name",
            "git config --get user.name",
            "git worktree list",
            "git add -A",
            "git rm x",
            "gh pr view 3",
            "echo git push",
            "grep 'git push' x",
            "cat > HOWTO.md <<'EOF'\ngit push\nEOF",
        ] {
            assert!(!writes(&Script::read(line)), "{line}");
        }
    }
}
