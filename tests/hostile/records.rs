//! Records that were altered, repeated, swapped, dropped or made up on their way: never a wrong file.

use bytes::BytesMut;
use wire::message::Message;
use wire::record::MAX_RECORD_LEN;

use super::entry::{Raw, offer};
use super::host::Host;
use super::peer::{OpenDoor, Peer};
use super::program::{Ending, Program};
use super::room::Room;

/// What happens to the records between two honest ends.
#[derive(Clone, Copy, Debug)]
enum Attack {
    /// This bit of the record is flipped; positions from the end are negative.
    Flip(isize),
    Drop,
    Repeat,
    Swap,
    /// The last byte is lost.
    Cut,
    Append,
    /// A header and a tag around nothing.
    Hollow,
    /// As long as a record may be, and nonsense.
    Nonsense,
}

const ATTACKS: [Attack; 14] = [
    Attack::Flip(0),
    Attack::Flip(1),
    Attack::Flip(2),
    Attack::Flip(7),
    Attack::Flip(12),
    Attack::Flip(-16),
    Attack::Flip(-1),
    Attack::Drop,
    Attack::Repeat,
    Attack::Swap,
    Attack::Cut,
    Attack::Append,
    Attack::Hollow,
    Attack::Nonsense,
];

impl Attack {
    /// Sends two records as they arrive after this.
    async fn send(self, peer: &mut Peer, mut first: BytesMut, second: BytesMut) {
        let records = match self {
            Self::Flip(at) => {
                let from_front = at.unsigned_abs();
                let at = if at < 0 { first.len() - from_front } else { from_front };
                first[at] ^= 0x10;
                vec![first, second]
            }
            Self::Drop => vec![second],
            Self::Repeat => vec![first.clone(), first],
            Self::Swap => vec![second, first],
            Self::Cut => {
                first.truncate(first.len() - 1);
                vec![first]
            }
            Self::Append => {
                first.extend_from_slice(&[0]);
                vec![first]
            }
            Self::Hollow => vec![BytesMut::from([2, 0].as_slice()), BytesMut::zeroed(18)],
            Self::Nonsense => vec![BytesMut::from(vec![2; MAX_RECORD_LEN].as_slice())],
        };
        for record in records {
            peer.send(record).await;
        }
    }
}

fn plain(message: &Message<'_>) -> Vec<u8> {
    let mut plaintext = Vec::new();
    message.encode_into(&mut plaintext);
    plaintext
}

#[track_caller]
fn assert_tampered(ending: &Ending, attack: Attack) {
    ending.assert_failed(7);
    assert_eq!(ending.error(), "tampered", "{attack:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_notices_every_change_and_keeps_nothing_of_it() {
    let host = Host::start().await;
    for attack in ATTACKS {
        let room = Room::new();
        let door = OpenDoor::open(&host).await;
        let program = Program::receive(&room, &door.link, &["--json"]);
        let mut sender = door.peer().await;
        sender.offer(&offer(&[Raw::file("a.txt", 10)])).await;
        let data =
            |offset, bytes: &'static [u8]| plain(&Message::Data { file: 0, offset, bytes: bytes.into() });
        let first = sender.seal(&data(0, b"01234"));
        let second = sender.seal(&data(5, b"56789"));
        attack.send(&mut sender, first, second).await;
        let ending = program.end().await;
        assert_tampered(&ending, attack);
        assert!(!room.output().join("a.txt").exists(), "{attack:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_notices_every_change() {
    let host = Host::start().await;
    for attack in ATTACKS {
        let room = Room::new();
        let file = room.file("a.txt", b"0123456789");
        let (program, invitation) = Program::send(&room, host.url.as_str(), &file, &["--link-only"]).await;
        let mut receiver = Peer::claim(&invitation.link).await;
        let digest = receiver.listen_to_offer().await;
        let first = receiver.seal(&plain(&Message::Accept { digest }));
        let second = receiver.seal(&plain(&Message::Ping { token: 1 }));
        attack.send(&mut receiver, first, second).await;
        assert_tampered(&program.end().await, attack);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_its_own_direction_does_not_open() {
    let host = Host::start().await;
    let room = Room::new();
    let door = OpenDoor::open(&host).await;
    let program = Program::receive(&room, &door.link, &["--json"]);
    let mut sender = door.peer().await;
    let own = sender.hear_sealed().await;
    sender.send(own).await;
    let ending = program.end().await;
    ending.assert_failed(7);
    assert_eq!(ending.error(), "tampered");
}
