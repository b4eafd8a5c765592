//! One side's WebSocket at the record relay: what it sends goes to the other side, and the other way round, until one leaves.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{self, Instant, timeout};
use wire::signaling::{CloseReason, Join, SIGNALING_VERSION};

use crate::hub::{Hub, now};
use crate::limits::gate::Pass;
use crate::relay::{Entrance, Exit, Parcel, Seat};

/// Longest record, in bytes: a sealed chunk and what stands around it (PROTOCOL.md §6).
const MAX_RECORD_LEN: usize = 66_066;

/// Read and write buffer, in bytes: a record crosses in a few system calls, and an idle side costs little.
const BUFFER_LEN: usize = 16 * 1024;

/// Longest wait for the other half of a closing handshake.
const FAREWELL: Duration = Duration::from_secs(2);

/// Frames read and dropped while closing.
const MOST_UNREAD: usize = 64;

/// Sets the sizes of a socket before it is upgraded.
pub(crate) fn sized(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .max_frame_size(MAX_RECORD_LEN)
        .max_message_size(MAX_RECORD_LEN)
        .read_buffer_size(BUFFER_LEN)
        .write_buffer_size(BUFFER_LEN)
        .max_write_buffer_size(2 * MAX_RECORD_LEN)
}

/// Runs a socket until it ends.
pub(crate) async fn run(mut socket: WebSocket, hub: Arc<Hub>, pass: Pass) {
    let reason = match join(&mut socket, &hub).await {
        Ok(seat) => carry(&mut socket, seat, &hub).await,
        Err(reason) => {
            hub.metrics.count_refusal(reason);
            Some(reason)
        }
    };
    if let Some(reason) = reason {
        close(&mut socket, reason).await;
    }
    drop(pass);
}

/// Hears who comes.
async fn join(socket: &mut WebSocket, hub: &Hub) -> Result<Seat, CloseReason> {
    let first = timeout(hub.config.times.first_message, socket.recv()).await;
    let first = first.map_err(|_| CloseReason::IdleTimeout)?;
    let Some(Ok(Message::Text(text))) = first else { return Err(CloseReason::BadMessage) };
    let join = Join::parse(&text).map_err(|_| CloseReason::BadMessage)?;
    if join.v != SIGNALING_VERSION {
        return Err(CloseReason::UnsupportedVersion);
    }
    if !hub.handout.admits(&join.ticket, SystemTime::now()) {
        return Err(CloseReason::TokenRequired);
    }
    hub.relays.join((join.slot, join.role), join.generation, now())
}

/// Carries records both ways; the reason to give to this side's client, unless that is gone.
async fn carry(socket: &mut WebSocket, mut seat: Seat, hub: &Hub) -> Option<CloseReason> {
    let (entrance, exit) = seat.take_ends()?;
    let (sink, stream) = socket.split();
    let reason = tokio::select! {
        biased;
        reason = seat.ended() => Some(reason),
        reason = alone(&seat, hub.config.times.relay_join) => Some(reason),
        reason = read(stream, &entrance, (&seat, hub)) => reason,
        reason = write(sink, exit, hub) => reason,
    };
    hub.metrics.count_relay_end(reason.unwrap_or(CloseReason::Gone));
    reason
}

/// Nobody has come in time.
async fn alone(seat: &Seat, patience: Duration) -> CloseReason {
    match timeout(patience, seat.completed()).await {
        Ok(()) => std::future::pending().await,
        Err(_) => CloseReason::IdleTimeout,
    }
}

/// Takes records from the client, as fast as the other side takes them and as the limits allow.
async fn read(
    mut stream: SplitStream<&mut WebSocket>,
    entrance: &Entrance,
    (seat, hub): (&Seat, &Hub),
) -> Option<CloseReason> {
    let times = &hub.config.times;
    let mut idle_at = Instant::now() + times.relay_join + times.relay_idle;
    loop {
        let record = match time::timeout_at(idle_at, stream.next()).await {
            Ok(Some(Ok(Message::Binary(record)))) => record,
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            Ok(Some(Ok(Message::Text(_)) | Err(_))) => return Some(CloseReason::BadMessage),
            Ok(Some(Ok(Message::Close(_)))) => return Some(CloseReason::Gone),
            Ok(None) => return None,
            Err(_) => return Some(CloseReason::IdleTimeout),
        };
        if let Err(reason) = pass_on(record, entrance, (seat, hub)).await {
            return Some(reason);
        }
        idle_at = Instant::now() + times.relay_idle;
    }
}

async fn pass_on(record: Bytes, entrance: &Entrance, (seat, hub): (&Seat, &Hub)) -> Result<(), CloseReason> {
    let wait = seat.spend(record.len(), now())?;
    hub.metrics.count_relayed_record(record.len());
    if !wait.is_zero() {
        time::sleep(wait).await;
    }
    if entrance.push(record).await.is_err() {
        // The other side left. What it said last is still being written; that ends this one.
        return std::future::pending().await;
    }
    // One record may wait for the other side, and no more.
    seat.completed().await;
    Ok(())
}

/// Gives the client what comes from the other side, and pings it.
async fn write(
    mut sink: SplitSink<&mut WebSocket, Message>,
    mut exit: Exit,
    hub: &Hub,
) -> Option<CloseReason> {
    let mut beats = time::interval(hub.config.times.heartbeat);
    beats.reset();
    loop {
        let sent = tokio::select! {
            parcel = exit.next() => match parcel {
                Some(parcel) => timeout(hub.config.times.relay_idle, write_all(&mut sink, parcel, &mut exit)).await,
                None => return Some(CloseReason::Gone),
            },
            _ = beats.tick() => {
                timeout(hub.config.times.relay_idle, sink.send(Message::Ping(Bytes::new()))).await
            }
        };
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => return Some(CloseReason::SlowReader),
        }
    }
}

/// Writes one record and those that are there already; each gives its room back when the socket has taken it.
async fn write_all(
    sink: &mut SplitSink<&mut WebSocket, Message>,
    first: Parcel,
    exit: &mut Exit,
) -> Result<(), axum::Error> {
    let mut next = Some(first);
    let mut count = 0;
    while let Some(Parcel { record, .. }) = next.take() {
        sink.feed(Message::Binary(record)).await?;
        count += 1;
        if count < MOST_AT_ONCE {
            next = exit.ready();
        }
    }
    sink.flush().await
}

/// Records written before the socket is flushed, so that each such step is short beside the time it may take.
const MOST_AT_ONCE: usize = 16;

/// Says why and gives the client a moment to hear it.
async fn close(socket: &mut WebSocket, reason: CloseReason) {
    let frame = CloseFrame { code: reason.code(), reason: "".into() };
    let farewell = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            for _ in 0..MOST_UNREAD {
                let Some(Ok(_)) = socket.recv().await else { break };
            }
        }
    };
    // Whether it was heard or not, this is the end.
    let _ = timeout(FAREWELL, farewell).await;
}
