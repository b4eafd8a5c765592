//! One peer connection, from its sockets to its open channel.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::configuration::setting_engine::SctpMaxMessageSize;
use tokio::sync::{mpsc, oneshot};
use webrtc::data_channel::{DataChannel, DataChannelEvent, RTCDataChannelInit};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidateInit, RTCIceCandidateType, RTCIceConnectionState, RTCIceGatheringState, RTCIceServer,
    RTCIceTransportPolicy, RTCPeerConnectionIceEvent, RTCPeerConnectionState, RTCSessionDescription,
    SettingEngine, SettingEngineBuilder, StatsSelector,
};

use wire::transfer::MAX_CREDIT_WINDOW;

use super::runtime::{Alertness, BufferedRuntime};
use super::{Command, NegotiationError, NegotiationEvent, Owner, PeerConfig, Role, pump, servers, setup};
use crate::interfaces;
use crate::policy::{Policy, Relay};
use crate::transport::{Path, Transport, TransportError};

/// Makes one connection and serves it until it has ended.
pub(super) async fn run(
    config: PeerConfig,
    mut owner: Owner,
    ready: oneshot::Sender<Result<String, NegotiationError>>,
) {
    let (mut connection, description) = match Box::pin(Connection::open(config)).await {
        Ok(opened) => opened,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    // An owner that is gone by now is noticed by the closed queue of its commands.
    let _ = ready.send(Ok(description));
    match connection.negotiate(&mut owner).await {
        Ok(path) => {
            let (mut transport, driven) = Transport::driven(path);
            transport.round_trip = connection.round_trip().await;
            let _ = owner.events.send(NegotiationEvent::Open(transport)).await;
            pump::run(connection, driven, owner.commands).await;
        }
        Err(Stopped::Abandoned) => connection.close().await,
        Err(Stopped::Failed(error)) => {
            let _ = owner.events.send(NegotiationEvent::Failed(error)).await;
            connection.close().await;
        }
    }
}

/// Why a negotiation stopped without a channel.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The owner does not want it any more.
    Abandoned,
    Failed(NegotiationError),
}

/// A peer connection, its one channel, and what the crate reports about it.
pub(super) struct Connection {
    pub(super) peer: Box<dyn PeerConnection>,
    pub(super) channel: Arc<dyn DataChannel>,
    changes: mpsc::Receiver<Change>,
    /// Candidates of the peer that came before its description, which they need.
    early: Vec<RTCIceCandidateInit>,
    alertness: Alertness,
    policy: Policy,
    is_described: bool,
    candidate_count: usize,
}

/// What the crate reports.
#[derive(Debug)]
enum Change {
    Candidate(RTCIceCandidateInit),
    EndOfCandidates,
    State(RTCPeerConnectionState),
    /// A layer below the channel is ready for the next one to start.
    Progress,
    ForeignChannel,
}

/// More candidates than this from one peer only multiply the checks; no machine has as many addresses.
const MAX_REMOTE_CANDIDATES: usize = 64;

/// The one media section of a description with nothing but a data channel.
const MID: &str = "0";

impl Connection {
    /// Binds the sockets and describes this side.
    pub(super) async fn open(config: PeerConfig) -> Result<(Self, String), NegotiationError> {
        let policy = config.policy;
        let mut ice_servers = servers::usable(&config.ice_servers).await;
        if policy.relay == Relay::Never {
            ice_servers.retain(|server| !servers::is_relay(server));
        }
        let addresses = bind_addresses(&policy);
        if addresses.is_empty() {
            return Err(setup(io::Error::other(
                "no address of this machine may be used as --interface, --ipv4 and --ipv6 are",
            )));
        }
        let (reports, changes) = mpsc::channel(CHANGE_QUEUE_LEN);
        let alertness = Alertness::default();
        alertness.set(ice_servers.iter().any(servers::is_relay));
        let peer = Box::pin(build_peer((ice_servers, addresses, policy.relay), reports, &alertness))
            .await
            .map_err(setup)?;
        let init = RTCDataChannelInit { ordered: true, negotiated: Some(CHANNEL_ID), ..Default::default() };
        let channel = peer.create_data_channel(CHANNEL_LABEL, Some(init)).await.map_err(setup)?;
        let mut connection = Self {
            peer,
            channel,
            changes,
            early: Vec::new(),
            alertness,
            policy,
            is_described: false,
            candidate_count: 0,
        };
        let description = match config.role {
            Role::Initiator => connection.peer.create_offer(None).await.map_err(setup)?,
            Role::Responder { remote_description } => {
                let sdp = RTCSessionDescription::offer(remote_description).map_err(description)?;
                connection.describe(sdp).await?;
                connection.peer.create_answer(None).await.map_err(description)?
            }
        };
        let sdp = description.sdp.clone();
        connection.peer.set_local_description(description).await.map_err(setup)?;
        Ok((connection, sdp))
    }

