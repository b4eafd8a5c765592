//! A code that parses is the code that it is shown as.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(code) = text.parse::<wire::code::Code>() {
        assert_eq!(code.expose().parse(), Ok(code));
    }
});
