//! Whether a command line only looks. Conservative: what is not known to be harmless is refused.

use super::shell::{Command, Script, Word};

/// Programs that write nothing, whatever their options.
const HARMLESS: [&str; 22] = [
    "ls", "cat", "head", "tail", "grep", "egrep", "fgrep", "wc", "cut", "stat", "pwd", "echo", "which", "cd", "true",
    "basename", "dirname", "realpath", "nl", "diff", "cmp", "tr",
];
/// Subcommands of git that write nothing, with the options below refused.
const GIT: [&str; 12] = [
    "status",
    "log",
    "diff",
    "show",
    "ls-files",
    "grep",
    "blame",
    "rev-parse",
    "describe",
    "shortlog",
    "ls-tree",
    "cat-file",
];

/// Why `script` may do more than look; none when it does not.
pub(super) fn refusal(script: &Script) -> Option<String> {
    if let Some(odd) = script.odd() {
        return Some(format!("{odd} cannot be judged"));
    }
    if script.commands().is_empty() {
        return Some("there is no command".to_owned());
    }
    script.commands().iter().find(|command| !only_looks(command)).map(|command| {
        if command.harmless_redirects() {
            format!("`{}` is not known to only read", command.text())
        } else {
            format!("`{}` writes to a file", command.text())
        }
    })
}

fn only_looks(command: &Command) -> bool {
    if !command.harmless_redirects() || !command.assignments().is_empty() {
        return false;
    }
    let Some((program, args)) = command.words().split_first() else { return false };
    if HARMLESS.contains(&program.text.as_str()) {
        return true;
    }
    // A pattern or a variable may become an option.
    if args.iter().any(|word| word.any_name || word.expands) {
        return false;
    }
    let options: Vec<&str> = args.iter().map(|word| word.text.as_str()).filter(|text| text.starts_with('-')).collect();
    let operands = args.len() - options.len();
    match program.text.as_str() {
        "find" => !options.iter().any(|option| {
            matches!(*option, "-exec" | "-execdir" | "-ok" | "-okdir" | "-delete")
                || option.starts_with("-f") && is_fprint(option)
        }),
        "sort" => options.iter().all(|option| {
            if option.starts_with("--") {
                !option.starts_with("--o") && !option.starts_with("--co")
            } else {
                !option.contains('o')
            }
        }),
        "uniq" => operands <= 1,
        "tree" => {
            options.iter().all(|option| option.starts_with("--") && !option.starts_with("--o") || !option.contains('o'))
        }
        "file" => options
            .iter()
            .all(|option| !option.starts_with("--c") && (option.starts_with("--") || !option.contains('C'))),
        "rg" => options.iter().all(|option| {
            if option.starts_with("--") {
                !["--pre", "--hostname-bin", "--search-zip"].iter().any(|bad| option.starts_with(bad))
            } else {
                !option.contains('z')
            }
        }),
        "jq" => true,
        "sed" => prints_only(args),
        "git" => git_looks(args),
        _ => false,
    }
}

fn is_fprint(option: &str) -> bool {
    option.starts_with("-fprint") || option == "-fls"
}

/// `sed -n` with a script of nothing but `p`.
fn prints_only(args: &[Word]) -> bool {
    let texts: Vec<&str> = args.iter().map(|word| word.text.as_str()).collect();
    let (options, operands): (Vec<&str>, Vec<&str>) = texts.into_iter().partition(|text| text.starts_with('-'));
    let quiet = options.iter().any(|option| option.trim_start_matches('-').starts_with('n'));
    let known = options.iter().all(|option| matches!(*option, "-n" | "-E" | "-r" | "-nE" | "-nr"));
    let Some(script) = operands.first() else { return false };
    quiet && known && script.split(';').map(str::trim).all(prints)
}

