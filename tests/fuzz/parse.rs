//! libFuzzer calls the target; see targets.rs for what it is.
#![no_main]

#[path = "targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| targets::parse(input));
