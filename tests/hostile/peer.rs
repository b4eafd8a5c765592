//! A hostile peer: the real door, the real handshake, the real first generation, and then whatever it likes.

use std::time::Duration;

use bytes::BytesMut;
use send::config::Typed;
use send::connect::{self, Doors, Lane, Met, Visit};
use send::entropy;
use send::policy::{Policy, Relay};
use send::signaling::Connection;
use send::transport::{Incoming, Outgoing, Transport};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::Url;
use wire::keys::link_slot;
use wire::link::ShareLink;
use wire::message::{AbortReason, DeclineReason, Message};
use wire::record::{HEADER_LEN, Opener, Sealer, TAG_LEN};
use wire::signaling::Claim;

use super::entry::Offer;
use super::host::Host;

/// Nothing here takes this long unless it hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(45);

/// The door of a hostile sender, open for whoever has the link.
#[derive(Debug)]
pub(super) struct OpenDoor {
    pub(super) link: String,
    met: JoinHandle<Met>,
}

impl OpenDoor {
    pub(super) async fn open(host: &Host) -> Self {
        let link = ShareLink::new(host.url.as_str(), entropy::bytes().unwrap()).unwrap();
        let connection = Connection::connect(&host.url, PATIENCE).await.unwrap();
        let doors = Doors::request(connection, Typed::LinkOnly, Some(link.password().clone()), None);
        let mut doors = doors.await.unwrap();
        let (opened, is_open) = oneshot::channel();
        let mut opened = Some(opened);
        let met = tokio::spawn(async move {
            let tell = |visit| {
                if let (Visit::Open { .. }, Some(opened)) = (visit, opened.take()) {
                    let _ = opened.send(());
                }
            };
            doors.meet(tell).await.unwrap()
        });
        is_open.await.unwrap();
        Self { link: link.expose().as_str().to_owned(), met }
    }

    /// Waits for the visitor and opens the channel to it.
    pub(super) async fn peer(self) -> Peer {
        Peer::open(timeout(PATIENCE, self.met).await.unwrap().unwrap()).await
    }
}

/// An open channel to a real program, from the wrong side.
#[derive(Debug)]
pub(super) struct Peer {
    sealer: Sealer,
    opener: Opener,
    outgoing: Outgoing,
    incoming: Incoming,
    hangup: CancellationToken,
    rejoin: connect::Rejoin,
    /// The way through the rendezvous stays open, as that of an honest peer does.
    race: connect::Race,
}

/// How a program took leave of its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastWord {
    Declined(DeclineReason),
    Aborted(AbortReason),
    Bye,
    /// It left without a word.
    Nothing,
}

impl LastWord {
    fn of(message: &Message<'_>) -> Option<Self> {
        if let Message::Decline { reason } = message {
            Some(Self::Declined(*reason))
        } else if let Message::Abort { reason, .. } = message {
            Some(Self::Aborted(*reason))
        } else {
            matches!(message, Message::Bye).then_some(Self::Bye)
        }
    }
}

impl Peer {
    /// Claims the door of a link as a receiver.
    pub(super) async fn claim(link: &str) -> Self {
        let link: ShareLink = link.parse().unwrap();
        let url: Url = link.origin().parse().unwrap();
        let connection = Connection::connect(&url, PATIENCE).await.unwrap();
        let at = Claim::Slot(link_slot(link.password()).unwrap());
        let claiming = Box::pin(connect::claim(connection, at, link.password(), |_| {}));
        Self::open(claiming.await.unwrap()).await
    }

    async fn open(met: Met) -> Self {
        // One path is enough, and is what it does mischief on.
        let policy = Policy { relay: Relay::Never, ..Policy::default() };
        let reach = connect::Reach { policy, ..connect::Reach::default() };
        let (channel, rejoin) = timeout(PATIENCE, connect::open(met, reach)).await.unwrap().unwrap();
        let connect::Channel { lane: Lane { sealer, opener, transport, .. }, race } = channel;
        let Transport { sender: outgoing, receiver: incoming, hangup, .. } = transport;
        Self { sealer, opener, outgoing, incoming, hangup, rejoin, race }
    }

    /// Drops the connection without a word.
    pub(super) fn hang_up(&self) {
        self.hangup.cancel();
    }

    /// Drops the connection without a word, and says where both meet again that it does not come back.
    pub(super) async fn leave(self) {
        self.hang_up();
        self.rejoin.leave(AbortReason::Cancelled).await;
    }

