//! Bytes that nobody has checked reach an endpoint that waits for its first packet.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use rtc_sctp::{Endpoint, EndpointConfig, ServerConfig};
use rtc_shared::TransportProtocol;

fuzz_target!(|packet: &[u8]| {
    let address = ([127, 0, 0, 1], 5_000).into();
    let server = ServerConfig::default().into();
    let config = EndpointConfig::new().into();
    let mut endpoint = Endpoint::new(address, TransportProtocol::UDP, config, Some(server));
    let _ = endpoint.handle(Instant::now(), address, None, bytes::Bytes::copy_from_slice(packet));
});