    /// Looks for a path until the channel is open on one.
    pub(super) async fn negotiate(&mut self, owner: &mut Owner) -> Result<Path, Stopped> {
        loop {
            tokio::select! {
                command = owner.commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => return Err(Stopped::Abandoned),
                },
                change = self.changes.recv() => {
                    if let Some(Change::Progress | Change::State(_)) = change {
                        self.nudge().await;
                    }
                    self.report(change, owner)?;
                }
                event = self.channel.poll() => match event {
                    Some(DataChannelEvent::OnOpen) => return Ok(self.path().await),
                    Some(DataChannelEvent::OnClose) | None => return Err(ended(TransportError::Closed)),
                    Some(_) => {}
                },
            }
        }
    }

    /// Tells the owner what the crate reported.
    fn report(&self, change: Option<Change>, owner: &Owner) -> Result<(), Stopped> {
        let event = match change {
            Some(Change::Candidate(init)) => {
                let mid = init.sdp_mid.filter(|mid| !mid.is_empty()).unwrap_or_else(|| MID.to_owned());
                NegotiationEvent::LocalCandidate { candidate: self.told(init.candidate), mid }
            }
            Some(Change::EndOfCandidates) => NegotiationEvent::EndOfCandidates,
            Some(Change::State(state)) => {
                return match verdict(state) {
                    Some(TransportError::Lost) => Err(Stopped::Failed(NegotiationError::NoPath)),
                    Some(error) => Err(ended(error)),
                    None => Ok(()),
                };
            }
            Some(Change::Progress) => return Ok(()),
            Some(Change::ForeignChannel) => return Err(ended(TransportError::Misbehaved)),
            None => return Err(ended(TransportError::Lost)),
        };
        if owner.events.try_send(event).is_err() {
            tracing::debug!("nobody takes the local candidates");
        }
        Ok(())
    }

    /// A candidate as the other side is told: where it is to learn no address of this machine, without the one behind the relay.
    fn told(&self, candidate: String) -> String {
        match candidate.split_once(" raddr ") {
            Some((relayed, _)) if self.policy.relay == Relay::Only => {
                format!("{relayed} raddr 0.0.0.0 rport 0")
            }
            _ => candidate,
        }
    }

    /// Makes the crate send what it has to send. When ICE or DTLS is done, it queues the first packet of the layer above and
    /// then sleeps until its next timer, 200 ms later; changing nothing about the channel wakes it.
    async fn nudge(&self) {
        let _ = self.channel.set_buffered_amount_low_threshold(0).await;
    }

    /// Does what the owner asked for.
    pub(super) async fn obey(&mut self, command: Command) {
        match command {
            Command::RemoteDescription { sdp, done } => {
                let outcome = match RTCSessionDescription::answer(sdp) {
                    Ok(sdp) => self.describe(sdp).await,
                    Err(error) => Err(description(error)),
                };
                let _ = done.send(outcome);
            }
            Command::RemoteCandidate { candidate, mid } => {
                self.candidate_count += 1;
                if self.candidate_count > MAX_REMOTE_CANDIDATES || !self.policy.allows_candidate(&candidate) {
                    return;
                }
                let init = RTCIceCandidateInit {
                    candidate,
                    sdp_mid: Some(mid),
                    sdp_mline_index: Some(0),
                    ..Default::default()
                };
                if self.is_described {
                    self.try_candidate(init).await;
                } else {
                    self.early.push(init);
                }
            }
        }
    }

    async fn describe(&mut self, sdp: RTCSessionDescription) -> Result<(), NegotiationError> {
        self.peer.set_remote_description(sdp).await.map_err(description)?;
        self.is_described = true;
        for candidate in std::mem::take(&mut self.early) {
            self.try_candidate(candidate).await;
        }
        Ok(())
    }

    async fn try_candidate(&self, candidate: RTCIceCandidateInit) {
        if let Err(error) = self.peer.add_ice_candidate(candidate).await {
            tracing::debug!(%error, "a candidate of the peer is of no use");
        }
    }

    /// How the bytes run, judged by the pair of addresses that was chosen.
    async fn path(&self) -> Path {
        let Some(sctp) = self.peer.sctp().await else { return Path::Direct };
        let pair = sctp.transport().ice_transport().get_selected_candidate_pair().await;
        let Ok(Some(pair)) = pair else { return Path::Direct };
        self.alertness.set(pair.local().typ == RTCIceCandidateType::Relay);
        if [pair.local(), pair.remote()].iter().any(|end| end.typ == RTCIceCandidateType::Relay) {
            return Path::Relayed;
        }
        let address = &pair.remote().address;
        match address.parse() {
            Ok(parsed) if interfaces::is_on_this_network(parsed) => Path::LocalNetwork,
            // A name as browsers make them: only this network could look it up.
            Err(_) if address.strip_suffix(".local").is_some() => Path::LocalNetwork,
            Ok(_) | Err(_) => Path::Direct,
        }
    }

    /// The time to the peer and back, as the checks found it that opened the path: no data was on the way then. The shortest of
    /// all paths that were checked, of which the one that was chosen is as a rule the one.
    async fn round_trip(&self) -> Option<Duration> {
        let report = self.peer.get_stats(Instant::now(), StatsSelector::None).await;
        let checked = report.candidate_pairs().filter(|pair| pair.responses_received > 0);
        checked.filter_map(|pair| Duration::try_from_secs_f64(pair.current_round_trip_time).ok()).min()
    }

    /// Waits until the connection has ended without this side having ended it.
    pub(super) async fn failure(&mut self) -> TransportError {
        loop {
            match self.changes.recv().await {
                Some(Change::State(state)) => {
                    if let Some(error) = verdict(state) {
                        return error;
                    }
                }
                Some(Change::ForeignChannel) => return TransportError::Misbehaved,
                Some(Change::Candidate(_) | Change::EndOfCandidates | Change::Progress) => {}
                None => return TransportError::Lost,
            }
        }
    }

    /// Says goodbye, as far as there is anybody to say it to, and stops.
    pub(super) async fn close(&mut self) {
        // Reports are awaited on the task that has to end.
        self.changes.close();
        if let Err(error) = self.peer.close().await {
            tracing::debug!(%error, "a connection was not closed cleanly");
        }
    }
}

