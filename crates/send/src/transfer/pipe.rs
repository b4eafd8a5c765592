//! Both directions of a channel as queues of plaintext records, with a thread each that seals and opens.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bytes::BytesMut;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use wire::message::Message;
use wire::record::{HEADER_LEN, MAX_RECORD_LEN, Opener, Sealer, TAG_LEN};

use super::Error;
use crate::transport::{Incoming, Outgoing, Transport};

/// Records that wait between two threads: 1 MiB of chunks, enough to hide that a thread has to be woken.
const QUEUE_LEN: usize = 16;

/// A record before it is sealed: room for the header, the plaintext, and later room for the tag.
#[derive(Debug)]
pub(super) struct Draft(BytesMut);

impl Draft {
    /// A draft without plaintext.
    pub(super) fn new() -> Self {
        let mut buffer = BytesMut::with_capacity(MAX_RECORD_LEN);
        buffer.resize(HEADER_LEN, 0);
        Self(buffer)
    }

    /// A draft of one message.
    pub(super) fn of(message: &Message<'_>) -> Self {
        let mut draft = Self(BytesMut::zeroed(HEADER_LEN));
        draft.push(message);
        draft
    }

    /// Appends a message.
    pub(super) fn push(&mut self, message: &Message<'_>) {
        let mut bytes = Vec::new();
        message.encode_into(&mut bytes);
        self.0.extend_from_slice(&bytes);
    }

    /// Appends `len` bytes to be filled in.
    pub(super) fn grow(&mut self, len: usize) -> &mut [u8] {
        let at = self.0.len();
        self.0.resize(at + len, 0);
        self.0.get_mut(at..).unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn plaintext(&self) -> &[u8] {
        self.0.get(HEADER_LEN..).unwrap_or_default()
    }

    fn seal(mut self, sealer: &mut Sealer) -> Result<BytesMut, Error> {
        self.0.resize(self.0.len() + TAG_LEN, 0);
        sealer.seal(&mut self.0)?;
        Ok(self.0)
    }
}

/// A record after it was opened.
#[derive(Debug)]
pub(super) struct Opened(BytesMut);

impl Opened {
    /// What was sealed.
    pub(super) fn plaintext(&self) -> &[u8] {
        self.0.get(HEADER_LEN..self.0.len() - TAG_LEN).unwrap_or_default()
    }

    /// Its length on the transport, in bytes.
    pub(super) fn record_len(&self) -> usize {
        self.0.len()
    }
}

/// Both directions of a channel. Dropping it closes the channel in the background.
#[derive(Debug)]
pub(super) struct Pipe {
    /// To the other side, in order.
    pub(super) drafts: mpsc::Sender<Draft>,
    /// From the other side, in order; the last one is how it ended.
    pub(super) opened: mpsc::Receiver<Result<Opened, Error>>,
    /// How many records were handed to the transport.
    pub(super) sent_count: Arc<AtomicU64>,
    flushed: oneshot::Receiver<()>,
    hangup: CancellationToken,
}

impl Pipe {
    /// Starts the two threads. `early` is what came first, opened already.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        (sealer, opener): (Sealer, Opener),
        transport: Transport,
        early: Option<BytesMut>,
    ) -> io::Result<Self> {
        let Transport { sender: outgoing, receiver: incoming, hangup, .. } = transport;
        let (drafts, draft_queue) = mpsc::channel(QUEUE_LEN);
        let (opened_queue, opened) = mpsc::channel(QUEUE_LEN);
        let (done, flushed) = oneshot::channel();
        let sent_count = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent_count);
        spawn("send-seal", move || {
            seal_all(sealer, outgoing, draft_queue, &counter);
            let _ = done.send(());
        })?;
        spawn("send-open", move || {
            let is_wanted = early.is_none_or(|early| opened_queue.blocking_send(Ok(Opened(early))).is_ok());
            if is_wanted {
                open_all(opener, incoming, &opened_queue);
            }
        })?;
        Ok(Self { drafts, opened, sent_count, flushed, hangup })
    }

    /// Ends the channel at once, for there is nobody to say goodbye to.
    pub(super) fn hang_up(self) {
        self.hangup.cancel();
    }

    /// Sends what is queued and closes the channel; returns when the other side has acknowledged everything, or when the
    /// transport gave up waiting for that.
    pub(super) async fn close(self) {
        drop(self.drafts);
        // What still arrives is of no interest, but must not keep the other thread from noticing the end.
        let mut opened = self.opened;
        let drain = async { while opened.recv().await.is_some() {} };
        tokio::select! {
            _ = self.flushed => {}
            ((), ()) = async { tokio::join!(drain, std::future::pending()) } => {}
        }
    }
}

/// A named thread that nobody joins: it ends when its queues do.
pub(super) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(body).map(drop)
}

fn seal_all(
    mut sealer: Sealer,
    mut outgoing: Outgoing,
    mut drafts: mpsc::Receiver<Draft>,
    sent_count: &AtomicU64,
) {
    while let Some(draft) = drafts.blocking_recv() {
        let Ok(record) = draft.seal(&mut sealer) else { return };
        if outgoing.blocking_send(record).is_err() {
            return;
        }
        sent_count.fetch_add(1, Ordering::Relaxed);
    }
    // Whether it could be flushed shows in what the other side says, or does not say.
    let _ = outgoing.blocking_close();
}

fn open_all(mut opener: Opener, mut incoming: Incoming, opened: &mpsc::Sender<Result<Opened, Error>>) {
    loop {
        let result = incoming.blocking_recv().map_err(Error::from).and_then(|mut record| {
            opener.open(&mut record)?;
            Ok(Opened(record))
        });
        let is_over = result.is_err();
        if opened.blocking_send(result).is_err() || is_over {
            return;
        }
    }
}
