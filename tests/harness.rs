//! Runs the programs the way a user does, and watches them.
//!
//! A [`Machine`] is a home directory of its own; [`Machine::start`] runs `send` there as a [`Peer`], whose JSON events,
//! texts and exit status a test waits for. A [`Rendezvous`] is the server's process. Every wait ends after [`PATIENCE`],
//! with everything the process has said, and every value ends what it has started.

mod bins;
mod coturn;
mod cutter;
mod disk;
mod machine;
mod peer;
mod proxy;
mod rendezvous;
mod tap;
mod transcript;
mod tree;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use bins::bins;
pub(crate) use coturn::Coturn;
pub(crate) use cutter::Cutter;
pub(crate) use disk::Disk;
pub(crate) use machine::Machine;
pub(crate) use peer::{Ended, Peer, text};
pub(crate) use proxy::Proxy;
pub(crate) use rendezvous::Rendezvous;
pub(crate) use tap::Tap;
pub(crate) use tree::{BIG, BIG_LEN, Snapshot, content, mixed_tree};

/// Far more than anything here takes, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// How soon a user has to know that the other side is gone: more than twice the silence that tells.
pub(crate) const NOTICED: Duration = Duration::from_secs(15);

/// From now on, and if no program was needed before, the programs are those in `directory`.
pub(crate) fn use_bins_in(directory: PathBuf) {
    bins::use_in(directory);
}

/// The local network, on which one sender at a time may be looked for without a server: two that draw the same nameplate
/// are a question to the receiver, which is another test's matter.
pub(crate) fn local_network() -> MutexGuard<'static, ()> {
    static NETWORK: Mutex<()> = Mutex::new(());
    // A test that failed has ended its processes.
    NETWORK.lock().unwrap_or_else(PoisonError::into_inner)
}
