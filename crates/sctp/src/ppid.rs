//! What a message is, as the layer above tells its peer.

/// Payload protocol identifiers of data channels (RFC 8831 §8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[non_exhaustive]
pub enum PayloadProtocolIdentifier {
    /// A control message of the channel itself (RFC 8832).
    Dcep = 50,
    /// UTF-8 text.
    String = 51,
    /// Bytes.
    Binary = 53,
    /// Empty text; SCTP carries no empty message, so one byte that means nothing stands for it.
    StringEmpty = 56,
    /// No bytes, likewise.
    BinaryEmpty = 57,
    /// One that data channels do not use.
    #[default]
    Unknown,
}

impl From<u32> for PayloadProtocolIdentifier {
    fn from(value: u32) -> Self {
        match value {
            50 => Self::Dcep,
            51 => Self::String,
            53 => Self::Binary,
            56 => Self::StringEmpty,
            57 => Self::BinaryEmpty,
            _ => Self::Unknown,
        }
    }
}

impl From<PayloadProtocolIdentifier> for u32 {
    fn from(value: PayloadProtocolIdentifier) -> Self {
        match value {
            PayloadProtocolIdentifier::Dcep => 50,
            PayloadProtocolIdentifier::String => 51,
            PayloadProtocolIdentifier::Binary => 53,
            PayloadProtocolIdentifier::StringEmpty => 56,
            PayloadProtocolIdentifier::BinaryEmpty => 57,
            PayloadProtocolIdentifier::Unknown => 0,
        }
    }
}
