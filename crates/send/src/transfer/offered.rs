//! What a receiving task has before the user has agreed: the offer, the question, and what is here of it already.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::spawn_blocking;
use wire::manifest::{EntryKind, Manifest};

use super::receive::Receiving;
use crate::report::{self, Ask, AskError, Consent, Event, Offer};
use crate::storage::{Checked, OutputDir, Remains, SinkError};

/// A question that is open.
pub(super) type Question<'a> = Pin<Box<dyn Future<Output = Result<Consent, AskError>> + Send + 'a>>;

/// What is here, being read.
pub(super) type Checking = Pin<Box<dyn Future<Output = Checked> + Send>>;

/// An offer that was looked at.
pub(super) struct Offered<'a> {
    pub(super) manifest: Arc<Manifest>,
    pub(super) output: OutputDir,
    pub(super) offer: Offer,
    /// What an earlier attempt left; taken when it is read.
    pub(super) remains: Option<Remains>,
    pub(super) question: Option<Question<'a>>,
    pub(super) checking: Option<Checking>,
    /// How many bytes of it have been read.
    pub(super) read_len: Arc<AtomicU64>,
}

impl<'a> Offered<'a> {
    /// Looks at an offer: whether there is a place and room for it, and what is here already.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn of(manifest: Arc<Manifest>, receiving: &Receiving) -> Result<Self, SinkError> {
        let output = OutputDir::open(&receiving.output)?;
        let free_space = output.free_space()?;
        let remains = output.remains(&manifest)?;
        let mut offer = offer(&manifest, receiving, free_space);
        let remains = if receiving.restart {
            remains.set_aside();
            None
        } else {
            offer.present = remains.present_len();
            Some(remains)
        };
        let read_len = Arc::default();
        Ok(Self { manifest, output, offer, remains, question: None, checking: None, read_len })
    }

    /// Asks the user.
    pub(super) fn ask(&mut self, ask: &'a dyn Ask) {
        let offer = self.offer.clone();
        self.question = Some(Box::pin(async move { ask.consent(&offer).await }));
    }

    /// How much of what is here has been read, unless nothing is here.
    pub(super) fn progress(&self) -> Option<Event> {
        let (done, total) = (self.read_len.load(Ordering::Relaxed), self.offer.present);
        (total > 0).then_some(Event::Checking { done: done.min(total), total })
    }

    /// Reads what is here on a thread that may block.
    pub(super) fn check(&mut self) {
        let read_len = Arc::clone(&self.read_len);
        let remains = self.remains.take();
        self.checking = Some(Box::pin(async move {
            let Some(remains) = remains else { return Checked::default() };
            let body = move || {
                remains.check(|len| {
                    read_len.fetch_add(len, Ordering::Relaxed);
                })
            };
            // Without what is here everything comes anew, which is right too.
            spawn_blocking(body).await.unwrap_or_default()
        }));
    }
}

/// What is offered, as the user is asked about it.
fn offer(manifest: &Manifest, receiving: &Receiving, free_space: Option<u64>) -> Offer {
    let mut offer = Offer::new(receiving.output.clone(), free_space);
    for entry in manifest.entries() {
        let kind = match entry.kind {
            EntryKind::Directory => report::EntryKind::Directory,
            EntryKind::File { .. } | EntryKind::Stream | EntryKind::Symlink { .. } => report::EntryKind::File,
        };
        offer.add(entry.path.as_str(), kind, entry.kind.size(), entry.mode & 0o111 != 0);
    }
    offer
}
