//! Streams: what the owner writes to and reads from.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use shared::error::{Error, Result};

use super::{Association, State};
use crate::PayloadProtocolIdentifier;
use crate::event::{Event, StreamEvent};
use crate::message::Chunks;
use crate::queue::Message;
use crate::units::{to_u64, to_usize};

/// Names a stream within an association.
pub type StreamId = u16;

/// How hard to try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReliabilityType {
    /// Until it has arrived.
    #[default]
    Reliable = 0,
    /// So many times again.
    Rexmit = 1,
    /// For so many milliseconds.
    Timed = 2,
}

/// What is known of a stream.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "four things that are so or not, independently")]
pub(crate) struct StreamState {
    /// Tells this stream from an earlier one with the same number.
    pub(crate) generation: u64,
    pub(crate) can_read: bool,
    pub(crate) can_write: bool,
    /// Whether this side has closed it.
    pub(crate) is_closing: bool,
    /// Whole messages.
    pub(crate) ready: VecDeque<Chunks>,
    /// Bytes that were written and not acknowledged.
    pub(crate) buffered: usize,
    pub(crate) low: usize,
    high: usize,
    is_unordered: bool,
    reliability: (ReliabilityType, u32),
    next_ssn: u16,
}

impl StreamState {
    pub(super) fn take_ssn(&mut self) -> u16 {
        let ssn = self.next_ssn;
        self.next_ssn = ssn.wrapping_add(1);
        ssn
    }

    pub(super) fn restart_ssn(&mut self) {
        self.next_ssn = 0;
    }
}

impl Association {
    pub(super) fn add_stream(&mut self, id: StreamId) {
        let generation = self.next_generation;
        self.next_generation += 1;
        self.streams.insert(
            id,
            StreamState {
                generation,
                can_read: true,
                can_write: true,
                is_closing: false,
                ready: VecDeque::new(),
                buffered: 0,
                low: 0,
                high: usize::MAX,
                is_unordered: false,
                reliability: (ReliabilityType::Reliable, 0),
                next_ssn: 0,
            },
        );
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// [`Error::ErrStreamAlreadyExist`], when it is open.
    pub fn open_stream(&mut self, id: StreamId, _: PayloadProtocolIdentifier) -> Result<Stream<'_>> {
        if self.streams.contains_key(&id) {
            return Err(Error::ErrStreamAlreadyExist);
        }
        self.add_stream(id);
        self.stream(id)
    }

    /// A stream that is open.
    ///
    /// # Errors
    /// [`Error::ErrStreamNotExisted`], when there is none.
    pub fn stream(&mut self, id: StreamId) -> Result<Stream<'_>> {
        if !self.streams.contains_key(&id) {
            return Err(Error::ErrStreamNotExisted);
        }
        Ok(Stream { id, association: self })
    }
}

/// One stream of an association.
#[derive(Debug)]
pub struct Stream<'a> {
    id: StreamId,
    association: &'a mut Association,
}

