//! No frame and no session description makes a parser panic, and what parses is parsed from its own text.
#![no_main]

use wire::signal::CheckedDescription;
use wire::signaling::{ClientMessage, ServerMessage};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(message) = ClientMessage::parse(text) {
        assert_eq!(ClientMessage::parse(&message.to_frame()), Ok(message));
    }
    let _ = ServerMessage::parse(text);
    if let Ok(checked) = CheckedDescription::parse(text) {
        assert_eq!(CheckedDescription::parse(checked.sdp()), Ok(checked));
    }
});
