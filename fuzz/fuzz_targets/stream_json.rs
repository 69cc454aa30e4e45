//! What an agent writes, in any pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: runyard_fuzz::plant(agent::fuzzing::stream_seeds()),
    |input: &[u8]| {
        let (cuts, output) = runyard_fuzz::split(input);
        agent::fuzzing::stream_any(output, cuts);
    }
);
