//! Any text can be read, checked and rendered.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| runbook::fuzzing::parse_any(text));
