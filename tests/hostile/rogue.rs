//! A peer that keeps every rule up to the open channel, and none of the channel's own.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::BytesMut;
use rtc::peer_connection::configuration::setting_engine::SctpMaxMessageSize;
use send::entropy;
use tokio::sync::mpsc;
use tokio::time::timeout;
use webrtc::data_channel::{DataChannel, DataChannelEvent, RTCDataChannelInit};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidateInit, RTCPeerConnectionIceEvent, RTCSessionDescription, SettingEngineBuilder,
};
use webrtc::runtime::TokioRuntime;
use wire::generation::Generation;
use wire::keys::{Binding, SessionSecret};
use wire::message::Message;
use wire::record::{HEADER_LEN, MAX_RECORD_LEN, Sealer, TAG_LEN};
use wire::signal::{CheckedDescription, DescriptionKind, Signal, SignalOpener, SignalSealer};

use super::entry::{Raw, offer};
use super::host::Host;
use super::peer::PATIENCE;
use super::program::{Ending, Program};
use super::room::Room;
use super::strangers::{Known, Stranger, known_receiver, known_sender};

/// What it does with the channel.
#[derive(Clone, Copy, Debug)]
enum Misdeed {
    /// One message of this many bytes.
    Message(usize),
    /// This many channels that nobody agreed on.
    Channels(u32),
    /// Records over a channel that may deliver them in any order, which is its own loss: the file arrives or it does not.
    Unordered,
}

const MISDEEDS: [Misdeed; 6] = [
    Misdeed::Message(0),
    Misdeed::Message(MAX_RECORD_LEN + 1),
    Misdeed::Message(1 << 20),
    Misdeed::Channels(1),
    Misdeed::Channels(1_000),
    Misdeed::Unordered,
];

/// Most memory a program may need for what is neither a record nor its channel.
const MOST_MEMORY: u64 = 96 << 20;

/// A connection of the library's own, without anything that this project does to it.
struct Rogue {
    peer: Box<dyn PeerConnection>,
    channel: Arc<dyn DataChannel>,
    candidates: mpsc::UnboundedReceiver<RTCIceCandidateInit>,
}

struct Handler(mpsc::UnboundedSender<RTCIceCandidateInit>);

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        if let Ok(init) = event.candidate.to_json() {
            let _ = self.0.send(init);
        }
    }
}

