//! What programs are told of a failure: a name and an exit status.

use super::{Error, PeerProblem};

impl Error {
    /// The exit status of the process.
    ///
    /// 1 failed · 2 usage · 3 refused or cancelled by the other side · 4 wrong or expired code · 5 no path to the peer or
    /// the server · 6 local file or disk error · 7 integrity failure · 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        self.class().1
    }

    /// A stable name for programs, such as `no_such_code`.
    pub fn name(&self) -> &'static str {
        self.class().0
    }

    fn class(&self) -> (&'static str, u8) {
        match self {
            Self::Config(_) => ("config", 2),
            Self::NotACode(_) => ("not_a_code", 2),
            Self::NotALink(_) => ("not_a_link", 2),
            Self::Ask(_) => ("nobody_to_ask", 2),
            Self::Source { .. } => ("source", 6),
            Self::SourceName { .. } => ("source_name", 6),
            Self::SourceChanged { .. } => ("source_changed", 6),
            Self::NothingToSend => ("nothing_to_send", 6),
            Self::Unsendable(_) => ("unsendable", 6),
            Self::ServerUnreachable { .. } => ("server_unreachable", 5),
            Self::ServerLost { .. } => ("server_lost", 5),
            Self::ServerRefused { .. } => ("server_refused", 5),
            Self::NotFound { .. } => ("not_found", 5),
            Self::Listen { .. } => ("listen", 1),
            Self::NoPath => ("no_path", 5),
            Self::NoRelay => ("no_relay", 5),
            Self::WrongCode => ("wrong_code", 4),
            Self::NoSuchCode => ("no_such_code", 4),
            Self::AlreadyTried => ("already_tried", 4),
            Self::Expired { .. } => ("expired", 4),
            Self::Exhausted { .. } => ("exhausted", 4),
            Self::Declined => ("declined", 1),
            Self::DeclinedByPeer => ("declined_by_peer", 3),
            Self::CancelledByPeer { .. } => ("cancelled_by_peer", 3),
            Self::PeerLeft { .. } => ("peer_left", 3),
            Self::PeerLost { .. } => ("peer_lost", 5),
            Self::Unconfirmed => ("unconfirmed", 5),
            Self::PeerFailed { problem: PeerProblem::Integrity, .. } => ("peer_failed", 7),
            Self::PeerFailed { .. } => ("peer_failed", 1),
            Self::Interrupted { .. } => ("interrupted", 130),
            Self::NoRoom { .. } => ("no_room", 6),
            Self::Output { .. } => ("output", 6),
            Self::Write { .. } => ("write", 6),
            Self::Integrity { .. } => ("integrity", 7),
            Self::Tampered { .. } => ("tampered", 7),
            Self::UnsafeOffer(_) => ("unsafe_offer", 1),
            Self::Protocol { .. } => ("protocol", 1),
            Self::Version { .. } => ("version", 1),
            Self::Unfit { exit_code, .. } => ("unfit", *exit_code),
            Self::System { .. } => ("system", 1),
        }
    }
}
