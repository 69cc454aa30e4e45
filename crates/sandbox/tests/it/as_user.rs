//! All of this suite again as an ordinary user.

use std::{fs::Permissions, os::unix::fs::PermissionsExt, process::Command};

#[test]
fn everything_also_holds_for_an_ordinary_user() {
    if !crate::rig::is_root() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    // The build directory may lie where the other user cannot go.
    let program = home.path().join("it");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let ids = ["--reuid=61234", "--regid=61234", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"];
    let mut suite = Command::new("setpriv");
    suite.args(ids).arg(&program).args(["--test-threads=2"]).current_dir("/").env("HOME", "/nonexistent");
    let output = suite.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let left = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        status.contains("\nUid:\t61234\t") && !status.contains("\nState:\tZ")
    });
    assert_eq!(left.count(), 0, "processes were left");
    assert!(said.contains("life::a_program_runs_and_its_end_is_told ... ok"), "{said}");
}
