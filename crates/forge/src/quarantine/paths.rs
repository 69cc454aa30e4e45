//! Which paths and links may come out of a sandbox.

/// A symbolic link that leads somewhere odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlaggedLink {
    /// The link.
    pub path: String,
    /// Where it points.
    pub target: String,
    /// What is odd about it.
    pub problem: LinkProblem,
}

/// What is odd about a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkProblem {
    /// It points to an absolute path.
    Absolute,
    /// It points to above the repository.
    Escapes,
    /// It points into `.git`.
    IntoGit,
}

/// Why a path may not be in a repository; none when it may.
pub(super) fn refused(path: &str) -> Option<&'static str> {
    if path.is_empty() || path.len() > 4095 {
        return Some("it must have 1 to 4095 bytes");
    }
    if path.chars().any(char::is_control) {
        return Some("it holds control characters");
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Some("it holds an empty part, `.` or `..`");
    }
    // Windows takes a backslash for a slash.
    if path.split(['/', '\\']).any(|part| matches!(part, "..") || is_git(part)) {
        return Some("some file system takes a part of it for `.git` or `..`");
    }
    None
}

/// What is odd about a link at `path` that points to `target`.
pub(super) fn link_problem(path: &str, target: &str) -> Option<LinkProblem> {
    if target.starts_with('/') {
        return Some(LinkProblem::Absolute);
    }
    let mut depth = path.split('/').count() - 1;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return Some(LinkProblem::Escapes),
            ".." => depth -= 1,
            part if is_git(part) => return Some(LinkProblem::IntoGit),
            _ => depth += 1,
        }
    }
    None
}

/// The next content of `cat-file --batch=%(objectsize)`.
pub(super) fn next_of_batch<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let size: usize = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    let (content, after) = rest[end + 1..].split_at_checked(size)?;
    *rest = after.strip_prefix(b"\n")?;
    Some(content)
}

/// Whether any common file system takes `part` for `.git`: case, trailing dots and blanks and streams (NTFS), short
/// names (NTFS), characters that are ignored (HFS+); the list is that of git's own `verify_path`.
fn is_git(part: &str) -> bool {
    let ignored =
        |c: char| matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let visible: String = part.chars().filter(|c| !ignored(*c)).collect::<String>().to_lowercase();
    let stem = visible.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    matches!(stem, ".git" | "git~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_git_is_refused() {
        for path in [
            ".git",
            ".GIT/config",
            "a/.Git/x",
            ".git ",
            ".git.",
            ".git . .",
            "git~1",
            "GIT~1/x",
            ".git::$INDEX_ALLOCATION",
            "a\\.git\\config",
            ".g\u{200c}it",
            "\u{feff}.git/hooks",
            "a/../b",
            "..",
            "./a",
            "a//b",
            "/a",
            "a\nb",
            "a\u{1b}[0m",
            "..\\x",
            "",
        ] {
            assert!(refused(path).is_some(), "{path:?}");
        }
        for path in
            [".gitignore", ".github/workflows/x.yml", "git~2", "a.git/x", "...", "wörter/ß", "a b", ".gitmodules"]
        {
            assert_eq!(refused(path), None, "{path:?}");
        }
    }

    #[test]
    fn links_out_of_the_repository_are_told_from_links_within() {
        use LinkProblem as P;
        for (path, target, expected) in [
            ("a", "/etc/passwd", Some(P::Absolute)),
            ("a", "../x", Some(P::Escapes)),
            ("d/a", "../x", None),
            ("d/a", "../../x", Some(P::Escapes)),
            ("d/a", "b/../../../x", Some(P::Escapes)),
            ("a", ".git/config", Some(P::IntoGit)),
            ("a", "b/c", None),
        ] {
            assert_eq!(link_problem(path, target), expected, "{path} -> {target}");
        }
    }
}
