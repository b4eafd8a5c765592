//! The disk ends: what is read on one side and saved on the other.
//!
//! [`Source`] walks what the user named and becomes a manifest; [`SourceReader`] reads it chunk by chunk and notices
//! when a file is no longer the one that was walked. [`OutputDir`] is the directory that receives; [`Sink`] saves one
//! manifest in it. All of it blocks and belongs on threads of its own.
//!
//! What holds whatever the other side sends and whatever others do to the directories meanwhile:
//! - nothing is created, changed or removed outside the output directory: every step goes by a directory handle and
//!   refuses symbolic links, and names come as [`wire::safe_path::SafePath`] only;
//! - no existing file is replaced unless [`Overwrite::Files`] says so; a name that is taken between the decision and
//!   the rename is left alone too;
//! - a file has its final name only when all its bytes are on the disk and match their SHA-256; until then it is a
//!   `.part` that its owner alone can read;
//! - a file that changes while it is sent ends the transfer; it is never sent as a mixture;
//! - memory does not grow with the size of files.

mod descent;
mod digest;
mod flusher;
mod naming;
mod output;
mod partial;
mod parts;
mod permission;
mod placement;
mod publish;
mod remains;
mod sink;
mod source;
mod tree;
mod walk;

pub use self::digest::Hasher;
pub use self::output::{OutputDir, SinkOptions, process_umask};
pub use self::partial::{RECORD_VERSION, Record};
pub use self::placement::{Overwrite, Placement};
pub use self::remains::{Checked, Remains};
pub use self::sink::{Finished, Kept, Leftovers, Saved, Sink, SinkError};
pub use self::source::{Source, SourceError, SourceOptions, SourceReader};
pub use self::walk::{Notices, Renamed};

/// Whether symbolic links travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Symlinks {
    /// Links met while walking are left behind and counted; a manifest that has some is refused.
    #[default]
    Refuse,
    /// Relative links that stay inside their top-level directory travel as links; others are left behind.
    Keep,
}