/// What a state of the connection means for those who use it. `Disconnected` is a path that has gone quiet for five
/// seconds; it often comes back, and is given another twenty-five.
fn verdict(state: RTCPeerConnectionState) -> Option<TransportError> {
    match state {
        RTCPeerConnectionState::Failed => Some(TransportError::Lost),
        RTCPeerConnectionState::Closed => Some(TransportError::Closed),
        RTCPeerConnectionState::Unspecified
        | RTCPeerConnectionState::New
        | RTCPeerConnectionState::Connecting
        | RTCPeerConnectionState::Connected
        | RTCPeerConnectionState::Disconnected
        | _ => None,
    }
}

fn ended(error: TransportError) -> Stopped {
    Stopped::Failed(NegotiationError::Ended(error))
}

fn description(error: webrtc::error::Error) -> NegotiationError {
    NegotiationError::Description(Box::new(error))
}

/// Reports of the crate that may wait; its driver waits with them.
const CHANGE_QUEUE_LEN: usize = 64;

/// Both sides create the channel with this stream number, so that nothing has to be said about it.
const CHANNEL_ID: u16 = 0;

/// Shown by debugging tools of browsers, nothing else.
const CHANNEL_LABEL: &str = "send";

async fn build_peer(
    (ice_servers, addresses, relay): (Vec<RTCIceServer>, Vec<SocketAddr>, Relay),
    reports: mpsc::Sender<Change>,
    alertness: &Alertness,
) -> Result<Box<dyn PeerConnection>, webrtc::error::Error> {
    let handler = Arc::new(Handler(reports));
    let build = |mdns| {
        let transport_policy = match relay {
            Relay::Only => RTCIceTransportPolicy::Relay,
            Relay::Allowed | Relay::Never => RTCIceTransportPolicy::All,
        };
        let configuration = RTCConfigurationBuilder::new()
            .with_ice_servers(ice_servers.clone())
            .with_ice_transport_policy(transport_policy)
            .build();
        PeerConnectionBuilder::new()
            .with_configuration(configuration)
            .with_handler(handler.clone())
            .with_setting_engine(settings(mdns))
            .with_runtime(Arc::new(BufferedRuntime::new(alertness.clone())))
            .with_udp_addrs(addresses.clone())
            .with_data_channel_send_buffer_limit(SEND_BUFFER_LEN)
            .build()
    };
    // Browsers hide their addresses behind names under `.local`. Asking for them needs a multicast socket, which not
    // every machine grants; a browser reaches this side without them too.
    match Box::pin(build(MulticastDnsMode::QueryOnly)).await {
        Ok(peer) => Ok(Box::new(peer)),
        Err(error) => {
            tracing::debug!(%error, "names under .local cannot be looked up");
            Ok(Box::new(Box::pin(build(MulticastDnsMode::Disabled)).await?))
        }
    }
}

