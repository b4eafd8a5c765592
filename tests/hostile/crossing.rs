//! What a rendezvous that lies gains by bringing the wrong ones together, or by letting everything through.

use std::time::Duration;

use send::entropy;
use send::transport::webrtc::{Negotiation, PeerConfig, Role};
use wire::code::Code;
use wire::handshake::{Receiver, Sender};
use wire::keys::link_slot;
use wire::link::ShareLink;
use wire::signal::{DescriptionKind, Signal, SignalSealer, halves};
use wire::signaling::{Claim, ClientMessage, CloseReason, Door, Outcome};

use super::liar::{Client, Liar};
use super::program::{Invitation, Program};
use super::room::Room;

/// The longest that either program looks for a path, with room for a busy machine.
const BOUND: Duration = Duration::from_secs(45);

/// Most memory a program may need for anything that is said to it before there is a channel.
const MOST_MEMORY: u64 = 64 << 20;

/// A sender at the liar's, with the code and the link it shows.
async fn sender(liar: &mut Liar, room: &Room, nameplate: Option<u32>) -> (Program, Client, Invitation) {
    let file = room.file("a.txt", b"content");
    let mut args = vec!["--json", "--no-qr", "--server", liar.url.as_str(), file.to_str().unwrap()];
    args.extend(nameplate.is_none().then_some("--link-only"));
    let program = Program::start(room, args);
    let mut client = liar.client().await;
    client.open(nameplate).await;
    let (program, invitation) = invitation(program).await;
    (program, client, invitation)
}

async fn invitation(program: Program) -> (Program, Invitation) {
    let shown = tokio::task::spawn_blocking(move || {
        let invitation = program.invitation();
        (program, invitation)
    });
    shown.await.unwrap()
}

