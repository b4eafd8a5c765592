//! Nothing that somebody without the keys makes up is taken for a body or an opening record.
#![no_main]

use wire::handshake::{Receiver, Seed, Sender};
use wire::signaling::Claim;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let Ok(code) = "48-2093".parse::<wire::code::Code>() else { return };
    let at = Claim::Nameplate(code.nameplate());
    if let Ok((sender, _)) = Sender::new(code.password(), &at, Seed::new([1; 32])).receive_hello(body) {
        assert!(sender.receive_confirm(body).is_err());
    }
    let (receiver, _) = Receiver::new(code.password(), &at, Seed::new([2; 32]));
    if let Ok((receiver, _)) = receiver.receive_hello(body) {
        assert!(receiver.receive_confirm(body).is_err());
    }
});
