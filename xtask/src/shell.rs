//! Runs programs and says what is being done.

use anyhow::{Context as _, Result, bail};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs a program that talks to the terminal itself; anything but success is an error that names the command.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("failed to start `{}`", line(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", line(command));
    }
    Ok(())
}

/// Runs a program and gives what it printed; its own complaint becomes the error.
pub fn capture(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("failed to start `{}`", line(command)))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` ended with {}\n{}", line(command), output.status, complaint.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program that says a lot: a terminal shows its latest line, a failure its last ones.
pub fn quietly(command: &mut Command) -> Result<()> {
    const KEPT: usize = 25;
    let shown = line(command).lines().next().unwrap_or_default().to_owned();
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("failed to start `{shown}`"))?;
    let output = child.stdout.take().context("the program has no output")?;
    let on_terminal = std::io::stdout().is_terminal();
    let mut last = VecDeque::with_capacity(KEPT);
    for said in BufReader::new(output).split(b'\n') {
        let said = String::from_utf8_lossy(&said?).trim().to_owned();
        if on_terminal {
            print!("\r\x1b[K  {}", faint(&said.chars().take(70).collect::<String>()));
            std::io::stdout().flush()?;
        }
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(said);
    }
    if on_terminal {
        print!("\r\x1b[K");
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{shown}` ended with {status}, after saying\n{}", Vec::from(last).join("\n"));
    }
    Ok(())
}

/// The command as a person would type it.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The program's path, when it is on the PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| is_executable(file))
}

/// Whether a file is there and may be executed by somebody.
pub fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Says what is being done, does it, and says how long it took.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("{} {what}", strong("▸"));
    std::io::stdout().flush()?;
    let start = Instant::now();
    let done = work()?;
    println!("{} {what} {}", good("✓"), faint(&format!("({})", seconds(start.elapsed()))));
    Ok(done)
}

/// A time for people: `35 ms`, `0.4 s`, `12.3 s`, `3 min 05 s`.
pub fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    if time.as_millis() < 100 {
        format!("{} ms", time.as_millis())
    } else if whole < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

/// For what went well.
pub fn good(text: &str) -> String {
    painted("32", text)
}

/// For what went wrong.
pub fn bad(text: &str) -> String {
    painted("1;31", text)
}

/// For what the eye should find.
pub fn strong(text: &str) -> String {
    painted("1", text)
}

/// For what the eye may skip.
pub fn faint(text: &str) -> String {
    painted("2", text)
}

fn painted(code: &str, text: &str) -> String {
    let wanted = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if wanted { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_so_that_it_can_be_typed() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'a b'", "", "x=1"]);
        assert_eq!(line(&command), r"sh -c 'echo '\''a b'\''' '' x=1");
    }

    #[test]
    fn a_failed_program_says_its_own_complaint() {
        let error = capture(Command::new("sh").args(["-c", "echo no luck >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("no luck") && error.to_string().contains('3'), "{error}");
    }

    #[test]
    fn what_a_quiet_program_said_last_is_shown_when_it_fails() {
        assert!(quietly(Command::new("sh").args(["-c", "seq 100"])).is_ok());
        let error = quietly(Command::new("sh").args(["-c", "seq 100; echo no luck; exit 3"])).unwrap_err().to_string();
        assert!(error.ends_with("100\nno luck") && !error.contains("\n70\n"), "{error}");
    }

    #[test]
    fn times_read_well() {
        assert_eq!(seconds(Duration::from_millis(35)), "35 ms");
        assert_eq!(seconds(Duration::from_millis(440)), "0.4 s");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 05 s");
    }
}
