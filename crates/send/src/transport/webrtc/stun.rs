//! Questions to STUN and TURN servers as datagrams, and what their answers say (RFC 8489, RFC 8656, RFC 5780). Sans-IO.

use std::error::Error as StdError;
use std::net::SocketAddr;

use rtc::crypto::default_provider;
use rtc::shared::error::Error as StunError;
use rtc::stun::attributes::{
    ATTR_CHANGE_REQUEST, ATTR_LIFETIME, ATTR_NONCE, ATTR_REALM, ATTR_REQUESTED_TRANSPORT, ATTR_USERNAME,
    ATTR_XOR_RELAYED_ADDRESS, ATTR_XORMAPPED_ADDRESS, AttrType,
};
use rtc::stun::error_code::ErrorCodeAttribute;
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{
    BINDING_REQUEST, CLASS_ERROR_RESPONSE, CLASS_REQUEST, CLASS_SUCCESS_RESPONSE, Getter, METHOD_ALLOCATE,
    METHOD_REFRESH, Message, MessageType, Setter, TransactionId, is_stun_message,
};
use rtc::stun::textattrs::TextAttribute;
use rtc::stun::xoraddr::XorMappedAddress;

/// A request, to be sent as it is until it is answered.
#[derive(Clone, Debug)]
pub(super) struct Request {
    transaction: TransactionId,
    bytes: Vec<u8>,
}

/// What a server said to one request.
#[derive(Clone, Debug)]
pub(super) struct Answer(Message);

/// From where a STUN server is to answer (RFC 5780 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From where it was asked.
    Asked,
    /// From another port of the same address.
    OtherPort,
    /// From another address, and another port there.
    OtherAddress,
}

/// By which a TURN server admits a client.
#[derive(Clone, Copy)]
pub(super) struct Login<'a> {
    pub(super) username: &'a str,
    pub(super) credential: &'a str,
}

/// What a server refuses with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// RFC 8489 §14.8, 300 to 699; 0 when it does not say.
    pub(super) code: u16,
    /// In its own words.
    pub(super) reason: String,
}

type Boxed = Box<dyn StdError + Send + Sync>;

impl Request {
    /// From which address does this come?
    pub(super) fn binding(origin: Origin) -> Result<Self, Boxed> {
        let flags = match origin {
            Origin::Asked => return Self::build(vec![Box::new(BINDING_REQUEST)]),
            Origin::OtherPort => 2,
            Origin::OtherAddress => 6,
        };
        let change = Raw(ATTR_CHANGE_REQUEST, [0, 0, 0, flags]);
        Self::build(vec![Box::new(BINDING_REQUEST), Box::new(change)])
    }

