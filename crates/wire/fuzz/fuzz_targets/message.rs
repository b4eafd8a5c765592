//! No plaintext makes the decoder or a machine panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|plaintext: &[u8]| {
    for (_, body) in wire::message::decode(plaintext).flatten() {
        assert!(body.end <= plaintext.len());
    }
    let mut receiver = wire::transfer::Receiver::new();
    receiver.handle_generation();
    let _ = receiver.handle_record(plaintext, plaintext.len());
    while receiver.poll_output().is_some() {}
});
