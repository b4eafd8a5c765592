//! The record relay of the rendezvous as a [`Transport`]: what works wherever a web page does.
//!
//! Back-pressure is that of the connection to the rendezvous, which reads no more than the other side takes.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use url::Url;
use wire::signaling::{CloseReason, Join};

use super::{Driven, Path, Transport, TransportError, deliver};
use crate::signaling::{self, RecordSink, RecordStream, SignalingError};

/// How long the rendezvous may take to let this side in.
const JOIN_DEADLINE: Duration = Duration::from_secs(10);

/// How long a closing side waits for the last records to leave, and for the rendezvous to have taken them.
const GOODBYE_DEADLINE: Duration = Duration::from_secs(5);

/// Records written before the connection is flushed.
const MOST_AT_ONCE: usize = 16;

/// Joins the relay of the rendezvous at `server`. The other side need not be there: what is sent to it waits.
///
/// # Errors
/// [`signaling::ConnectError`] when there is no way to the rendezvous.
pub async fn open(server: &Url, join: &Join) -> Result<Transport, signaling::ConnectError> {
    let (sink, stream) = signaling::join_relay(server, join, JOIN_DEADLINE).await?;
    let (transport, driven) = Transport::driven(Path::Relay);
    tokio::spawn(run(sink, stream, driven));
    Ok(transport)
}

/// Runs until one side closes or the connection is lost.
async fn run(mut sink: RecordSink, mut stream: RecordStream, driven: Driven) {
    let Driven { mut outgoing, incoming, flushed, ending, hangup } = driven;
    let outcome = tokio::select! {
        error = receive(&mut stream, &incoming) => Err(error),
        outcome = transmit(&mut sink, &mut outgoing) => outcome,
        () = hangup.cancelled() => Err(TransportError::Lost),
    };
    ending.set(outcome.err().unwrap_or(TransportError::Closed));
    outgoing.close();
    if outcome.is_ok() {
        // The rendezvous closes its side once it has read everything.
        let goodbye = async {
            sink.finish().await?;
            while stream.next().await.is_ok() {}
            Ok::<_, SignalingError>(())
        };
        let _ = timeout(GOODBYE_DEADLINE, goodbye).await;
    }
    let _ = flushed.send(outcome);
}

/// Takes records from the relay for as long as it lasts, no faster than the owner takes them.
async fn receive(stream: &mut RecordStream, incoming: &mpsc::Sender<bytes::BytesMut>) -> TransportError {
    loop {
        match stream.next().await {
            Ok(record) => {
                if let Err(error) = deliver(incoming, record).await {
                    return error;
                }
            }
            Err(SignalingError::Closed(CloseReason::Gone)) => return TransportError::Closed,
            Err(SignalingError::NotAMessage) => return TransportError::Misbehaved,
            Err(error) => {
                tracing::info!(%error, ?error, "the relay ended");
                return TransportError::Lost;
            }
        }
    }
}

/// Sends what is queued until the owner closes the queue.
async fn transmit(
    sink: &mut RecordSink,
    outgoing: &mut mpsc::Receiver<bytes::BytesMut>,
) -> Result<(), TransportError> {
    let lost = |_| TransportError::Lost;
    while let Some(record) = outgoing.recv().await {
        sink.feed(record).await.map_err(lost)?;
        for _ in 1..MOST_AT_ONCE {
            let Ok(record) = outgoing.try_recv() else { break };
            sink.feed(record).await.map_err(lost)?;
        }
        sink.flush().await.map_err(lost)?;
    }
    Ok(())
}