    /// May this have an address at the relay? A server says no at first, and what to prove: its `challenge`.
    pub(super) fn allocate(login: Option<(Login<'_>, &Answer)>) -> Result<Self, Boxed> {
        let kind = MessageType::new(METHOD_ALLOCATE, CLASS_REQUEST);
        Self::proven(kind, Raw(ATTR_REQUESTED_TRANSPORT, [UDP, 0, 0, 0]), login)
    }

    /// The address at the relay is not needed any more.
    pub(super) fn release(login: Login<'_>, challenge: &Answer) -> Result<Self, Boxed> {
        let kind = MessageType::new(METHOD_REFRESH, CLASS_REQUEST);
        Self::proven(kind, Raw(ATTR_LIFETIME, [0; 4]), Some((login, challenge)))
    }

    fn proven(kind: MessageType, what: Raw, login: Option<(Login<'_>, &Answer)>) -> Result<Self, Boxed> {
        let Some((login, Answer(challenge))) = login else {
            return Self::build(vec![Box::new(kind), Box::new(what)]);
        };
        let text = |attr, text| TextAttribute { attr, text };
        let nonce = TextAttribute::get_from_as(challenge, ATTR_NONCE)?;
        let realm = TextAttribute::get_from_as(challenge, ATTR_REALM)?;
        let username = login.username.to_owned();
        let provider = default_provider()?;
        let integrity = MessageIntegrity::new_long_term_integrity_with_provider(
            username.clone(),
            realm.text.clone(),
            login.credential.to_owned(),
            provider.crypto(),
        )?;
        Self::build(vec![
            Box::new(kind),
            Box::new(what),
            Box::new(text(ATTR_USERNAME, username)),
            Box::new(realm),
            Box::new(nonce),
            Box::new(integrity),
        ])
    }

    fn build(mut setters: Vec<Box<dyn Setter + '_>>) -> Result<Self, Boxed> {
        let transaction = TransactionId::new();
        setters.insert(0, Box::new(transaction));
        let mut message = Message::new();
        message.build(&setters)?;
        Ok(Self { transaction, bytes: message.raw })
    }

    /// As it is sent.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What `datagram` says to this request, if it is about it.
    pub(super) fn answer(&self, datagram: &[u8]) -> Option<Answer> {
        if !is_stun_message(datagram) {
            return None;
        }
        let mut message = Message::new();
        message.raw = datagram.to_vec();
        message.decode().ok()?;
        let class = message.typ.class;
        let is_answer = class == CLASS_SUCCESS_RESPONSE || class == CLASS_ERROR_RESPONSE;
        (is_answer && message.transaction_id == self.transaction).then_some(Answer(message))
    }
}

impl Answer {
    /// The address from which the server saw the request come.
    ///
    /// # Errors
    /// What it refused with; a success without an address is code 0.
    pub(super) fn mapped(&self) -> Result<SocketAddr, Refusal> {
        self.address(ATTR_XORMAPPED_ADDRESS)
    }

    /// The address at the relay.
    ///
    /// # Errors
    /// As [`Answer::mapped`].
    pub(super) fn relayed(&self) -> Result<SocketAddr, Refusal> {
        self.address(ATTR_XOR_RELAYED_ADDRESS)
    }

    /// Whether this only says what a client has to prove (RFC 8489 §9.2.4).
    pub(super) fn is_challenge(&self) -> bool {
        self.0.typ.class == CLASS_ERROR_RESPONSE && self.0.contains(ATTR_NONCE) && self.0.contains(ATTR_REALM)
    }

    fn address(&self, kind: AttrType) -> Result<SocketAddr, Refusal> {
        let mut address = XorMappedAddress::default();
        if self.0.typ.class == CLASS_SUCCESS_RESPONSE && address.get_from_as(&self.0, kind).is_ok() {
            return Ok(SocketAddr::new(address.ip, address.port));
        }
        let mut error = ErrorCodeAttribute::default();
        if error.get_from(&self.0).is_err() {
            return Err(Refusal { code: 0, reason: String::new() });
        }
        Err(Refusal { code: error.code.0, reason: String::from_utf8_lossy(&error.reason).into_owned() })
    }
}

/// An attribute of four bytes.
#[derive(Clone, Copy)]
struct Raw(AttrType, [u8; 4]);

impl Setter for Raw {
    fn add_to(&self, message: &mut Message) -> Result<(), StunError> {
        message.add(self.0, &self.1);
        Ok(())
    }
}

/// The number of UDP (RFC 8656 §18.7).
const UDP: u8 = 17;

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with the number of the request's transaction, and attributes.
    fn datagram(kind: u16, request: &Request, attributes: &[u8]) -> Vec<u8> {
        let len = u16::try_from(attributes.len()).unwrap();
        [&kind.to_be_bytes()[..], &len.to_be_bytes(), &request.bytes[4..20], attributes].concat()
    }

    #[test]
    fn a_request_names_what_it_wants() {
        let plain = Request::binding(Origin::Asked).unwrap();
        assert_eq!((plain.bytes.len(), &plain.bytes[..4]), (20, &[0, 1, 0, 0][..]));
        let other = Request::binding(Origin::OtherPort).unwrap();
        assert_eq!(other.bytes[20..], [0, 3, 0, 4, 0, 0, 0, 2]);
        let far = Request::binding(Origin::OtherAddress).unwrap();
        assert_eq!(far.bytes[20..], [0, 3, 0, 4, 0, 0, 0, 6]);
        let allocate = Request::allocate(None).unwrap();
        assert_eq!(
            (&allocate.bytes[..2], &allocate.bytes[20..]),
            (&[0, 3][..], &[0, 25, 0, 4, 17, 0, 0, 0][..])
        );
    }

    #[test]
    fn an_answer_is_one_to_this_request() {
        let (asked, other) =
            (Request::binding(Origin::Asked).unwrap(), Request::binding(Origin::Asked).unwrap());
        // 192.0.2.1:32853 as RFC 5769 §2.2 has it.
        let mapped = [0x00, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
        let answer = datagram(0x0101, &asked, &mapped);
        assert_eq!(asked.answer(&answer).unwrap().mapped(), Ok("192.0.2.1:32853".parse().unwrap()));
        assert!(other.answer(&answer).is_none());
        assert!(asked.answer(&asked.bytes).is_none(), "its own echo");
        for broken in [&answer[..31], &answer[..10], &[][..], &[0xff; 40]] {
            assert!(asked.answer(broken).is_none());
        }
        let empty = asked.answer(&datagram(0x0101, &asked, &[])).unwrap();
        assert_eq!(empty.mapped(), Err(Refusal { code: 0, reason: String::new() }));
    }

    #[test]
    fn a_refusal_has_its_number() {
        let asked = Request::binding(Origin::OtherPort).unwrap();
        let refused = datagram(0x0111, &asked, &[0, 9, 0, 5, 0, 0, 4, 20, b'n', 0, 0, 0]);
        let answer = asked.answer(&refused).unwrap();
        assert_eq!(answer.mapped(), Err(Refusal { code: 420, reason: "n".to_owned() }));
        assert!(!answer.is_challenge());
    }

    #[test]
    fn a_challenge_is_answered_with_a_proof() {
        let asked = Request::allocate(None).unwrap();
        let wanted = [0, 9, 0, 4, 0, 0, 4, 1, 0, 20, 0, 3, b'l', b'a', b'b', 0, 0, 21, 0, 1, b'n', 0, 0, 0];
        let challenge = asked.answer(&datagram(0x0113, &asked, &wanted)).unwrap();
        assert!(challenge.is_challenge());
        assert_eq!(challenge.relayed().map_err(|refusal| refusal.code), Err(401));
        let login = Login { username: "1700000000:x", credential: "hmac" };
        let proven = Request::allocate(Some((login, &challenge))).unwrap();
        // MESSAGE-INTEGRITY with its 20 bytes comes last.
        assert_eq!(proven.bytes[proven.bytes.len() - 24..][..4], [0, 8, 0, 20]);
        assert!(Request::release(login, &challenge).unwrap().bytes.starts_with(&[0, 4]));
    }
}