impl Rogue {
    async fn new(misdeed: Misdeed) -> Self {
        let (reports, candidates) = mpsc::unbounded_channel();
        let settings = SettingEngineBuilder::new()
            .with_include_loopback_candidate(true)
            .with_sctp_max_message_size(SctpMaxMessageSize::Unbounded)
            .build();
        let building = PeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::new().build())
            .with_handler(Arc::new(Handler(reports)))
            .with_setting_engine(settings)
            .with_runtime(Arc::new(TokioRuntime))
            .with_udp_addrs(vec![SocketAddr::from(([127, 0, 0, 1], 0))])
            .build();
        let peer: Box<dyn PeerConnection> = Box::new(Box::pin(building).await.unwrap());
        let ordered = !matches!(misdeed, Misdeed::Unordered);
        let init = RTCDataChannelInit { ordered, negotiated: Some(0), ..Default::default() };
        let channel = peer.create_data_channel("send", Some(init)).await.unwrap();
        Self { peer, channel, candidates }
    }

    async fn offer(&self) -> String {
        let offer = self.peer.create_offer(None).await.unwrap();
        self.peer.set_local_description(offer.clone()).await.unwrap();
        offer.sdp
    }

    async fn answer(&self, offer: &str) -> String {
        let offer = RTCSessionDescription::offer(lenient(offer)).unwrap();
        self.peer.set_remote_description(offer).await.unwrap();
        let answer = self.peer.create_answer(None).await.unwrap();
        self.peer.set_local_description(answer.clone()).await.unwrap();
        answer.sdp
    }

    /// Passes candidates on, and takes the answer, until the channel is open. Gives the answer, if there was one.
    async fn open(&mut self, way: &mut Way) -> Option<String> {
        let mut answer = None;
        let opening = async {
            loop {
                tokio::select! {
                    Some(init) = self.candidates.recv() => way.say(candidate(init.candidate)).await,
                    event = self.channel.poll() => {
                        if let Some(DataChannelEvent::OnOpen) = event {
                            return;
                        }
                    }
                    signal = way.hear() => match signal {
                        Signal::Description { sdp, .. } => {
                            let described = RTCSessionDescription::answer(lenient(&sdp)).unwrap();
                            self.peer.set_remote_description(described).await.unwrap();
                            answer = Some(sdp);
                        }
                        Signal::Candidate { candidate, mid, .. } => {
                            let init = RTCIceCandidateInit {
                                candidate,
                                sdp_mid: Some(mid),
                                sdp_mline_index: Some(0),
                                ..Default::default()
                            };
                            let _ = self.peer.add_ice_candidate(init).await;
                        }
                        Signal::Generations { .. }
                        | Signal::EndOfCandidates { .. }
                        | Signal::Relay { .. }
                        | Signal::Abort { .. }
                        | Signal::Unknown => {}
                    }
                }
            }
        };
        timeout(PATIENCE, opening).await.expect("the channel opens");
        answer
    }

    async fn send(&self, message: BytesMut) {
        // What the other side refuses to take is lost.
        let _ = self.channel.send(message).await;
    }

    /// The next message; `None` once the other side has gone.
    async fn hear(&self) -> Option<BytesMut> {
        loop {
            match timeout(PATIENCE, self.channel.poll()).await.expect("the program says something")? {
                DataChannelEvent::OnMessage(message) => return Some(message.data),
                DataChannelEvent::OnClose => return None,
                DataChannelEvent::OnOpen
                | DataChannelEvent::OnError
                | DataChannelEvent::OnClosing
                | DataChannelEvent::OnBufferedAmountLow
                | DataChannelEvent::OnBufferedAmountHigh
                | _ => {}
            }
        }
    }

    async fn commit(&self, misdeed: Misdeed, sealer: &mut Sealer) {
        match misdeed {
            Misdeed::Message(len) => self.send(BytesMut::zeroed(len)).await,
            Misdeed::Channels(count) => {
                for _ in 0..count {
                    let _ = self.peer.create_data_channel("extra", None).await;
                }
            }
            Misdeed::Unordered => {
                for message in offer(&[Raw::file("a.txt", 3)]).messages {
                    self.send(seal(sealer, &message)).await;
                }
            }
        }
    }
}

/// A description under which messages of any length may be sent.
fn lenient(sdp: &str) -> String {
    sdp.replace("a=max-message-size:262144", "a=max-message-size:16777216")
}

fn candidate(candidate: String) -> Signal {
    Signal::Candidate { generation: 1, restart: 0, candidate, mid: "0".to_owned() }
}

fn seal(sealer: &mut Sealer, message: &Message<'_>) -> BytesMut {
    let mut plaintext = Vec::new();
    message.encode_into(&mut plaintext);
    let mut record = BytesMut::zeroed(HEADER_LEN);
    record.extend_from_slice(&plaintext);
    record.resize(HEADER_LEN + plaintext.len() + TAG_LEN, 0);
    sealer.seal(&mut record).unwrap();
    record
}

/// The way to the program before there is a channel.
struct Way {
    stranger: Stranger,
    sealer: SignalSealer,
    opener: SignalOpener,
}

impl Way {
    async fn say(&mut self, signal: Signal) {
        let body = self.sealer.seal(&signal);
        self.stranger.say(&body).await;
    }

    async fn hear(&mut self) -> Signal {
        let body = self.stranger.hear().await.expect("the program is still there");
        self.opener.open(&body).unwrap()
    }

    async fn describe(&mut self, kind: DescriptionKind, sdp: String) {
        self.say(Signal::Description { generation: 1, restart: 0, kind, sdp }).await;
    }
}

