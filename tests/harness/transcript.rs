//! What a process has written to one of its streams so far.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A stream, read by a thread until its end.
#[derive(Clone, Default)]
pub(super) struct Transcript(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    has_ended: bool,
}

impl Transcript {
    /// Starts to read `stream`.
    pub(super) fn of(mut stream: impl Read + Send + 'static) -> Self {
        let transcript = Self::default();
        let writing = transcript.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The other end of a terminal fails when its last user is gone; that is an end as well.
            while let Ok(len @ 1..) = stream.read(&mut buffer) {
                writing.state().bytes.extend_from_slice(&buffer[..len]);
                writing.0.1.notify_all();
            }
            writing.state().has_ended = true;
            writing.0.1.notify_all();
        });
        transcript
    }

    /// Waits until `find` finds something in the text so far. `None` when the stream ended without it, or after
    /// `patience`.
    pub(super) fn wait_for<T>(
        &self,
        patience: Duration,
        mut find: impl FnMut(&str) -> Option<T>,
    ) -> Option<T> {
        let mut found = None;
        let state = self.state();
        let waiting = self.0.1.wait_timeout_while(state, patience, |state| {
            found = find(&String::from_utf8_lossy(&state.bytes));
            found.is_none() && !state.has_ended
        });
        drop(waiting);
        found
    }

    /// Waits for the end of the stream; `false` when it has not come after `patience`.
    pub(super) fn wait_for_end(&self, patience: Duration) -> bool {
        let waiting = self.0.1.wait_timeout_while(self.state(), patience, |state| !state.has_ended);
        let (state, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        state.has_ended
    }

    /// Everything so far.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.state().bytes).into_owned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