impl Stream<'_> {
    /// Its number.
    pub fn stream_identifier(&self) -> StreamId {
        self.id
    }

    fn state(&self) -> Option<&StreamState> {
        self.association.streams.get(&self.id)
    }

    fn state_mut(&mut self) -> Result<&mut StreamState> {
        self.association.streams.get_mut(&self.id).ok_or(Error::ErrStreamClosed)
    }

    /// The next message, if there is one. There is none once this side has stopped reading, nor when taking the last one has
    /// ended the stream.
    ///
    /// # Errors
    /// None.
    pub fn read_sctp(&mut self) -> Result<Option<Chunks>> {
        let Ok(state) = self.state_mut() else { return Ok(None) };
        let Some(message) = state.ready.pop_front() else { return Ok(None) };
        let is_empty = state.ready.is_empty();
        self.association.on_read(&message.pieces, is_empty);
        Ok(Some(message))
    }

    /// Queues a message. Returns its length.
    ///
    /// # Errors
    /// [`Error::ErrStreamClosed`], [`Error::ErrOutboundPacketTooLarge`] by the size both sides agreed on, and
    /// [`Error::ErrPayloadDataStateNotExist`] before the association is established.
    pub fn write_chunk_with_ppi(
        &mut self,
        now: Instant,
        message: &Bytes,
        ppi: PayloadProtocolIdentifier,
    ) -> Result<usize> {
        let association = &mut *self.association;
        let Some(state) = association.streams.get_mut(&self.id).filter(|state| state.can_write) else {
            return Err(Error::ErrStreamClosed);
        };
        if association.state != State::Established {
            let is_ending = association.was_established && association.state != State::Closed;
            let too_early = Error::ErrPayloadDataStateNotExist;
            return Err(if is_ending { Error::ErrStreamClosed } else { too_early });
        }
        let length = message.len();
        if length > to_usize(association.config.max_message_size.into()) {
            return Err(Error::ErrOutboundPacketTooLarge);
        }
        if length == 0 {
            return Ok(0);
        }
        // Control messages are ordered and arrive, whatever the channel is like (RFC 8832 §6).
        let is_control = ppi == PayloadProtocolIdentifier::Dcep;
        let (kind, value) = if is_control { (ReliabilityType::Reliable, 0) } else { state.reliability };
        let before = state.buffered;
        state.buffered += length;
        let is_high = before <= state.high && state.buffered > state.high;
        association.queue.push(Message {
            stream: self.id,
            generation: state.generation,
            ppid: ppi.into(),
            payload: message.clone(),
            is_unordered: state.is_unordered && !is_control,
            max_repeats: (kind == ReliabilityType::Rexmit).then_some(value),
            expires: (kind == ReliabilityType::Timed).then(|| now + Duration::from_millis(value.into())),
            ssn: None,
        });
        if is_high {
            association.events.push_back(Event::Stream(StreamEvent::BufferedAmountHigh { id: self.id }));
        }
        Ok(length)
    }

    /// The same.
    ///
    /// # Errors
    /// See [`write_chunk_with_ppi`](Self::write_chunk_with_ppi).
    pub fn write_sctp(
        &mut self,
        now: Instant,
        message: &Bytes,
        ppi: PayloadProtocolIdentifier,
    ) -> Result<usize> {
        self.write_chunk_with_ppi(now, message, ppi)
    }

    /// Whether messages can still come.
    pub fn is_readable(&self) -> bool {
        self.state().is_some_and(|state| state.can_read)
    }

    /// Whether messages can still be written.
    pub fn is_writable(&self) -> bool {
        self.state().is_some_and(|state| state.can_write)
    }

    /// Stops writing.
    ///
    /// # Errors
    /// None.
    pub fn finish(&mut self) -> Result<()> {
        if let Ok(state) = self.state_mut() {
            state.can_write = false;
        }
        Ok(())
    }

    /// Stops reading, and tells the peer that this side has closed the stream once everything that was written was sent.
    ///
    /// # Errors
    /// [`Error::ErrResetPacketInStateNotExist`], when the association is not established.
    pub fn stop(&mut self, _: Instant) -> Result<()> {
        let Ok(state) = self.state_mut() else { return Ok(()) };
        if !std::mem::take(&mut state.can_read) {
            return Ok(());
        }
        state.is_closing = true;
        let unread = std::mem::take(&mut state.ready);
        let id = self.id;
        for message in &unread {
            self.association.on_read(&message.pieces, true);
        }
        if self.association.state != State::Established {
            return Err(Error::ErrResetPacketInStateNotExist);
        }
        self.association.close_stream(id);
        Ok(())
    }

    /// Closes both directions.
    ///
    /// # Errors
    /// See [`stop`](Self::stop).
    pub fn close(&mut self, now: Instant) -> Result<()> {
        self.finish()?;
        self.stop(now)
    }

    /// How messages that are written from now on are delivered.
    ///
    /// # Errors
    /// [`Error::ErrStreamClosed`], when the stream is no more.
    pub fn set_reliability_params(
        &mut self,
        unordered: bool,
        kind: ReliabilityType,
        value: u32,
    ) -> Result<()> {
        let state = self.state_mut()?;
        state.is_unordered = unordered;
        state.reliability = (kind, value);
        Ok(())
    }

    /// Bytes that were written and not acknowledged.
    ///
    /// # Errors
    /// [`Error::ErrStreamClosed`], when the stream is no more.
    pub fn buffered_amount(&self) -> Result<usize> {
        self.state().map(|state| state.buffered).ok_or(Error::ErrStreamClosed)
    }

    /// Below how many of them the owner wants to know.
    ///
    /// # Errors
    /// [`Error::ErrStreamClosed`], when the stream is no more.
    pub fn set_buffered_amount_low_threshold(&mut self, bytes: usize) -> Result<()> {
        self.state_mut()?.low = bytes;
        Ok(())
    }

    /// Above how many of them the owner wants to know.
    ///
    /// # Errors
    /// [`Error::ErrStreamClosed`], when the stream is no more.
    pub fn set_buffered_amount_high_threshold(&mut self, bytes: usize) -> Result<()> {
        self.state_mut()?.high = bytes;
        Ok(())
    }
}

impl Association {
    /// The owner has taken a message. A peer that was told of little room is told of more.
    fn on_read(&mut self, pieces: &[Bytes], is_drained: bool) {
        self.inbound.handle_read(pieces, self.flight.round_trip.minimum());
        let window = self.inbound.window();
        let (told, room) = (self.ack.told_room, self.inbound.room());
        if told < window / 2 && room >= told + (window / 8).max(to_u64(2 * 1_200)) {
            self.ack.is_due = true;
        }
        if is_drained {
            self.retry_reset();
        }
    }
}
