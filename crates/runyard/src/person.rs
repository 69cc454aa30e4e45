//! Who works here: the name and the mail address that commits carry.

use crate::config::Config;
use engine::Person;
use std::process::{Command, Stdio};

/// The person of this process: as configured, else as git knows them, else by login and host.
pub fn invoking(config: &Config) -> Person {
    let login = || login().unwrap_or_else(|| "runyard".to_owned());
    let name = config.values.user_name.clone().or_else(|| git("user.name")).unwrap_or_else(login);
    let email = config
        .values
        .user_email
        .clone()
        .or_else(|| git("user.email"))
        .unwrap_or_else(|| format!("{}@{}", login(), host()));
    Person { name, email }
}

/// A value of the person's own git configuration; never one of the repository that the command is called in.
fn git(key: &str) -> Option<String> {
    let output = Command::new("git")
        .args(["config", "--global", "--includes", "--get", key])
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    let usable =
        output.status.success() && !text.is_empty() && !text.chars().any(|c| c.is_control() || "<>".contains(c));
    usable.then_some(text)
}

fn login() -> Option<String> {
    let uid = rustix::process::getuid().as_raw().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let listed = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    listed.or_else(|| std::env::var("USER").ok())
}

fn host() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}
