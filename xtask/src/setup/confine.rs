//! Whether this machine lets an ordinary user make the namespaces that the sandbox is built from.

use crate::{shell, workspace};
use anyhow::{Result, bail};
use std::process::Command;

/// An unprivileged user that owns nothing, to try bubblewrap as the server does when it is root.
const NOBODY: &str = "65534";

/// Tries bubblewrap as it will be used; the error says what to do.
pub fn check() -> Result<()> {
    let Err(error) = shell::capture(&mut attempt()) else { return Ok(()) };
    let knob = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    if knob("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
        bail!(
            "AppArmor keeps bubblewrap from making namespaces ({error})\nallow it, as root: write this to \
             /etc/apparmor.d/runyard and run `apparmor_parser -r /etc/apparmor.d/runyard`\n{APPARMOR}"
        );
    }
    if knob("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
        bail!("user namespaces are switched off ({error})\nas root: sysctl -w kernel.unprivileged_userns_clone=1");
    }
    if knob("/proc/sys/user/max_user_namespaces") == "0" {
        bail!("user namespaces are switched off ({error})\nas root: sysctl -w user.max_user_namespaces=10000");
    }
    bail!(
        "bubblewrap cannot make a sandbox here, for example because this is a container without user namespaces: {error}"
    )
}

fn attempt() -> Command {
    let mut command = if workspace::is_root() {
        let mut dropped = Command::new("setpriv");
        dropped.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "bwrap"]);
        dropped
    } else {
        Command::new("bwrap")
    };
    command.args(["--unshare-all", "--cap-drop", "ALL", "--ro-bind", "/", "/", "true"]);
    command
}

/// The profile that `runyard doctor` prints too: for bubblewrap and for the shim.
const APPARMOR: &str = include_str!("../../../crates/sandbox/apparmor/runyard");

#[cfg(test)]
mod tests {
    #[test]
    fn this_machine_can_confine() {
        super::check().unwrap();
    }
}