/// Both say hello, and the receiver proves itself.
async fn cross(receiver: &mut Client, sender: &mut Client) {
    sender.relay(&receiver.body().await).await;
    receiver.relay(&sender.body().await).await;
    sender.relay(&receiver.body().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_with_the_same_secret_cannot_be_crossed() {
    for (claimed, works) in [(48, true), (57, false)] {
        let mut liar = Liar::start().await;
        let (room, other) = (Room::new(), Room::new());
        let (sender, mut at_sender, shown) = sender(&mut liar, &room, Some(48)).await;
        let secret = shown.code.split_once('-').unwrap().1;
        let args = ["--json", "--server", liar.url.as_str()];
        let receiver = Program::receive(&other, &format!("{claimed}-{secret}"), &args);
        let mut at_receiver = liar.client().await;
        let nameplate = shown.code.parse::<Code>().unwrap().nameplate();
        assert_eq!(at_receiver.claim().await == Claim::Nameplate(nameplate), works);
        at_sender.pair(Door::Typed).await;
        at_receiver.pair(Door::Typed).await;
        cross(&mut at_receiver, &mut at_sender).await;
        if works {
            at_receiver.relay(&at_sender.body().await).await;
            let outcome = at_sender.hear().await;
            assert!(matches!(outcome, Some(ClientMessage::Result { outcome: Outcome::Confirmed, .. })));
            continue;
        }
        let outcome = at_sender.hear().await;
        assert!(
            matches!(outcome, Some(ClientMessage::Result { outcome: Outcome::WrongCode, .. })),
            "nothing keyed comes back: {outcome:?}"
        );
        at_receiver.leave(CloseReason::WrongCode).await;
        let ending = receiver.end().await;
        ending.assert_failed(4);
        assert_eq!(ending.error(), "wrong_code");
        at_sender.open(Some(49)).await;
        let (_sender, fresh) = invitation(sender).await;
        assert_ne!(fresh.code, shown.code, "the code is burnt");
        liar.assert_nobody_else();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_through_the_wrong_door_is_not_answered_and_tries_no_other() {
    for door in [Door::Link, Door::Typed] {
        let mut liar = Liar::start().await;
        let (room, other) = (Room::new(), Room::new());
        let (sender, mut at_sender, shown) = sender(&mut liar, &room, Some(48)).await;
        // With the code to the door of the link, and the other way round.
        let way = if door == Door::Link { &shown.code } else { &shown.link };
        let server = ["--json", "--server", liar.url.as_str()];
        let args = if door == Door::Link { &server[..] } else { &server[..1] };
        let receiver = Program::receive(&other, way, args);
        let mut at_receiver = liar.client().await;
        at_receiver.claim().await;
        at_receiver.pair(door).await;
        at_sender.pair(door).await;
        at_sender.relay(&at_receiver.body().await).await;
        at_sender.assert_silent().await;
        at_sender.leave(CloseReason::Gone).await;
        tokio::task::spawn_blocking(move || sender.wait_for("attempt_failed")).await.unwrap();
        at_receiver.leave(CloseReason::Gone).await;
        let ending = receiver.end().await;
        ending.assert_failed(3);
        assert_eq!(ending.error(), "peer_left");
        liar.assert_nobody_else();
    }
}

/// More candidates than any machine has, all on this one, behind a description that is in order.
async fn flood(to: &mut Client, sealer: &mut SignalSealer, kind: DescriptionKind, sdp: String) {
    let (generation, restart) = (1, 0);
    to.relay(&sealer.seal(&Signal::Description { generation, restart, kind, sdp })).await;
    for number in 0..10_000 {
        let candidate = format!("candidate:1 1 udp 1 127.7.{}.{} 9 typ host", number / 250, 1 + number % 250);
        let signal = Signal::Candidate { generation, restart, candidate, mid: "0".to_owned() };
        to.relay(&sealer.seal(&signal)).await;
    }
}

async fn assert_no_path(program: Program) {
    let ending = program.end().await;
    ending.assert_failed(5);
    assert_eq!(ending.error(), "no_path");
    assert!(ending.took < BOUND, "{:?}", ending.took);
    assert!(ending.peak_memory < MOST_MEMORY, "{}", ending.peak_memory);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_candidates_cost_a_receiver_neither_time_nor_memory() {
    let mut liar = Liar::start().await;
    let room = Room::new();
    let link = ShareLink::new(liar.url.as_str(), entropy::bytes().unwrap()).unwrap();
    let program = Program::receive(&room, &link.expose(), &["--json"]);
    let mut client = liar.client().await;
    let at = client.claim().await;
    client.pair(Door::Link).await;
    let sender = Sender::new(link.password(), &at, entropy::seed().unwrap());
    let (waiting, answer) = sender.receive_hello(&client.body().await).unwrap();
    client.relay(&answer).await;
    let (session, proof) = waiting.receive_confirm(&client.body().await).unwrap();
    client.relay(&proof).await;
    let (mut sealer, _) = halves(session.signal_keys);
    let own = Negotiation::start(PeerConfig::new(Role::Initiator)).await.unwrap();
    let sdp = own.local_description().to_owned();
    flood(&mut client, &mut sealer, DescriptionKind::Offer, sdp).await;
    assert_no_path(program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_candidates_cost_a_sender_neither_time_nor_memory() {
    let mut liar = Liar::start().await;
    let room = Room::new();
    let (program, mut client, shown) = sender(&mut liar, &room, None).await;
    client.pair(Door::Link).await;
    let link: ShareLink = shown.link.parse().unwrap();
    let at = Claim::Slot(link_slot(link.password()).unwrap());
    let (receiver, hello) = Receiver::new(link.password(), &at, entropy::seed().unwrap());
    client.relay(&hello).await;
    let (confirmed, proof) = receiver.receive_hello(&client.body().await).unwrap();
    client.relay(&proof).await;
    let session = confirmed.receive_confirm(&client.body().await).unwrap();
    assert!(matches!(client.hear().await, Some(ClientMessage::Result { outcome: Outcome::Confirmed, .. })));
    let (mut sealer, mut opener) = halves(session.signal_keys);
    let offer = opener.open(&client.body().await).unwrap();
    let Signal::Description { sdp: remote_description, .. } = offer else { panic!("an offer") };
    let role = Role::Responder { remote_description };
    let own = Negotiation::start(PeerConfig::new(role)).await.unwrap();
    let sdp = own.local_description().to_owned();
    flood(&mut client, &mut sealer, DescriptionKind::Answer, sdp).await;
    assert_no_path(program).await;
}
