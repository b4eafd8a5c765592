use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use mdns_sd::{ServiceDaemon, ServiceInfo};
use tokio::time::timeout;

use super::connection::{Connection, RECEIVE_WINDOW_LEN, SEND_BUFFER_LEN};
use super::*;
use crate::transport::{MAX_MESSAGE_LEN, Path, QUEUE_LEN};

/// Far beyond what anything here takes; a test that hangs fails instead.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts an initiator and a responder that know each other's descriptions.
async fn introduce() -> (Negotiation, Negotiation) {
    let config = PeerConfig::new;
    let initiator = Negotiation::start(config(Role::Initiator)).await.unwrap();
    let remote_description = initiator.local_description().to_owned();
    let responder = Negotiation::start(config(Role::Responder { remote_description })).await.unwrap();
    initiator.set_remote_description(responder.local_description().to_owned()).await.unwrap();
    (initiator, responder)
}

/// Two transports connected to each other: the initiator's and the responder's.
async fn connect() -> (Transport, Transport) {
    let (initiator, responder) = introduce().await;
    open_both(initiator, responder).await
}

async fn open_both(mut initiator: Negotiation, mut responder: Negotiation) -> (Transport, Transport) {
    let (to_initiator, to_responder) = (initiator.commands.clone(), responder.commands.clone());
    let both = async { tokio::join!(open(&mut initiator, to_responder), open(&mut responder, to_initiator)) };
    timeout(PATIENCE, both).await.unwrap()
}

/// Passes candidates on until the channel is open.
async fn open(own: &mut Negotiation, other: mpsc::Sender<Command>) -> Transport {
    loop {
        match own.next_event().await {
            NegotiationEvent::LocalCandidate { candidate, mid } => {
                let _ = other.send(Command::RemoteCandidate { candidate, mid }).await;
            }
            NegotiationEvent::EndOfCandidates => {}
            NegotiationEvent::Open(transport) => return transport,
            NegotiationEvent::Failed(error) => panic!("{error}"),
        }
    }
}

/// A message that says which one it is at both ends.
fn numbered(number: u32, len: usize) -> BytesMut {
    let mut message = BytesMut::zeroed(len);
    message[..4].copy_from_slice(&number.to_be_bytes());
    message[len - 4..].copy_from_slice(&number.to_be_bytes());
    message
}

#[tokio::test]
async fn a_hundred_megabytes_arrive_in_order_and_intact() {
    const COUNT: u32 = 1_525;
    const LEN: usize = 65_600;
    let (mut left, mut right) = connect().await;
    assert_eq!((left.path, right.path), (Path::LocalNetwork, Path::LocalNetwork));
    for side in [&left, &right] {
        assert!(side.round_trip.is_some_and(|trip| trip < Duration::from_secs(1)), "{:?}", side.round_trip);
    }
    let sending = async {
        for number in 0..COUNT {
            left.sender.send(numbered(number, LEN)).await.unwrap();
        }
        left.sender.close().await
    };
    let receiving = async {
        for number in 0..COUNT {
            assert_eq!(right.receiver.recv().await.unwrap(), numbered(number, LEN), "message {number}");
        }
        right.receiver.recv().await
    };
    let (sent, received) = timeout(PATIENCE, async { tokio::join!(sending, receiving) }).await.unwrap();
    assert_eq!(sent, Ok(()));
    assert_eq!(received, Err(TransportError::Closed));
    assert_eq!(right.sender.send(numbered(0, 8)).await, Err(TransportError::Closed));
}

