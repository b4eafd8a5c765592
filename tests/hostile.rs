//! Hostile peers and hostile servers against the real programs.
//!
//! A hostile peer goes through the real door and the real handshake, because whoever knows a code can; what it says from
//! then on is up to it. Every claim is about what a user would see: the exit status, the sentence on the terminal, the
//! files on the disk, and how long it took.

mod content;
mod crossing;
mod entry;
mod host;
mod liar;
mod names;
mod offers;
mod peer;
mod program;
mod records;
mod requests;
mod rogue;
mod room;
mod servers;
mod strangers;
mod terminal;
