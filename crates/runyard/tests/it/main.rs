//! The real binary, as a person or a script calls it.

mod basics;
mod data_dir;

use std::{
    path::Path,
    process::{Command, Output},
};

/// The binary with an environment of its own: its home and its data are in `home`.
fn runyard(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runyard"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("RUNYARD_DATA_DIR", home.join("data"))
        .current_dir(home);
    command
}

fn run(home: &Path, words: &[&str]) -> Output {
    runyard(home).args(words).output().expect("the binary starts")
}

/// A directory that sandboxes could enter, as data directories need it.
fn home() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).expect("opened");
    home
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}
