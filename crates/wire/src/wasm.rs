//! What the page calls: a [`Ticket`] made of what the user gave, and a [`Session`] that takes what happened and says what
//! to do, as JSON. The page moves frames, records and bytes without knowing what is in them.
//!
//! Everything secret stays on this side. A record is copied once, into [`Session::staging`], and opened and hashed there;
//! the page writes the bytes of a file to its storage from the same place.
//!
//! There are two modules, since most people only receive: with the feature `sending` it is [`Sending`] and what belongs to
//! it, and without it [`Session`].

mod connection;
#[cfg(any(test, not(feature = "sending")))]
mod output;
#[cfg(any(test, feature = "sending"))]
mod qr;
#[cfg(any(test, feature = "sending"))]
mod sending;
#[cfg(any(test, not(feature = "sending")))]
mod session;
#[cfg(any(test, not(feature = "sending")))]
mod ticket;

use wasm_bindgen::prelude::wasm_bindgen;

#[cfg(any(test, feature = "sending"))]
pub use qr::qr_modules;
#[cfg(any(test, feature = "sending"))]
pub use sending::{Offer, Sending};
#[cfg(any(test, not(feature = "sending")))]
pub use session::Session;
#[cfg(any(test, not(feature = "sending")))]
pub use ticket::Ticket;

/// Where the rendezvous' socket is, below the address of the page.
#[wasm_bindgen(js_name = socketPath)]
#[must_use]
pub fn socket_path() -> String {
    "v1/socket".to_owned()
}

/// Where the record relay is, below the address of the page.
const RELAY_PATH: &str = "v1/relay";

/// A side that has sent nothing for this long says so, in milliseconds.
#[wasm_bindgen(js_name = pingInterval)]
#[must_use]
pub fn ping_interval() -> f64 {
    crate::transfer::PING_INTERVAL.as_secs_f64() * 1_000.0
}

/// Without a record for this long the path is lost, in milliseconds.
#[wasm_bindgen(js_name = silenceLimit)]
#[must_use]
pub fn silence_limit() -> f64 {
    crate::transfer::SILENCE_LIMIT.as_secs_f64() * 1_000.0
}

/// Counters that are tried before the page has its turn again: some tens of milliseconds.
const SEARCH_SLICE: u32 = 20_000;

/// How long a receiver that has everything waits for the sender to know, in milliseconds.
#[wasm_bindgen(js_name = doneLinger)]
#[must_use]
pub fn done_linger() -> f64 {
    crate::transfer::DONE_LINGER.as_secs_f64() * 1_000.0
}
