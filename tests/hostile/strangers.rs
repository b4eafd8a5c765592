//! Whoever stands in the door and does not know the code, or knows it and describes itself wrongly.

use std::time::Duration;

use send::entropy;
use send::signaling::Connection;
use send::transport::webrtc::{Negotiation, PeerConfig, Role};
use tokio::time::timeout;
use url::Url;
use wire::code::Code;
use wire::handshake::{Receiver, Sender};
use wire::keys::{SessionSecret, link_slot};
use wire::link::ShareLink;
use wire::signal::{DescriptionKind, Signal, SignalOpener, SignalSealer, halves};
use wire::signaling::{Body, Claim, ClientMessage, Door, Outcome, SIGNALING_VERSION, ServerMessage};

use super::host::Host;
use super::peer::PATIENCE;
use super::program::{Invitation, Program};
use super::room::Room;

/// The longest that either program looks for a path or waits for a word, with room for a busy machine.
const BOUND: Duration = Duration::from_secs(45);

/// A pairing at a door, from the wrong side.
pub(super) struct Stranger {
    connection: Connection,
    door: Door,
    attempt: u32,
}

impl Stranger {
    /// Claims a door.
    async fn claim(url: &Url, at: Claim) -> Self {
        let mut connection = Connection::connect(url, PATIENCE).await.unwrap();
        connection.send(&ClientMessage::Claim { v: SIGNALING_VERSION, at }).await.unwrap();
        Self::paired(connection).await
    }

    /// Claims the door of a code that a real sender shows.
    async fn claim_code(host: &Host, invitation: &Invitation) -> Self {
        Self::claim(&host.url, Claim::Nameplate(code(invitation).nameplate())).await
    }

    async fn paired(mut connection: Connection) -> Self {
        loop {
            let message = timeout(PATIENCE, connection.recv()).await.unwrap().unwrap();
            if let ServerMessage::Paired { door, attempt, .. } = message {
                return Self { connection, door, attempt };
            }
        }
    }

    /// Tells the rendezvous, as a sender does, that the visitor is welcome.
    async fn confirm(&mut self) {
        let Self { door, attempt, .. } = *self;
        let result = ClientMessage::Result { door, attempt, outcome: Outcome::Confirmed };
        self.connection.send(&result).await.unwrap();
    }

    pub(super) async fn say(&mut self, bytes: &[u8]) {
        let Self { door, attempt, .. } = *self;
        let body = Body::from_bytes(bytes);
        let _ = self.connection.send(&ClientMessage::Relay { door, attempt, body }).await;
    }

