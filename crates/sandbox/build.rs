//! Builds the shim as a static program and hands its path to the library, which embeds it.
//!
//! The shim runs inside roots that it knows nothing of (an image with another C library, an empty directory), so it must
//! not be linked dynamically; and it must fit the library that speaks to it, so it travels within the same binary
//! instead of being installed beside it. Cargo cannot yet build a dependency for another set of flags on a stable
//! toolchain, hence a second cargo with a target directory of its own.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    let shim = PathBuf::from("../shim");
    for path in ["Cargo.toml", "src"] {
        println!("cargo::rerun-if-changed={}", shim.join(path).display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    let var = |name: &str| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let target = var("TARGET");
    let target_dir = Path::new(&var("OUT_DIR")).join("shim");

    let mut cargo = Command::new(var("CARGO"));
    cargo.args(["build", "--quiet", "--package", "shim", "--bin", "shim", "--release", "--manifest-path"]);
    cargo.arg(shim.join("Cargo.toml")).args(["--target", &target]).arg("--target-dir").arg(&target_dir);
    // What this build was told (features, wrappers, flags, linters) is not for the other one.
    for (name, _) in env::vars() {
        let kept = ["CARGO_HOME", "CARGO_NET_OFFLINE", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"].contains(&name.as_str());
        if (name.starts_with("CARGO") || name.starts_with("RUSTC") || name == "RUSTFLAGS" || name == "CLIPPY_ARGS")
            && !kept
        {
            cargo.env_remove(name);
        }
    }
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
    let small = [("OPT_LEVEL", "s"), ("LTO", "fat"), ("CODEGEN_UNITS", "1"), ("PANIC", "abort"), ("STRIP", "symbols")];
    for (setting, value) in small {
        cargo.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
    }
    let status = cargo.status().unwrap_or_else(|error| panic!("failed to run cargo for the shim: {error}"));
    assert!(status.success(), "failed to build the static shim for {target}");

    let built = target_dir.join(&target).join("release/shim");
    let length = fs::metadata(&built).map_or(0, |found| found.len());
    assert!(length > 0, "the shim is not at {}", built.display());
    println!("cargo::rustc-env=SHIM_BINARY={}", built.display());
}
