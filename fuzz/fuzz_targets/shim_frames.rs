//! Frames between a client and the shim, in any pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: runyard_fuzz::plant(shim::fuzzing::frame_seeds()),
    |input: &[u8]| {
        let (cuts, bytes) = runyard_fuzz::split(input);
        shim::fuzzing::frames_any(bytes, cuts);
    }
);
