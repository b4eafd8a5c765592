//! An association that is open receives chunks that nobody has checked, while it sends and is read.
#![no_main]

use std::time::{Duration, Instant};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use rtc_sctp::{
    ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Payload, PayloadProtocolIdentifier, ServerConfig,
    TransportConfig,
};
use rtc_shared::TransportProtocol;

/// What the association can use at most, whatever comes.
const WINDOW: u32 = 65_536;

fuzz_target!(|input: &[u8]| {
    let address = ([127, 0, 0, 1], 5_000).into();
    let config = TransportConfig::default()
        .with_max_receive_buffer_size(WINDOW)
        .with_max_message_size(16_384);
    let server = ServerConfig::new(config.clone()).into();
    let make = |server| {
        let mut endpoint = EndpointConfig::new();
        endpoint.entropy(|buffer| buffer.fill(7));
        Endpoint::new(address, TransportProtocol::UDP, endpoint.into(), server)
    };
    let (mut here, mut there) = (make(None), make(Some(server)));
    let mut now = Instant::now();
    let (_, mut client) = here.connect(now, ClientConfig::new(config), address).expect("there is room");
    let mut victim = None;
    let mut tag = [0; 4];
    for _ in 0..4 {
        while let Some(Payload::RawEncode(packets)) = client.poll_transmit(now).map(|it| it.message) {
            for packet in packets {
                tag.copy_from_slice(&packet[4..8]);
                match there.handle(now, address, None, packet) {
                    Some((_, DatagramEvent::NewAssociation(new))) => victim = Some(new),
                    Some((_, DatagramEvent::AssociationEvent(event))) => {
                        victim.as_mut().expect("it exists").handle_event(event);
                    }
                    _ => {}
                }
            }
        }
        let Some(association) = &mut victim else { return };
        while let Some(Payload::RawEncode(packets)) = association.poll_transmit(now).map(|it| it.message) {
            for packet in packets {
                if let Some((_, DatagramEvent::AssociationEvent(event))) = here.handle(now, address, None, packet) {
                    client.handle_event(event);
                }
            }
        }
    }
    let mut victim = victim.expect("it exists");
    if let Ok(mut stream) = victim.open_stream(1, PayloadProtocolIdentifier::Binary) {
        let message = Bytes::from(vec![1; 16_000]);
        let _ = stream.write_chunk_with_ppi(now, &message, PayloadProtocolIdentifier::Binary);
    }
    // Packets of the length that their first byte says, in steps of four.
    let mut rest = input;
    while let Some((&length, after)) = rest.split_first() {
        let (chunks, after) = after.split_at((usize::from(length) * 4).min(after.len()));
        rest = after;
        let mut packet = vec![0x13, 0x88, 0x13, 0x88];
        packet.extend(tag);
        packet.extend([0; 4]);
        packet.extend(chunks);
        if let Some((_, DatagramEvent::AssociationEvent(event))) = there.handle(now, address, None, packet.into()) {
            victim.handle_event(event);
        }
        while victim.poll().is_some() {}
        while victim.poll_transmit(now).is_some() {}
        now += Duration::from_millis(7);
        victim.handle_timeout(now);
        for id in victim.stream_ids() {
            if id % 2 == 0 && let Ok(mut stream) = victim.stream(id) {
                while let Ok(Some(_)) = stream.read_sctp() {}
            }
        }
    }
});
