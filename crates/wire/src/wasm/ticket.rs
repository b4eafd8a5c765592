//! What the user gave: a code that was typed, or a link that was scanned or pasted.

use sha2::{Digest as _, Sha256};
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

use crate::code::{Code, ParseCodeError, Password};
use crate::keys::link_slot;
use crate::link::{ParseLinkError, ShareLink};
use crate::signaling::Claim;

/// Where to go, and the password to go there with.
#[wasm_bindgen]
#[derive(Clone, Debug)]
pub struct Ticket {
    pub(super) at: Claim,
    pub(super) password: Password,
    origin: Option<String>,
}

#[wasm_bindgen]
impl Ticket {
    /// Reads a code or a link. A text that begins as a link does is never taken for a code.
    ///
    /// # Errors
    /// An error whose message is a word for what is wrong.
    pub fn parse(text: &str) -> Result<Self, JsError> {
        let parsed = if text.contains("://") { Self::link(text) } else { Self::code(text) };
        parsed.map_err(JsError::new)
    }

    /// The address that a link names, without a `/` at its end; nothing for a code.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn origin(&self) -> Option<String> {
        self.origin.clone()
    }

    /// A name under which a tried code can be remembered: without `salt`, which stays in the browser, it says nothing.
    #[must_use]
    pub fn trace(&self, salt: &[u8]) -> String {
        let place = match &self.at {
            Claim::Nameplate(nameplate) => nameplate.to_string().into_bytes(),
            Claim::Slot(slot) => slot.as_bytes().to_vec(),
        };
        let parts = [salt, &place, b"-", self.password.as_bytes()];
        let digest = parts.iter().fold(Sha256::new(), Sha256::chain_update).finalize();
        format!("{digest:x}")
    }
}

impl Ticket {
    fn code(text: &str) -> Result<Self, &'static str> {
        let code: Code = text.parse().map_err(|error| match error {
            ParseCodeError::Empty => "empty",
            ParseCodeError::NotACode => "not-a-code",
            ParseCodeError::NeedsDash { .. } => "needs-dash",
            ParseCodeError::Nameplate => "code-front",
            ParseCodeError::PasswordTooShort => "code-short",
            ParseCodeError::PasswordTooLong => "code-long",
            ParseCodeError::UnknownWord { .. } => "unknown-word",
        })?;
        Ok(Self { at: Claim::Nameplate(code.nameplate()), password: code.password().clone(), origin: None })
    }

    fn link(text: &str) -> Result<Self, &'static str> {
        let link: ShareLink = text.parse().map_err(|error| match error {
            ParseLinkError::NoPassword | ParseLinkError::PasswordTooShort => "link-cut-off",
            ParseLinkError::UnknownForm => "link-unknown",
            ParseLinkError::NotALink
            | ParseLinkError::TooLong { .. }
            | ParseLinkError::Credentials
            | ParseLinkError::Query
            | ParseLinkError::Host
            | ParseLinkError::Port
            | ParseLinkError::Path => "not-a-link",
        })?;
        let slot = link_slot(link.password()).ok_or("not-a-link")?;
        let (password, origin) = (link.password().clone(), Some(link.origin().to_owned()));
        Ok(Self { at: Claim::Slot(slot), password, origin })
    }
}