/// Sockets beyond this only multiply the checks.
const MAX_SOCKETS: usize = 8;

fn bind_addresses(policy: &Policy) -> Vec<SocketAddr> {
    let addresses = interfaces::allowed_addresses(policy);
    addresses.into_iter().take(MAX_SOCKETS).map(|address| SocketAddr::new(address, 0)).collect()
}

fn settings(mdns: MulticastDnsMode) -> SettingEngine {
    SettingEngineBuilder::new()
        .with_multicast_dns_mode(mdns)
        .with_include_loopback_candidate(true)
        .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(ANNOUNCED_MESSAGE_LEN))
        .with_sctp_max_receive_buffer_size(RECEIVE_WINDOW_LEN)
        .with_sctp_mtu(SCTP_MTU)
        .with_ice_connection_attempts(Some(CHECK_INTERVAL), Some(MAX_CHECKS))
        .with_srflx_acceptance_min_wait(Some(REFLEXIVE_WAIT))
        .with_prflx_acceptance_min_wait(Some(REFLEXIVE_WAIT))
        .with_relay_acceptance_min_wait(Some(RELAY_WAIT))
        .build()
}

/// Announced in the description, in bytes. Without it a peer assumes 65,536 and refuses to send a record. As Chromium does.
const ANNOUNCED_MESSAGE_LEN: u32 = 262_144;

/// What the peer may have in flight, in bytes, and what of it waits here for something that was lost: the credit at its widest, which
/// bounds what our own peers send, and what the credit does not count. SCTP begins with a quarter. A peer that heeds no credit
/// fills that and the queues above it: 45 MB, and another 17 for what the crate's driver took out of SCTP in its last round.
pub(super) const RECEIVE_WINDOW_LEN: u32 = 33 << 20;

/// What is sent and not yet acknowledged, in bytes: as much as the credit may allow, which is much less on most paths.
pub(super) const SEND_BUFFER_LEN: usize = 32 << 20;

const _: () = assert!(
    SEND_BUFFER_LEN as u64 >= MAX_CREDIT_WINDOW && RECEIVE_WINDOW_LEN as u64 > MAX_CREDIT_WINDOW,
    "a sender would wait for something else than its credit"
);

/// Bytes of SCTP in one datagram to begin with: 1,280, which every path must carry (RFC 8200 §5), less the headers of IPv6, UDP,
/// TURN and DTLS. SCTP finds out by itself what the path carries beyond that.
const SCTP_MTU: u32 = 1_191;

/// Between two rounds of checks. A round that finds a path is followed by one that chooses it, so the crate's own 200 ms
/// would be felt.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Rounds before a pair of addresses is given up: thirty seconds, as long as anybody waits for a path. With fewer, a network
/// that comes back after the last of them is not noticed until the wait is over.
const MAX_CHECKS: u16 = 1_500;

/// How long a path through an address translator waits for one without. A path within a network answers in milliseconds.
/// A browser that hides its address looks like one behind a translator, so this is felt on every network.
const REFLEXIVE_WAIT: Duration = Duration::from_millis(100);

/// How long a path through a relay waits for a direct one, which is worth more than the wait: it is not changed later.
const RELAY_WAIT: Duration = Duration::from_secs(1);

/// Passes the crate's callbacks on. They run on the crate's own task, so a full queue holds that up.
struct Handler(mpsc::Sender<Change>);

impl Handler {
    async fn report(&self, change: Change) {
        // Nobody listens once the connection is being closed.
        let _ = self.0.send(change).await;
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        if let Ok(init) = event.candidate.to_json() {
            self.report(Change::Candidate(init)).await;
        }
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.report(Change::EndOfCandidates).await;
        }
    }

    async fn on_ice_connection_state_change(&self, _: RTCIceConnectionState) {
        self.report(Change::Progress).await;
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.report(Change::State(state)).await;
    }

    async fn on_data_channel(&self, _: Arc<dyn DataChannel>) {
        self.report(Change::ForeignChannel).await;
    }

    async fn on_track(&self, _: Arc<dyn webrtc::media_stream::track_remote::TrackRemote>) {
        self.report(Change::ForeignChannel).await;
    }
}
