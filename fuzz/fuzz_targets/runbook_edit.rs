//! An edit of any text changes only the lines it touches.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: ((u8, u8, u8), &str, &str)| {
    let (choice, given, text) = input;
    runbook::fuzzing::edit_any(text, given, choice);
});
