//! No entries make the builder panic, in one part or in two.
#![no_main]

use wire::manifest::{ManifestBuilder, Purpose};

libfuzzer_sys::fuzz_target!(|parts: (&[u8], &[u8])| {
    let mut builder = ManifestBuilder::new(Purpose::Files);
    if builder.push_part(parts.0).is_ok() && builder.push_part(parts.1).is_ok() {
        let count = u32::try_from(builder.entry_count()).unwrap_or(u32::MAX);
        assert!(builder.finish(count, 0, [0; 32]).is_err(), "nobody finds this digest");
    }
});