#[tokio::test]
async fn both_directions_carry_messages_at_once() {
    let (left, right) = connect().await;
    let exchange = |mut transport: Transport| async move {
        for number in 0..200 {
            transport.sender.send(numbered(number, 10_000)).await.unwrap();
            assert_eq!(transport.receiver.recv().await.unwrap(), numbered(number, 10_000));
        }
        transport
    };
    timeout(PATIENCE, async { tokio::join!(exchange(left), exchange(right)) }).await.unwrap();
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_the_sender_up() {
    const COUNT: u32 = 2_000;
    /// In which a sender that is not held up sends two thousand messages.
    const HELD_UP: Duration = Duration::from_secs(1);
    /// In three queues of the crate, in two of ours of which each has one in hand, and in the buffers of SCTP.
    const MOST: usize = 3 * 256 + 2 * (QUEUE_LEN + 1) + MOST_IN_SCTP / MAX_MESSAGE_LEN + 1;
    const MOST_IN_SCTP: usize = RECEIVE_WINDOW_LEN as usize / 4 + SEND_BUFFER_LEN;
    let (mut left, mut right) = connect().await;
    let (held_up, is_held_up) = oneshot::channel();
    let sending = tokio::spawn(async move {
        let mut held_up = Some(held_up);
        for number in 0..COUNT {
            let mut sent = pin!(left.sender.send(numbered(number, MAX_MESSAGE_LEN)));
            if timeout(HELD_UP, &mut sent).await.is_err()
                && let Some(held_up) = held_up.take()
            {
                held_up.send(number).unwrap();
                sent.await.unwrap();
            }
        }
        left
    });
    let waiting = timeout(PATIENCE, is_held_up).await.unwrap().unwrap();
    assert!(waiting as usize <= MOST, "{waiting} messages wait, and they are all in memory");
    for number in 0..COUNT {
        let message = timeout(PATIENCE, right.receiver.recv()).await.unwrap().unwrap();
        assert_eq!(message, numbered(number, MAX_MESSAGE_LEN));
    }
    drop(sending.await.unwrap());
    assert_eq!(right.receiver.recv().await, Err(TransportError::Closed));
}

#[tokio::test]
async fn a_goodbye_does_not_overtake_what_a_late_reader_has_yet_to_read() {
    /// What fits into the channel's queue: with more, the crate sometimes drops the end of it when the channel closes.
    const COUNT: u32 = 250;
    const LEN: usize = 65_536;
    let (mut left, mut right) = connect().await;
    for number in 0..COUNT {
        timeout(PATIENCE, left.sender.send(numbered(number, LEN))).await.unwrap().unwrap();
    }
    let reading = async {
        for number in 0..COUNT {
            assert_eq!(right.receiver.recv().await.unwrap(), numbered(number, LEN), "message {number}");
        }
        right.receiver.recv().await
    };
    let (closed, end) =
        timeout(PATIENCE, async { tokio::join!(left.sender.close(), reading) }).await.unwrap();
    assert_eq!(closed, Ok(()));
    assert_eq!(end, Err(TransportError::Closed));
}

#[tokio::test]
async fn dropping_a_transport_closes_the_other_side() {
    let (left, mut right) = connect().await;
    drop(left);
    assert_eq!(timeout(PATIENCE, right.receiver.recv()).await.unwrap(), Err(TransportError::Closed));
}

#[tokio::test]
async fn a_message_longer_than_a_record_ends_the_transport_it_came_by() {
    let (left, mut right) = connect().await;
    left.sender.queue.send(BytesMut::zeroed(MAX_MESSAGE_LEN + 1)).await.unwrap();
    let refused = Err(TransportError::MessageTooLong { len: MAX_MESSAGE_LEN + 1 });
    assert_eq!(timeout(PATIENCE, right.receiver.recv()).await.unwrap(), refused);
}

#[tokio::test]
async fn a_peer_that_opens_another_channel_is_refused() {
    let (mut rogue, sdp) = Connection::open(PeerConfig {
        ice_servers: Vec::new(),
        policy: Policy::default(),
        role: Role::Initiator,
    })
    .await
    .unwrap();
    let role = Role::Responder { remote_description: sdp };
    let mut responder = Negotiation::start(PeerConfig::new(role)).await.unwrap();
    let (to_rogue, commands) = mpsc::channel(EVENT_QUEUE_LEN);
    let (events, mut candidates) = mpsc::channel(EVENT_QUEUE_LEN);
    let mut owner = Owner { commands, events };
    let (done, _) = oneshot::channel();
    rogue.obey(Command::RemoteDescription { sdp: responder.local_description().to_owned(), done }).await;
    let both = async { tokio::join!(rogue.negotiate(&mut owner), open(&mut responder, to_rogue.clone())) };
    let (path, mut transport) = timeout(PATIENCE, both).await.unwrap();
    assert_eq!(path.unwrap(), Path::LocalNetwork);
    assert!(matches!(candidates.recv().await, Some(NegotiationEvent::LocalCandidate { .. })));

    let _extra = rogue.peer.create_data_channel("extra", None).await.unwrap();
    assert_eq!(timeout(PATIENCE, transport.receiver.recv()).await.unwrap(), Err(TransportError::Misbehaved));
}

#[tokio::test]
async fn a_description_that_makes_no_sense_is_refused() {
    let config = PeerConfig::new;
    let nonsense = Role::Responder { remote_description: "v=0\r\nnonsense".to_owned() };
    let refused = Negotiation::start(config(nonsense)).await;
    assert!(matches!(refused, Err(NegotiationError::Description(_))), "{refused:?}");
    let initiator = Negotiation::start(config(Role::Initiator)).await.unwrap();
    let refusal = initiator.set_remote_description("v=0".to_owned()).await;
    assert!(matches!(refusal, Err(NegotiationError::Description(_))), "{refusal:?}");
}

#[tokio::test]
async fn candidates_that_cannot_be_used_do_no_harm() {
    let (initiator, responder) = introduce().await;
    for candidate in [
        "candidate:1 1 udp 2122260223 1f4e5d2c-0d6b-4f0e-9c55-2a5d4e3f6a7b.local 50000 typ host",
        "candidate:1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active",
        "candidate:",
        "nonsense",
        "",
    ] {
        initiator.add_remote_candidate(candidate.to_owned(), "0".to_owned()).await;
        responder.add_remote_candidate(candidate.to_owned(), "7".to_owned()).await;
    }
    open_both(initiator, responder).await;
}

#[tokio::test]
async fn the_description_says_what_the_peer_needs_and_nothing_about_addresses() {
    let config = PeerConfig::new(Role::Initiator);
    let negotiation = Negotiation::start(config).await.unwrap();
    let sdp = negotiation.local_description();
    assert!(sdp.contains("a=max-message-size:262144\r\n"), "{sdp}");
    assert_eq!(sdp.matches("a=fingerprint:sha-256 ").count(), 1, "{sdp}");
    assert!(!sdp.contains("a=candidate:"), "{sdp}");
}

#[test]
fn threads_use_it_too() {
    const COUNT: u32 = 500;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (mut left, mut right) = runtime.block_on(connect());
    let sending = thread::spawn(move || {
        for number in 0..COUNT {
            left.sender.blocking_send(numbered(number, 65_600)).unwrap();
        }
        left.sender.blocking_close()
    });
    for number in 0..COUNT {
        assert_eq!(right.receiver.blocking_recv().unwrap(), numbered(number, 65_600));
    }
    assert_eq!(right.receiver.blocking_recv(), Err(TransportError::Closed));
    assert_eq!(sending.join().unwrap(), Ok(()));
}

#[tokio::test]
async fn an_interface_that_is_not_there_is_an_error_that_says_so() {
    let policy = Policy { interfaces: vec!["nowhere0".to_owned()], ..Policy::default() };
    let config = PeerConfig { policy, ..PeerConfig::new(Role::Initiator) };
    let refused = Negotiation::start(config).await.unwrap_err();
    let cause = refused.source().unwrap().to_string();
    assert!(cause.contains("--interface"), "{cause}");
}

/// An address as browsers hide it: a name that only this network can look up.
#[tokio::test]
async fn a_name_under_local_is_looked_up() {
    let name = "6ac6e0c0-e0c0-4e6e-8a0e-3a5a3c6b1d2e.local";
    let (mut initiator, mut responder) = introduce().await;
    let address = crate::interfaces::lan_addresses()[0];
    let host = format!("{name}.");
    let service =
        ServiceInfo::new("_send-test._udp.local.", "hidden", &host, address, 9, &[] as &[(&str, &str)]);
    let daemon = ServiceDaemon::new().unwrap();
    daemon.register(service.unwrap()).unwrap();
    // The initiator learns that name alone, and the responder nothing: only what was looked up can lead there.
    let to_initiator = initiator.commands.clone();
    let hidden = async {
        let mut ended = None;
        while ended.is_none() {
            match responder.next_event().await {
                NegotiationEvent::LocalCandidate { candidate, mid } => {
                    let at = format!(" {address} ");
                    if candidate.contains(&at) {
                        let candidate = candidate.replace(&at, &format!(" {name} "));
                        to_initiator.send(Command::RemoteCandidate { candidate, mid }).await.unwrap();
                    }
                }
                NegotiationEvent::EndOfCandidates => {}
                event @ (NegotiationEvent::Open(_) | NegotiationEvent::Failed(_)) => ended = Some(event),
            }
        }
        ended.unwrap()
    };
    let (to_nobody, _nobody) = mpsc::channel(EVENT_QUEUE_LEN);
    let both = async { tokio::join!(open(&mut initiator, to_nobody), hidden) };
    let (transport, other) = timeout(PATIENCE, both).await.unwrap();
    assert!(matches!(other, NegotiationEvent::Open(_)));
    assert_eq!(transport.path, Path::LocalNetwork);
    daemon.shutdown().unwrap();
}
