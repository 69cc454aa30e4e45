//! A model's answer on its way through the meter and the redactor, in any pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: runyard_fuzz::plant(egress::fuzzing::seeds()),
    |input: &[u8]| {
        let (cuts, answer) = runyard_fuzz::split(input);
        egress::fuzzing::answer_any(answer, cuts);
    }
);