    /// Drops the connection without a word, and meets the program again.
    pub(super) async fn come_again(&mut self) {
        self.hang_up();
        let channel = timeout(PATIENCE, self.rejoin.again()).await.expect("the program comes too").unwrap();
        let connect::Channel { lane: Lane { sealer, opener, transport, .. }, race } = channel;
        let Transport { sender: outgoing, receiver: incoming, hangup, .. } = transport;
        (self.sealer, self.opener, self.hangup) = (sealer, opener, hangup);
        (self.outgoing, self.incoming, self.race) = (outgoing, incoming, race);
    }

    /// Sends each message in a record of its own. What the other side no longer takes is lost.
    pub(super) async fn say(&mut self, messages: &[Message<'_>]) {
        for message in messages {
            self.say_together(std::slice::from_ref(message)).await;
        }
    }

    /// Sends the messages in one record.
    pub(super) async fn say_together(&mut self, messages: &[Message<'_>]) {
        let mut plaintext = Vec::new();
        for message in messages {
            message.encode_into(&mut plaintext);
        }
        self.say_bytes(&plaintext).await;
    }

    /// Seals and sends any bytes.
    pub(super) async fn say_bytes(&mut self, plaintext: &[u8]) {
        let record = self.seal(plaintext);
        self.send(record).await;
    }

    /// Seals any bytes as the next record.
    pub(super) fn seal(&mut self, plaintext: &[u8]) -> BytesMut {
        let mut record = BytesMut::zeroed(HEADER_LEN);
        record.extend_from_slice(plaintext);
        record.resize(HEADER_LEN + plaintext.len() + TAG_LEN, 0);
        self.sealer.seal(&mut record).unwrap();
        record
    }

    /// Sends a message of the transport, sealed or not.
    pub(super) async fn send(&mut self, record: BytesMut) {
        let _ = timeout(PATIENCE, self.outgoing.send(record)).await.expect("the program takes or refuses it");
    }

    /// The next plaintext of the program; `None` once it is gone.
    pub(super) async fn hear(&mut self) -> Option<Vec<u8>> {
        let received = timeout(PATIENCE, self.incoming.recv()).await.expect("the program says something");
        let mut record = received.ok()?;
        Some(self.opener.open(&mut record).unwrap().to_vec())
    }

    /// The next record of the program as it came.
    pub(super) async fn hear_sealed(&mut self) -> BytesMut {
        timeout(PATIENCE, self.incoming.recv()).await.expect("the program says something").unwrap()
    }

    /// Listens until the program has said something that `is_it`. `false` when it left before that.
    pub(super) async fn hear_until(&mut self, is_it: impl Fn(&Message<'_>) -> bool) -> bool {
        while let Some(plaintext) = self.hear().await {
            if wire::message::decode(&plaintext).any(|decoded| is_it(&decoded.unwrap().0)) {
                return true;
            }
        }
        false
    }

    /// Offers a manifest and waits until the program wants it and asks for the content.
    pub(super) async fn offer(&mut self, offer: &Offer) {
        self.say(&offer.messages).await;
        assert!(self.hear_until(|message| matches!(message, Message::Start { .. })).await, "it is accepted");
    }

    /// Answers as a receiver that wants everything, with as much credit as there is. Gives the digest of the manifest.
    pub(super) async fn accept(&mut self) -> [u8; 32] {
        let digest = self.listen_to_offer().await;
        self.say(&[Message::Accept { digest }]).await;
        digest
    }

    /// Introduces itself as a receiver and listens to the offer. Gives the digest of the manifest.
    pub(super) async fn listen_to_offer(&mut self) -> [u8; 32] {
        self.say(&[Message::State { manifest: None, accepted: false, next: 0 }]).await;
        loop {
            let plaintext = self.hear().await.expect("the sender offers");
            for decoded in wire::message::decode(&plaintext) {
                if let Message::ManifestEnd { digest, .. } = decoded.unwrap().0 {
                    return digest;
                }
            }
        }
    }

    /// Listens until the program is gone, and gives its last word.
    pub(super) async fn last_word(&mut self) -> LastWord {
        let mut last = LastWord::Nothing;
        while let Some(plaintext) = self.hear().await {
            let words =
                wire::message::decode(&plaintext).filter_map(|decoded| LastWord::of(&decoded.unwrap().0));
            last = words.last().unwrap_or(last);
        }
        last
    }

    /// Closes the channel cleanly, without a word.
    pub(super) async fn close(self) {
        let Self { outgoing, mut incoming, .. } = self;
        let _ = timeout(PATIENCE, outgoing.close()).await;
        while let Ok(Ok(_)) = timeout(PATIENCE, incoming.recv()).await {}
    }
}
