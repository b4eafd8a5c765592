//! Moves messages between the queues of a [`Transport`](crate::transport::Transport) and an open channel.

use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};
use webrtc::data_channel::{DataChannel, DataChannelEvent};

use super::Command;
use super::connection::Connection;
use crate::transport::{Driven, TransportError, deliver};

/// How long a closing side waits for the peer to acknowledge what was sent.
const FLUSH_DEADLINE: Duration = Duration::from_secs(5);

/// How long a closing side waits for the peer to close its side of the channel too. The peer does so once it has taken
/// everything out of SCTP; the end of the connection throws away what is still there.
const GOODBYE_DEADLINE: Duration = Duration::from_secs(5);

/// How long the reader has, after the peer has closed the connection, for what is still in the crate's queues. Without a
/// limit a goodbye of which only a part arrives would keep the connection for ever.
const READ_DEADLINE: Duration = Duration::from_secs(30);

/// Runs until one side closes or the connection is lost, and closes the connection.
///
/// 1. Messages run both ways until something ends that.
/// 2. The ending is written down and the sender's queue closed: whoever sends is told at once.
/// 3. A side that closed says goodbye; otherwise the reader gets what had arrived, however long it takes over it.
/// 4. The receiver's queue is dropped: the reader is told.
pub(super) async fn run(mut connection: Connection, driven: Driven, mut commands: mpsc::Receiver<Command>) {
    let Driven { mut outgoing, incoming, flushed, ending, hangup } = driven;
    let channel = connection.channel.clone();
    // Not to be cancelled while it matters: it may hold a message that the reader has no room for yet.
    let mut receiving = pin!(receive(&*channel, &incoming));
    let end = tokio::select! {
        error = &mut receiving => End::Received(error),
        end = transmit(&*channel, &mut outgoing) => end,
        error = watch(&mut connection, &mut commands) => End::Broken(error),
        () = hangup.cancelled() => End::Broken(TransportError::Lost),
    };
    ending.set(end.reason());
    outgoing.close();
    match end {
        End::Flushed(outcome) => {
            if outcome.is_ok() && channel.close().await.is_ok() {
                let _ = timeout(GOODBYE_DEADLINE, &mut receiving).await;
            }
            connection.close().await;
            let _ = flushed.send(outcome);
        }
        End::Received(error) => {
            let _ = flushed.send(Err(error));
            connection.close().await;
        }
        End::Broken(error) => {
            let _ = flushed.send(Err(error));
            let is_read =
                error == TransportError::Closed && timeout(READ_DEADLINE, &mut receiving).await.is_ok();
            // Ends the channel's events, so that the reader gets those that are left and no more.
            connection.close().await;
            if !is_read {
                receiving.await;
            }
        }
    }
}

/// What ended it.
#[derive(Clone, Copy)]
enum End {
    /// This side closed, and everything was acknowledged or not.
    Flushed(Result<(), TransportError>),
    /// The peer closed the channel, or sent what it must not; everything before that has been handed over.
    Received(TransportError),
    /// The connection is gone; something may have arrived that has not been handed over.
    Broken(TransportError),
}

impl End {
    fn reason(self) -> TransportError {
        match self {
            Self::Flushed(outcome) => outcome.err().unwrap_or(TransportError::Closed),
            Self::Received(error) | Self::Broken(error) => error,
        }
    }
}

/// Takes messages from the channel for as long as it lasts. While the reader is busy nothing is taken; then 256 messages
/// wait in the channel, up to as many in the crate's driver, as many below it, and a receive window in SCTP, before the peer is held up.
async fn receive(channel: &dyn DataChannel, incoming: &mpsc::Sender<BytesMut>) -> TransportError {
    while let Some(event) = channel.poll().await {
        match event {
            DataChannelEvent::OnMessage(message) => {
                if let Err(error) = deliver(incoming, message.data).await {
                    return error;
                }
            }
            DataChannelEvent::OnClose => break,
            DataChannelEvent::OnOpen
            | DataChannelEvent::OnError
            | DataChannelEvent::OnClosing
            | DataChannelEvent::OnBufferedAmountLow
            | DataChannelEvent::OnBufferedAmountHigh
            | _ => {}
        }
    }
    TransportError::Closed
}

/// Sends what is queued until the owner closes the queue, and then waits for the peer to have it all.
async fn transmit(channel: &dyn DataChannel, outgoing: &mut mpsc::Receiver<BytesMut>) -> End {
    while let Some(message) = outgoing.recv().await {
        // The crate refuses a message only when the channel is closed; what arrived before that is still to be read.
        if channel.send(message).await.is_err() {
            return End::Broken(TransportError::Closed);
        }
    }
    End::Flushed(timeout(FLUSH_DEADLINE, flush(channel)).await.unwrap_or(Err(TransportError::Lost)))
}

/// The crate has no event for the last acknowledgement, so it is asked.
async fn flush(channel: &dyn DataChannel) -> Result<(), TransportError> {
    let mut ticks = interval(Duration::from_millis(2));
    loop {
        ticks.tick().await;
        if channel.outstanding_bytes().await.map_err(|_| TransportError::Closed)? == 0 {
            return Ok(());
        }
    }
}

/// Obeys the negotiation for as long as its owner keeps it, and watches for the end of the connection.
async fn watch(connection: &mut Connection, commands: &mut mpsc::Receiver<Command>) -> TransportError {
    loop {
        tokio::select! {
            error = connection.failure() => return error,
            Some(command) = commands.recv() => connection.obey(command).await,
        }
    }
}
