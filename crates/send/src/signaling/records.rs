//! The record relay of a rendezvous: a WebSocket of its own, on which every binary frame is one record (PROTOCOL.md §4.6).

use std::time::Duration;

use bytes::BytesMut;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use url::Url;
use wire::record::MAX_RECORD_LEN;
use wire::signaling::{CloseReason, Join, relay_name};

use super::{ConnectError, SignalingError, address, open};

/// Bytes read and written at a time: a record crosses in a few system calls.
const BUFFER_LEN: usize = 32 * 1024;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Where records go to the relay.
#[derive(Debug)]
pub(crate) struct RecordSink(SplitSink<Socket, Message>);

/// Where they come from it.
#[derive(Debug)]
pub(crate) struct RecordStream(SplitStream<Socket>);

/// Opens the relay at `server` and says who comes; the other side need not be there yet.
///
/// # Errors
/// [`ConnectError`], when that takes longer than `deadline` too.
pub(crate) async fn join(
    server: &Url,
    join: &Join,
    deadline: Duration,
) -> Result<(RecordSink, RecordStream), ConnectError> {
    let path = format!("v1/relay/{}", relay_name(&join.slot));
    let address = address(server, &path).ok_or_else(|| ConnectError::BadAddress(server.clone()))?;
    let connecting = async {
        let (mut socket, _) = Box::pin(open(server, &address, limits())).await?;
        let frame = Message::text(join.to_frame());
        socket.send(frame).await.map_err(ConnectError::from_socket)?;
        Ok(socket)
    };
    let socket = timeout(deadline, connecting).await.unwrap_or(Err(ConnectError::TimedOut))?;
    let (sink, stream) = socket.split();
    Ok((RecordSink(sink), RecordStream(stream)))
}

impl RecordSink {
    /// Takes a record; it need not have left yet. Not to be cancelled: half a record may be written.
    ///
    /// # Errors
    /// [`SignalingError::Lost`].
    pub(crate) async fn feed(&mut self, record: BytesMut) -> Result<(), SignalingError> {
        self.0.feed(Message::Binary(record.freeze())).await.map_err(|_| SignalingError::Lost)
    }

    /// Lets everything that was taken leave.
    ///
    /// # Errors
    /// [`SignalingError::Lost`].
    pub(crate) async fn flush(&mut self) -> Result<(), SignalingError> {
        self.0.flush().await.map_err(|_| SignalingError::Lost)
    }

    /// Says that no more comes.
    ///
    /// # Errors
    /// [`SignalingError::Lost`].
    pub(crate) async fn finish(&mut self) -> Result<(), SignalingError> {
        self.0.send(Message::Close(None)).await.map_err(|_| SignalingError::Lost)
    }
}

impl RecordStream {
    /// The next record. Cancelling it loses nothing.
    ///
    /// # Errors
    /// How the relay ended, after every record that came before that: [`CloseReason::Gone`] when it was the other side that left.
    pub(crate) async fn next(&mut self) -> Result<BytesMut, SignalingError> {
        loop {
            return match self.0.next().await {
                Some(Ok(Message::Binary(record))) => Ok(BytesMut::from(record)),
                Some(Ok(Message::Text(_))) => Err(SignalingError::NotAMessage),
                Some(Ok(Message::Close(frame))) => {
                    Err(frame
                        .map_or(SignalingError::Closed(CloseReason::Gone), |frame| super::closed(&frame)))
                }
                // Pings are answered below this layer.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Err(error)) => Err(SignalingError::from_socket(&error)),
                None => Err(SignalingError::Lost),
            };
        }
    }
}

fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER_LEN)
        .write_buffer_size(BUFFER_LEN)
        .max_write_buffer_size(4 * MAX_RECORD_LEN)
        .max_message_size(Some(MAX_RECORD_LEN))
        .max_frame_size(Some(MAX_RECORD_LEN))
}
