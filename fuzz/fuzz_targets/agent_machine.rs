//! What an agent may say and a host may do, in any order.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| agent::fuzzing::machine_any(script));
