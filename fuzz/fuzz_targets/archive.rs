//! Archives that are unpacked in a sandbox.
#![no_main]

use std::sync::OnceLock;

static SCRATCH: OnceLock<tempfile::TempDir> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: runyard_fuzz::plant([shim::fuzzing::tar_of(&[0, 0, 0, 0, 0, 0o77, 9, 0, 3, 1, 2, 1, 0, 0, 9, 0, 0, 7, 1, 1, 0, 0, 0, 0, 9, 1])]),
    |input: &[u8]| {
        let scratch = SCRATCH.get_or_init(|| tempfile::tempdir().expect("a directory"));
        shim::fuzzing::archive_any(scratch.path(), input);
    }
);
