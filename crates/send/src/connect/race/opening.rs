//! How the two sides agree on the path that they begin with: by the first record of the sender there.

use bytes::BytesMut;
use tokio_util::sync::CancellationToken;
use wire::message::Message;
use wire::record::{HEADER_LEN, TAG_LEN};
use wire::transfer::crossing::switch;

use crate::connect::ConnectError;
use crate::connect::channel::Lane;

/// Says over the path that both sides begin with it.
pub(super) async fn say_first(lane: &mut Lane) -> Result<(), ConnectError> {
    let mut plaintext = Vec::new();
    Message::Switch { next: lane.number }.encode_into(&mut plaintext);
    let mut record = BytesMut::zeroed(HEADER_LEN);
    record.extend_from_slice(&plaintext);
    record.resize(HEADER_LEN + plaintext.len() + TAG_LEN, 0);
    lane.sealer.seal(&mut record).map_err(|_| ConnectError::NoPath)?;
    Ok(lane.transport.sender.send(record).await?)
}

/// Waits until the sender says that both begin with this path, or have begun with another. What else it says is kept.
pub(super) async fn hear_first(
    mut lane: Box<Lane>,
    begun: &CancellationToken,
) -> Result<(Box<Lane>, bool), ConnectError> {
    let mut record = tokio::select! {
        biased;
        record = lane.transport.receiver.recv() => record?,
        () = begun.cancelled() => return Ok((lane, false)),
    };
    let plaintext = lane.opener.open(&mut record).map_err(|_| ConnectError::NoPath)?;
    if switch(plaintext) == Some(lane.number) {
        return Ok((lane, true));
    }
    lane.early = Some(record);
    Ok((lane, false))
}