    /// The next body of the other side; `None` once it is gone.
    pub(super) async fn hear(&mut self) -> Option<Vec<u8>> {
        loop {
            match timeout(PATIENCE, self.connection.recv()).await.unwrap() {
                Ok(ServerMessage::Relay { body, .. }) => return Some(body.to_bytes().unwrap()),
                Ok(ServerMessage::Left { .. } | ServerMessage::Refused { .. }) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

fn code(invitation: &Invitation) -> Code {
    invitation.code.parse().unwrap()
}

/// The same nameplate with another password.
fn wrong(invitation: &Invitation) -> String {
    let (front, last) = invitation.code.split_at(invitation.code.len() - 1);
    format!("{front}{}", if last == "0" { "1" } else { "0" })
}

/// A link door of a stranger's own, with a real receiver in it.
async fn lure(host: &Host, room: &Room) -> (Program, Stranger, Claim, ShareLink) {
    let link = ShareLink::new(host.url.as_str(), entropy::bytes().unwrap()).unwrap();
    let slot = link_slot(link.password()).unwrap();
    let mut connection = Connection::connect(&host.url, PATIENCE).await.unwrap();
    let create = ClientMessage::Create {
        v: SIGNALING_VERSION,
        typed: false,
        link_slot: Some(slot),
        token: None,
        return_slot: None,
    };
    connection.send(&create).await.unwrap();
    let created = timeout(PATIENCE, connection.recv()).await.unwrap().unwrap();
    assert!(matches!(created, ServerMessage::Created { .. }));
    let program = Program::receive(room, &link.expose(), &["--json"]);
    (program, Stranger::paired(connection).await, Claim::Slot(slot), link)
}

/// Sends one file by a typed code.
async fn offer(host: &Host, room: &Room) -> (Program, Invitation) {
    let file = room.file("a.txt", b"content");
    Program::send(room, host.url.as_str(), &file, &[]).await
}

async fn next_code(program: Program) -> (Program, Invitation) {
    let shown = tokio::task::spawn_blocking(move || {
        let invitation = program.invitation();
        (program, invitation)
    });
    shown.await.unwrap()
}

/// An honest receiver gets the file by this code or link, after everything that was tried.
async fn assert_works(host: &Host, sender: Program, code_or_link: &str) -> String {
    let room = Room::new();
    let args = ["--json", "--server", host.url.as_str()];
    let received = Program::receive(&room, code_or_link, &args).end().await;
    assert_eq!(received.status, Some(0), "{received:#?}");
    assert_eq!(std::fs::read(room.output().join("a.txt")).unwrap(), b"content");
    let sent = sender.end().await;
    assert_eq!(sent.status, Some(0), "{sent:#?}");
    sent.assert_clean();
    sent.stdout
}

fn count(stdout: &str, words: &str) -> usize {
    stdout.lines().filter(|line| line.contains(words)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_code_is_one_failure_that_both_are_told_and_burns_the_code() {
    let host = Host::start().await;
    let room = Room::new();
    let (sender, first) = offer(&host, &room).await;
    let args = ["--json", "--server", host.url.as_str()];
    let ending = Program::receive(&Room::new(), &wrong(&first), &args).end().await;
    ending.assert_failed(4);
    assert_eq!(ending.error(), "wrong_code");

    let (sender, second) = next_code(sender).await;
    assert_ne!(first.code, second.code);
    for burnt in [&first.code, &wrong(&first)] {
        let late = Program::receive(&Room::new(), burnt, &args).end().await;
        late.assert_failed(4);
        assert_eq!(late.error(), "no_such_code", "as any other code that does not exist");
    }
    let stdout = assert_works(&host, sender, &second.code).await;
    assert_eq!(count(&stdout, "attempt_failed"), 1, "{stdout}");
    assert_eq!(count(&stdout, r#""event":"code""#), 2, "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_that_leave_before_proving_anything_learn_nothing_and_spend_no_guess() {
    let host = Host::start().await;
    let room = Room::new();
    let (sender, first) = offer(&host, &room).await;
    for _ in 0..3 {
        let mut stranger = Stranger::claim_code(&host, &first).await;
        let (_, hello) = Receiver::new(code(&first).password(), &claim(&first), entropy::seed().unwrap());
        stranger.say(&hello).await;
        assert_eq!(stranger.hear().await.unwrap()[0], 2, "a hello, and nothing keyed");
    }
    let (sender, second) = next_code(sender).await;
    let stranger = Stranger::claim_code(&host, &second).await;
    drop(stranger);
    let stdout = assert_works(&host, sender, &second.code).await;
    assert_eq!(count(&stdout, "wrong_code"), 0, "{stdout}");
}

fn claim(invitation: &Invitation) -> Claim {
    Claim::Nameplate(code(invitation).nameplate())
}

#[tokio::test(flavor = "multi_thread")]
async fn hellos_that_make_no_sense_are_not_answered_and_leave_the_link_as_it_was() {
    let host = Host::start().await;
    let room = Room::new();
    let (mut sender, mut invitation) = offer(&host, &room).await;
    let link = ShareLink::new(host.url.as_str(), [7; 16]).unwrap();
    let mut bad = 0;
    for index in 0..9 {
        let at = claim(&invitation);
        let (_, good) = Receiver::new(code(&invitation).password(), &at, entropy::seed().unwrap());
        let pake = good.len() - 33;
        let altered = |position: usize, byte: u8| {
            let mut body = good.clone();
            body[position] = byte;
            body
        };
        let body = match index {
            0 => Vec::new(),
            1 => altered(0, 2),
            2 => altered(pake, b'A'),
            3 => good[..good.len() - 1].to_vec(),
            4 => [good.as_slice(), &[0]].concat(),
            // The identity, and what is no point at all.
            5 => [&good[..=pake], &[1], &[0; 31]].concat(),
            6 => [&good[..=pake], &[0xff; 32]].concat(),
            7 => altered(2, 0xff),
            // Through the typed door with the hello of a link.
            _ => Receiver::new(link.password(), &at, entropy::seed().unwrap()).1,
        };
        let mut stranger = Stranger::claim_code(&host, &invitation).await;
        stranger.say(&body).await;
        stranger.connection.close().await;
        bad += 1;
        if bad % 3 == 0 && bad < 9 {
            (sender, invitation) = next_code(sender).await;
        } else {
            sender = next_failure(sender).await;
        }
    }
    let stdout = assert_works(&host, sender, &invitation.link).await;
    assert_eq!(count(&stdout, r#""event":"code""#), 3, "{stdout}");
    assert_eq!(count(&stdout, "wrong_code"), 0, "{stdout}");
}

async fn next_failure(program: Program) -> Program {
    let waiting = tokio::task::spawn_blocking(move || {
        program.wait_for("attempt_failed");
        program
    });
    waiting.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_proves_anything_is_given_ten_seconds() {
    let host = Host::start().await;
    let room = Room::new();
    let (sender, invitation) = offer(&host, &room).await;
    let mut stranger = Stranger::claim_code(&host, &invitation).await;
    let (_, hello) =
        Receiver::new(code(&invitation).password(), &claim(&invitation), entropy::seed().unwrap());
    stranger.say(&hello).await;
    let started = std::time::Instant::now();
    let sender = next_failure(sender).await;
    assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
    assert_works(&host, sender, &invitation.code).await;
    drop(stranger);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_never_answers_is_given_up() {
    let host = Host::start().await;
    let room = Room::new();
    let (program, stranger, ..) = lure(&host, &room).await;
    let ending = program.end().await;
    ending.assert_failed(3);
    assert!(ending.took < BOUND, "{:?}", ending.took);
    drop(stranger);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_make_no_sense_end_the_receiver_before_it_proves_anything() {
    let host = Host::start().await;
    for index in 0..6 {
        let room = Room::new();
        let (program, mut stranger, at, link) = lure(&host, &room).await;
        let hello = stranger.hear().await.unwrap();
        let sender = Sender::new(link.password(), &at, entropy::seed().unwrap());
        let (_, good) = sender.receive_hello(&hello).unwrap();
        let mut body = good.clone();
        match index {
            0 => body.clear(),
            1 => body.truncate(good.len() - 1),
            // Its own message, as if it came from the other side.
            2 => body = [&[2], &hello[1..]].concat(),
            3 => body[good.len() - 33] = b'B',
            // A link is not a typed code.
            4 => body[13] = 1,
            _ => body[good.len() - 32..].fill(0),
        }
        stranger.say(&body).await;
        assert_eq!(stranger.hear().await, None, "no proof to guess by: {index}");
        program.end().await.assert_failed(1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_that_was_changed_on_its_way_does_not_lead_to_a_session() {
    let host = Host::start().await;
    // Version, suite, capabilities, nonce, commitment, PAKE message of a sender that knows the password.
    for at in [5, 8, 9, 14, 40] {
        let room = Room::new();
        let (program, mut stranger, place, link) = lure(&host, &room).await;
        let hello = stranger.hear().await.unwrap();
        let sender = Sender::new(link.password(), &place, entropy::seed().unwrap());
        let (waiting, mut answer) = sender.receive_hello(&hello).unwrap();
        answer[at] ^= 2;
        stranger.say(&answer).await;
        let proof = stranger.hear().await.unwrap();
        assert!(waiting.receive_confirm(&proof).is_err(), "the transcripts differ");
        stranger.say(&[&[4], [0; 64].as_slice()].concat()).await;
        let ending = program.end().await;
        ending.assert_failed(4);
        assert_eq!(ending.error(), "wrong_code", "byte {at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_hello_and_proof_are_worth_one_wrong_guess() {
    let host = Host::start().await;
    let room = Room::new();
    let (sender, first) = offer(&host, &room).await;
    let (receiver, hello) = Receiver::new(code(&first).password(), &claim(&first), entropy::seed().unwrap());
    let mut stranger = Stranger::claim_code(&host, &first).await;
    stranger.say(&hello).await;
    let (_, proof) = receiver.receive_hello(&stranger.hear().await.unwrap()).unwrap();
    // The proof is kept back, and played later with the same hello: the sender has other entropy by then.
    drop(stranger);
    let sender = next_failure(sender).await;
    let mut parrot = Stranger::claim_code(&host, &first).await;
    parrot.say(&hello).await;
    assert_eq!(parrot.hear().await.unwrap()[0], 2);
    parrot.say(&proof).await;
    assert_eq!(parrot.hear().await, None, "nothing keyed comes back");
    let (sender, second) = next_code(sender).await;
    let stdout = assert_works(&host, sender, &second.code).await;
    assert_eq!(count(&stdout, r#""reason":"wrong_code""#), 1, "{stdout}");
}

/// A stranger that knows the password, past the handshake with a real program.
pub(super) struct Known {
    pub(super) program: Program,
    pub(super) stranger: Stranger,
    pub(super) secret: SessionSecret,
    pub(super) sealer: SignalSealer,
    pub(super) opener: SignalOpener,
    /// The description that a sender began with; nothing of a receiver.
    pub(super) offer: String,
}

/// In the place of the sender.
pub(super) async fn known_sender(host: &Host, room: &Room) -> Known {
    let (program, mut stranger, at, link) = lure(host, room).await;
    let sender = Sender::new(link.password(), &at, entropy::seed().unwrap());
    let (waiting, answer) = sender.receive_hello(&stranger.hear().await.unwrap()).unwrap();
    stranger.say(&answer).await;
    let (session, proof) = waiting.receive_confirm(&stranger.hear().await.unwrap()).unwrap();
    stranger.say(&proof).await;
    stranger.confirm().await;
    let (sealer, opener) = halves(session.signal_keys);
    Known { program, stranger, secret: session.secret, sealer, opener, offer: String::new() }
}

/// In the place of the receiver.
pub(super) async fn known_receiver(host: &Host, room: &Room) -> Known {
    let file = room.file("a.txt", b"content");
    let (program, invitation) = Program::send(room, host.url.as_str(), &file, &["--link-only"]).await;
    let link: ShareLink = invitation.link.parse().unwrap();
    let at = Claim::Slot(link_slot(link.password()).unwrap());
    let mut stranger = Stranger::claim(&host.url, at).await;
    let (receiver, hello) = Receiver::new(link.password(), &at, entropy::seed().unwrap());
    stranger.say(&hello).await;
    let (confirmed, proof) = receiver.receive_hello(&stranger.hear().await.unwrap()).unwrap();
    stranger.say(&proof).await;
    let session = confirmed.receive_confirm(&stranger.hear().await.unwrap()).unwrap();
    let (sealer, mut opener) = halves(session.signal_keys);
    loop {
        let signal = opener.open(&stranger.hear().await.unwrap()).unwrap();
        if let Signal::Description { sdp, .. } = signal {
            return Known { program, stranger, secret: session.secret, sealer, opener, offer: sdp };
        }
    }
}

fn description(kind: DescriptionKind, sdp: String) -> Signal {
    Signal::Description { generation: 1, restart: 0, kind, sdp }
}

/// Descriptions made from a good one that no side may accept.
fn bad_descriptions(good: &str) -> Vec<(&'static str, String)> {
    let fingerprint = good.lines().find(|line| line.starts_with("a=fingerprint:")).unwrap();
    let with = |line: &str| format!("{good}{line}\r\n");
    let without = |prefix: &str| -> String {
        good.lines().filter(|line| !line.starts_with(prefix)).flat_map(|line| [line, "\r\n"]).collect()
    };
    let candidates = "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n".repeat(100);
    vec![
        ("two fingerprints", with(fingerprint)),
        ("two different fingerprints", with("a=fingerprint:sha-1 00:11")),
        ("no fingerprint", without("a=fingerprint:")),
        ("an old hash", good.replace("sha-256", "sha-1")),
        ("half a fingerprint", format!("{}a=fingerprint:sha-256 00:11\r\n", without("a=fingerprint:"))),
        ("two sections", with("m=audio 9 UDP/TLS/RTP/SAVPF 0")),
        ("no section", without("m=")),
        ("no room for a record", format!("{}a=max-message-size:65536\r\n", without("a=max-message-size:"))),
        ("a hundred candidates", format!("{good}{candidates}")),
        ("nothing", String::new()),
        ("nonsense", "\u{1b}[2J".repeat(100)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_refuses_descriptions_that_promise_too_much_or_too_little() {
    let host = Host::start().await;
    let config = PeerConfig::new(Role::Initiator);
    let good = Negotiation::start(config).await.unwrap();
    for (what, sdp) in bad_descriptions(good.local_description()) {
        let room = Room::new();
        let Known { program, mut stranger, mut sealer, .. } = known_sender(&host, &room).await;
        stranger.say(&sealer.seal(&description(DescriptionKind::Offer, sdp))).await;
        let ending = program.end().await;
        ending.assert_failed(1);
        assert_eq!(ending.error(), "protocol", "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_refuses_descriptions_that_promise_too_much_or_too_little() {
    let host = Host::start().await;
    let config = PeerConfig::new(Role::Initiator);
    let good = Negotiation::start(config).await.unwrap();
    let good = good.local_description().replace("a=setup:actpass", "a=setup:active");
    for (what, sdp) in bad_descriptions(&good) {
        let room = Room::new();
        let Known { program, mut stranger, mut sealer, .. } = known_receiver(&host, &room).await;
        stranger.say(&sealer.seal(&description(DescriptionKind::Answer, sdp))).await;
        let ending = program.end().await;
        ending.assert_failed(1);
        assert_eq!(ending.error(), "protocol", "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_that_were_altered_cut_or_played_again_are_refused() {
    let host = Host::start().await;
    for index in 0..8 {
        let room = Room::new();
        let Known { program, mut stranger, mut sealer, .. } = known_sender(&host, &room).await;
        let mut body = sealer.seal(&Signal::Relay { generation: 9 });
        let len = body.len();
        match index {
            0 => body.truncate(0),
            1 => body.truncate(8),
            2 => body.truncate(9),
            3 => body.truncate(24),
            4 => body.truncate(len - 1),
            5 => body[len - 1] ^= 1,
            6 => body[8] ^= 1,
            _ => stranger.say(&body).await,
        }
        stranger.say(&body).await;
        let ending = program.end().await;
        ending.assert_failed(1);
        assert_eq!(ending.error(), "protocol", "{index}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_of_somebody_else_leads_nowhere_within_the_time_for_finding_a_path() {
    let host = Host::start().await;
    let room = Room::new();
    let Known { program, mut stranger, mut sealer, .. } = known_sender(&host, &room).await;
    let config = PeerConfig::new(Role::Initiator);
    let negotiation = Negotiation::start(config).await.unwrap();
    // The certificate of one connection is promised, that of another is shown.
    let other = PeerConfig::new(Role::Initiator);
    let other = Negotiation::start(other).await.unwrap();
    let sdp = negotiation
        .local_description()
        .replace(fingerprint(negotiation.local_description()), fingerprint(other.local_description()));
    stranger.say(&sealer.seal(&description(DescriptionKind::Offer, sdp))).await;
    let ending = program.end().await;
    ending.assert_failed(5);
    assert_eq!(ending.error(), "no_path");
    assert!(ending.took < BOUND, "{:?}", ending.took);
}

fn fingerprint(sdp: &str) -> &str {
    sdp.lines().find_map(|line| line.strip_prefix("a=fingerprint:sha-256 ")).unwrap()
}