fn generation(secret: SessionSecret, offer: &str, answer: &str) -> Generation {
    let fingerprint = |sdp: &str| CheckedDescription::parse(sdp).unwrap().fingerprint().0;
    let binding = Binding::webrtc(&fingerprint(offer), &fingerprint(answer));
    Generation::new(secret, 1, binding).unwrap()
}

/// An open generation with a real receiver.
async fn with_receiver(host: &Host, room: &Room, misdeed: Misdeed) -> (Program, Rogue, Way, Sealer) {
    let Known { program, stranger, secret, sealer, opener, .. } = known_sender(host, room).await;
    let mut way = Way { stranger, sealer, opener };
    let mut rogue = Box::pin(Rogue::new(misdeed)).await;
    let offer = rogue.offer().await;
    way.describe(DescriptionKind::Offer, offer.clone()).await;
    let answer = rogue.open(&mut way).await.expect("an answer");
    let generation = generation(secret, &offer, &answer);
    let opening = rogue.hear().await.unwrap();
    let (seals, _, reply) = generation.sender(&opening, entropy::seed().unwrap()).unwrap();
    rogue.send(BytesMut::from(reply.as_slice())).await;
    (program, rogue, way, seals)
}

/// An open generation with a real sender.
async fn with_sender(host: &Host, room: &Room, misdeed: Misdeed) -> (Program, Rogue, Way, Sealer) {
    let Known { program, stranger, secret, sealer, opener, offer } = known_receiver(host, room).await;
    let mut way = Way { stranger, sealer, opener };
    let mut rogue = Box::pin(Rogue::new(misdeed)).await;
    let answer = rogue.answer(&offer).await;
    way.describe(DescriptionKind::Answer, answer.clone()).await;
    rogue.open(&mut way).await;
    let generation = generation(secret, &offer, &answer);
    let (waiting, opening) = generation.receiver(entropy::seed().unwrap());
    rogue.send(BytesMut::from(opening.as_slice())).await;
    let (seals, _) = waiting.receive(&rogue.hear().await.unwrap()).unwrap();
    (program, rogue, way, seals)
}

#[track_caller]
fn assert_refused(ending: &Ending, misdeed: Misdeed) {
    ending.assert_clean();
    // 5: what is far beyond the length that was announced never leaves the library, and the channel stands still.
    assert!(matches!(ending.status, Some(1 | 3 | 5 | 7 | 130)), "{misdeed:?}: {ending:#?}");
    assert!(ending.peak_memory < MOST_MEMORY, "{misdeed:?}: {}", ending.peak_memory);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_takes_records_over_one_channel_and_nothing_else() {
    let host = Host::start().await;
    for misdeed in MISDEEDS {
        let room = Room::new();
        let (program, rogue, way, mut sealer) = Box::pin(with_receiver(&host, &room, misdeed)).await;
        rogue.commit(misdeed, &mut sealer).await;
        if let Misdeed::Unordered = misdeed {
            // It agreed, and is not told that the order is left to chance.
            let start = rogue.hear().await;
            assert!(start.is_some(), "{misdeed:?}");
            rogue.peer.close().await.unwrap();
        }
        let ending = program.end_or_stop_reconnecting().await;
        assert_refused(&ending, misdeed);
        assert!(!room.output().join("a.txt").exists(), "{misdeed:?}");
        drop(way);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_takes_records_over_one_channel_and_nothing_else() {
    let host = Host::start().await;
    for misdeed in MISDEEDS.into_iter().filter(|misdeed| !matches!(misdeed, Misdeed::Unordered)) {
        let room = Room::new();
        let (program, rogue, way, mut sealer) = Box::pin(with_sender(&host, &room, misdeed)).await;
        rogue.commit(misdeed, &mut sealer).await;
        assert_refused(&program.end_or_stop_reconnecting().await, misdeed);
        drop(way);
    }
}
