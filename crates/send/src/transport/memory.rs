//! Two transports connected to each other in memory, with a wire that can be cut, for tests.

use tokio::task::JoinSet;

use super::{Driven, Ending, Path, Transport, TransportError, deliver};

/// The wire between two transports of one process. Dropping it cuts it.
#[derive(Debug)]
pub struct Wire {
    tasks: JoinSet<()>,
    endings: [Ending; 2],
}

impl Wire {
    /// Loses the connection: both sides see [`TransportError::Lost`], the receivers after what has already arrived.
    pub fn cut(mut self) {
        self.lose();
    }

    fn lose(&mut self) {
        for ending in &self.endings {
            ending.set(TransportError::Lost);
        }
        self.tasks.abort_all();
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.lose();
    }
}

/// Two transports, each the other's peer. Needs a running tokio runtime, which carries the messages.
pub fn pair() -> (Transport, Transport, Wire) {
    let (left, left_driven) = Transport::driven(Path::LocalNetwork);
    let (right, right_driven) = Transport::driven(Path::LocalNetwork);
    let endings = [left_driven.ending.clone(), right_driven.ending.clone()];
    let mut tasks = JoinSet::new();
    tasks.spawn(carry(left_driven, right_driven));
    (left, right, Wire { tasks, endings })
}

/// Carries messages both ways until one side closes.
async fn carry(mut left: Driven, mut right: Driven) {
    let outcome = tokio::select! {
        outcome = forward(&mut left.outgoing, &right.incoming) => outcome,
        outcome = forward(&mut right.outgoing, &left.incoming) => outcome,
    };
    for side in [left, right] {
        side.ending.set(outcome.err().unwrap_or(TransportError::Closed));
        let _ = side.flushed.send(outcome);
    }
}

/// Returns when the owner of `outgoing` has closed and everything has been handed over.
async fn forward(
    outgoing: &mut tokio::sync::mpsc::Receiver<bytes::BytesMut>,
    incoming: &tokio::sync::mpsc::Sender<bytes::BytesMut>,
) -> Result<(), TransportError> {
    while let Some(message) = outgoing.recv().await {
        deliver(incoming, message).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::transport::{MAX_MESSAGE_LEN, QUEUE_LEN};

    fn message(text: &str) -> BytesMut {
        BytesMut::from(text.as_bytes())
    }

    #[tokio::test]
    async fn messages_arrive_in_order_both_ways() {
        let (mut left, mut right, _wire) = pair();
        for text in ["one", "two"] {
            left.sender.send(message(text)).await.unwrap();
            right.sender.send(message(text)).await.unwrap();
        }
        for text in ["one", "two"] {
            assert_eq!(left.receiver.recv().await, Ok(message(text)));
            assert_eq!(right.receiver.recv().await, Ok(message(text)));
        }
    }

    #[tokio::test]
    async fn closing_delivers_what_was_queued() {
        let (mut left, mut right, _wire) = pair();
        left.sender.send(message("last words")).await.unwrap();
        assert_eq!(left.sender.close().await, Ok(()));
        assert_eq!(right.receiver.recv().await, Ok(message("last words")));
        assert_eq!(right.receiver.recv().await, Err(TransportError::Closed));
        assert_eq!(right.sender.send(message("too late")).await, Err(TransportError::Closed));
        assert_eq!(left.receiver.recv().await, Err(TransportError::Closed));
    }

    #[tokio::test]
    async fn a_cut_wire_is_a_lost_connection_for_both() {
        let (mut left, mut right, wire) = pair();
        wire.cut();
        assert_eq!(left.receiver.recv().await, Err(TransportError::Lost));
        assert_eq!(right.receiver.recv().await, Err(TransportError::Lost));
        assert_eq!(left.sender.send(message("hello?")).await, Err(TransportError::Lost));
        assert_eq!(right.sender.close().await, Err(TransportError::Lost));
    }

    #[tokio::test]
    async fn a_message_longer_than_a_record_is_not_sent() {
        let (mut left, mut right, _wire) = pair();
        let long = BytesMut::zeroed(MAX_MESSAGE_LEN + 1);
        let refused = Err(TransportError::MessageTooLong { len: MAX_MESSAGE_LEN + 1 });
        assert_eq!(left.sender.send(long.clone()).await, refused);
        left.sender.send(BytesMut::zeroed(MAX_MESSAGE_LEN)).await.unwrap();
        assert_eq!(right.receiver.recv().await.map(|message| message.len()), Ok(MAX_MESSAGE_LEN));
    }

    #[tokio::test]
    async fn a_message_longer_than_a_record_ends_the_transport_it_came_by() {
        let (left, mut right, _wire) = pair();
        left.sender.queue.send(BytesMut::zeroed(MAX_MESSAGE_LEN + 1)).await.unwrap();
        let refused = Err(TransportError::MessageTooLong { len: MAX_MESSAGE_LEN + 1 });
        assert_eq!(right.receiver.recv().await, refused);
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_does_not_read_holds_the_sender_up() {
        let (mut left, mut right, _wire) = pair();
        let mut sent = 0_usize;
        let patience = std::time::Duration::from_secs(1);
        while tokio::time::timeout(patience, left.sender.send(message("more"))).await.is_ok() {
            sent += 1;
            assert!(sent <= 3 * QUEUE_LEN, "the queues are bounded");
        }
        for _ in 0..sent {
            assert_eq!(right.receiver.recv().await, Ok(message("more")));
        }
    }

    #[test]
    fn threads_use_it_too() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (mut left, mut right, _wire) = {
            let _entered = runtime.enter();
            pair()
        };
        let sending = std::thread::spawn(move || {
            for number in 0..1_000_u32 {
                left.sender.blocking_send(BytesMut::from(&number.to_be_bytes()[..])).unwrap();
            }
            left.sender.blocking_close()
        });
        for number in 0..1_000_u32 {
            assert_eq!(right.receiver.blocking_recv().unwrap()[..], number.to_be_bytes());
        }
        assert_eq!(right.receiver.blocking_recv(), Err(TransportError::Closed));
        assert_eq!(sending.join().unwrap(), Ok(()));
    }
}
