//! Messages that were written and not wholly sent yet.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::recovery::Fragment;

/// A message of which some may have been sent.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) stream: u16,
    pub(crate) generation: u64,
    pub(crate) ppid: u32,
    pub(crate) payload: Bytes,
    pub(crate) is_unordered: bool,
    pub(crate) max_repeats: Option<u32>,
    pub(crate) expires: Option<Instant>,
    /// Its number in its stream, given when its first piece is sent.
    pub(crate) ssn: Option<u16>,
}

/// In the order in which they were written.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    messages: VecDeque<Message>,
}

impl SendQueue {
    pub(crate) fn push(&mut self, message: Message) {
        self.messages.push_back(message);
    }

    pub(crate) fn front(&self) -> Option<&Message> {
        self.messages.front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether anything of `stream` is left.
    pub(crate) fn has_stream(&self, stream: u16) -> bool {
        self.messages.iter().any(|message| message.stream == stream)
    }

    /// Takes the front out.
    pub(crate) fn drop_front(&mut self) -> Option<Message> {
        self.messages.pop_front()
    }

    /// Takes everything of `stream` out of which nothing was sent. Returns how many bytes that is.
    pub(crate) fn drop_unbegun(&mut self, stream: u16) -> usize {
        let mut dropped = 0;
        self.messages.retain(|message| {
            let stays = message.stream != stream || message.ssn.is_some();
            if !stays {
                dropped += message.payload.len();
            }
            stays
        });
        dropped
    }

    /// Cuts up to `most` bytes off the front. `number` gives the message its number when this is its first piece.
    pub(crate) fn cut(&mut self, most: usize, number: impl FnOnce(&Message) -> u16) -> Option<Fragment> {
        let message = self.messages.front_mut()?;
        let is_beginning = message.ssn.is_none();
        let ssn = match message.ssn {
            Some(ssn) => ssn,
            None => number(message),
        };
        message.ssn = Some(ssn);
        let payload = message.payload.split_to(message.payload.len().min(most));
        let is_end = message.payload.is_empty();
        let fragment = Fragment {
            stream: message.stream,
            ssn,
            ppid: message.ppid,
            is_unordered: message.is_unordered,
            is_beginning,
            is_end,
            payload,
            max_repeats: message.max_repeats,
            expires: message.expires,
            generation: message.generation,
        };
        if is_end {
            self.messages.pop_front();
        }
        Some(fragment)
    }
}
