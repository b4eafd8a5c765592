//! The instance's ear: its channel, what arrives there, and whether it hears at all.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{self, MissedTickBehavior};

use super::frame::{Body, Frame, LinkId};
use super::store::Down;
use super::{ECHO_LIMIT, Mesh, now, record};
use crate::guard::{Sign, Signs};

impl Mesh {
    /// Listens on this instance's channel, and on that of all, until that breaks.
    pub(crate) async fn listen(&self) {
        let own = record::channel(self.id);
        let Ok(listener) = self.store.listen(&[&own, record::EVERYBODY]).await else { return };
        {
            let mut state = self.state();
            (state.is_listening, state.echoed) = (true, now());
        }
        self.opened.notify_one();
        let mut messages = listener.into_on_message();
        let mut watch = time::interval(Duration::from_secs(1));
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => self.hear(message.get_payload_bytes()),
                    None => break,
                },
                _ = watch.tick() => {
                    let echoed = self.state().echoed;
                    if now().saturating_duration_since(echoed) >= ECHO_LIMIT {
                        break;
                    }
                }
            }
        }
        self.state().is_listening = false;
        self.handle_lost();
    }

    /// Waits until this instance's channel was opened.
    pub(crate) async fn opened(&self) {
        self.opened.notified().await;
    }

    /// Whether Redis answers again, and has to be told what this instance has. With it comes whether that is the first time.
    pub(crate) fn wants_restoring(&self) -> Option<bool> {
        let state = self.state();
        (state.is_listening && state.ready_since.is_none()).then_some(!state.was_ready)
    }

    /// All that this instance has stands in Redis again.
    pub(crate) fn handle_restored(&self) {
        let mut state = self.state();
        if state.is_listening && state.ready_since.is_none() {
            state.ready_since = Some(now());
            state.was_ready = true;
            drop(state);
            tracing::info!(instance = %self.id, "sessions are shared");
        }
    }

    /// The connection to Redis broke.
    pub(crate) fn handle_lost(&self) {
        if self.state().ready_since.take().is_some() {
            tracing::warn!(instance = %self.id, "Redis is away: no new sessions until it is back");
        }
    }

    /// Shows itself, and everyone it has links with, that it lives; finds out who does not. To be called once a second.
    ///
    /// # Errors
    /// [`Down`]: new sessions are refused from now on.
    pub(crate) async fn beat(&self) -> Result<(), Down> {
        let frame = Frame::aside(self.id, Body::Beat);
        self.store.publish(&record::channel(self.id), &frame.to_bytes()).await?;
        let peers = self.state().peers.linked();
        for peer in peers {
            self.tell(peer, &frame).await?;
        }
        self.tell_signs().await?;
        if let Some(ready_since) = self.ready_since()
            && self.state().peers.handle_time(ready_since, now())
        {
            self.deaths.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// Has the other instances hear of a sign with the next beat.
    pub(crate) fn count_sign(&self, sign: Sign) {
        self.state().signs.add(sign.into());
    }

    /// Tells all instances what there was since the last time, if there was anything. Lost messages are a guard that goes up a
    /// little later.
    async fn tell_signs(&self) -> Result<(), Down> {
        let signs = std::mem::take(&mut self.state().signs);
        if signs == Signs::default() {
            return Ok(());
        }
        let frame = Frame::aside(self.id, Body::Signs(signs));
        self.store.publish(record::EVERYBODY, &frame.to_bytes()).await.map(|_| ())
    }

    /// Gives a frame to its link, or back when there is none.
    pub(crate) fn deliver(&self, frame: Frame) -> Option<Frame> {
        let state = self.state();
        let Some(link) = state.links.get(&frame.link) else { return Some(frame) };
        // What does not fit is lost, and will be repeated.
        let _ = link.try_send(frame);
        None
    }

    fn hear(&self, bytes: &[u8]) {
        let Some(frame) = Frame::parse(bytes) else { return };
        let mut state = self.state();
        if frame.from == self.id {
            state.echoed = now();
            return;
        }
        state.peers.handle_heard(frame.from, now());
        drop(state);
        let Some(frame) = self.deliver(frame) else { return };
        let is_arrival = match frame.body {
            Body::Open(_) | Body::Message(_) | Body::Close(_) | Body::Depart | Body::Gone => true,
            Body::Moved(_) | Body::Signs(_) => frame.link == LinkId::NONE,
            Body::Acknowledge | Body::Reset | Body::Beat => false,
        };
        if is_arrival {
            let _ = self.arrivals.try_send(frame);
        }
    }
}
