//! What a command does, and how it can fail.

pub mod doctor;
mod error;
mod failure;
mod kept;
pub mod receive;
pub mod send;
pub mod serve;

use tokio_util::sync::CancellationToken;

pub use self::error::{Age, Error, PeerProblem};
pub use self::kept::Kept;

/// What `future` gives, unless `cancel` is cancelled first: then it is dropped, which tells the other side by leaving.
async fn unless_cancelled<T>(
    cancel: &CancellationToken,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::Interrupted { kept: Kept::default() }),
        outcome = future => outcome,
    }
}
