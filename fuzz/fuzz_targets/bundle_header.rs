//! The head of a bundle, and the paths and links of what it brings.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: runyard_fuzz::plant(forge::fuzzing::seeds()),
    |input: &[u8]| forge::fuzzing::header_and_paths(input)
);