fn prints(command: &str) -> bool {
    let Some(range) = command.strip_suffix('p') else { return false };
    let address = |text: &str| {
        let text = text.trim();
        let pattern = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        text == "$"
            || (!text.is_empty() && text.chars().all(|c| c.is_ascii_digit()))
            || pattern.is_some_and(|pattern| !pattern.contains(['/', '\\', ',']))
    };
    match range.split_once(',') {
        Some((from, to)) => address(from) && address(to),
        None => range.trim().is_empty() || address(range),
    }
}

fn git_looks(args: &[Word]) -> bool {
    let mut args = args.iter().map(|word| word.text.as_str());
    let subcommand = loop {
        match args.next() {
            Some("--no-pager") => {}
            Some("-C") => drop(args.next()),
            Some(subcommand) => break subcommand,
            None => return false,
        }
    };
    let rest: Vec<&str> = args.collect();
    if subcommand == "branch" {
        return rest
            .iter()
            .all(|arg| matches!(*arg, "-a" | "-r" | "-v" | "-vv" | "--list" | "--all" | "--show-current"));
    }
    // git takes unambiguous beginnings of long options.
    let refused = |arg: &&str| {
        ["--ou", "--ext", "--textc", "--open", "--exec", "--upload", "--rec", "-O"]
            .iter()
            .any(|bad| arg.starts_with(bad))
    };
    GIT.contains(&subcommand) && !rest.iter().any(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_passes() {
        for line in [
            "ls -la src",
            "cat a.rs | head -20 | wc -l",
            "grep -rn \"fn main\" . 2>/dev/null",
            "rg --files -g '*.rs' | sort -u",
            "find . -name '*.rs' -not -path './target/*' -type f",
            "git log --oneline -20",
            "git --no-pager diff main...HEAD --stat",
            "git -C sub status --short",
            "git branch --show-current",
            "sed -n '1,80p' src/lib.rs",
            "sed -n '/fn main/,/^}/p;10p' x",
            "jq .dependencies package.json",
            "cd src && ls *.rs && pwd > /dev/null 2>&1",
            "echo \"$HOME\"",
            "tree -L 2; stat x; file x; which cargo; uniq -c x; cut -d: -f1 x",
        ] {
            assert_eq!(refusal(&Script::read(line)), None, "{line}");
        }
    }

    #[test]
    fn touching_does_not_pass() {
        for line in [
            "",
            "rm x",
            "ls > out",
            "ls >> out",
            "cat < x",
            "ls &> out",
            "ls >&out",
            "echo $(rm x)",
            "echo `rm x`",
            "(ls)",
            "ls & rm x",
            "ls; rm x",
            "ls | tee x",
            "ls | xargs rm",
            "A=1 ls",
            "env ls",
            "/bin/ls",
            "find . -delete",
            "find . -exec rm {} +",
            "find . -fprintf x y",
            "find * -name x",
            "find $X",
            "sort -o out in",
            "sort -uo out in",
            "sort --outp=x in",
            "sort --compress-program=sh x",
            "uniq in out",
            "tree -o out",
            "file -C -m x",
            "rg --pre sh x",
            "rg -z x",
            "sed -i s/a/b/ x",
            "sed -n 'w out' x",
            "sed -n '1e rm x' x",
            "sed -n '1p;w out' x",
            "sed -n -e 1p -i x",
            "sed 1p x",
            "git push",
            "git commit -m x",
            "git branch new",
            "git -c core.pager=sh log",
            "git log --output=x",
            "git diff --outp=x",
            "git diff --ext-diff",
            "git grep -Osh x",
            "git grep --open-files-in-pager=sh x",
            "git",
            "cargo build",
            "python3 -c 'print(1)'",
            "for f in *; do rm $f; done",
            "ls {a,b}",
            "{ ls; }",
            "echo 'open",
            "ls\nrm x",
            "echo ${x@P}",
            "cat <(rm x)",
            "bash -c ls",
        ] {
            assert!(refusal(&Script::read(line)).is_some(), "{line}");
        }
    }
}
