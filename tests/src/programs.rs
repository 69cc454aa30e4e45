//! Where the programs under test are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The real `runyard`: the one that `RUNYARD_BIN` names, else the one of this build, made when it is missing.
pub fn runyard() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(named) = std::env::var_os("RUNYARD_BIN") {
            return named.into();
        }
        let own = std::env::current_exe().expect("the running test");
        let profile = profile_of(&own);
        let program = profile.join("runyard");
        if !program.is_file() {
            build(profile);
        }
        assert!(program.is_file(), "no {}; run `cargo build -p runyard`", program.display());
        program
    })
}

/// `runyard` with its crash points (feature `failpoints`), made once per test run from the same intermediate artifacts.
pub fn runyard_with_crash_points() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let own = std::env::current_exe().expect("the running program");
        let profile = profile_of(&own);
        let target = profile.parent().expect("the target folder");
        let apart = target.join("failpoints");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(root()).args(["build", "--quiet", "--package", "runyard", "--features", "failpoints"]);
        // Dependencies are shared with the ordinary build; only the program goes to a place of its own.
        cargo.arg("--target-dir").arg(&apart).env("CARGO_BUILD_BUILD_DIR", target).env_remove("CARGO_TARGET_DIR");
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().expect("cargo").success(), "failed to build runyard with crash points");
        apart.join(profile.file_name().expect("the profile's name")).join("runyard")
    })
}

/// The folder of the build profile: that of a test is `TARGET/PROFILE/deps/it-0123456789abcdef`, that of a program
/// `TARGET/PROFILE/name`.
fn profile_of(program: &Path) -> &Path {
    let folder = program.parent().expect("a folder");
    if folder.ends_with("deps") { folder.parent().expect("the folder of the profile") } else { folder }
}

fn build(profile: &Path) {
    let target = profile.parent().expect("the target folder");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args(["build", "--quiet", "--package", "runyard", "--target-dir"]).arg(target);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo").success(), "failed to build runyard");
}

/// Claude Code, where `cargo xtask setup` puts it.
pub fn claude() -> PathBuf {
    if let Some(named) = std::env::var_os("RUNYARD_CLAUDE") {
        return named.into();
    }
    let platform = if cfg!(target_arch = "aarch64") { "linux-arm64" } else { "linux-x64" };
    let inside = format!("runyard/claude-code/2.1.197/node_modules/@anthropic-ai/claude-code-{platform}/claude");
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
    let places = [Path::new("/var/cache").join(&inside), cache.join(&inside)];
    let found = places.iter().find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no Claude Code at {}; run `cargo xtask setup`", places[1].display())).clone()
}

/// The repository of Runyard itself.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository")
}
