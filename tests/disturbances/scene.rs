//! One run: two machines, their networks and a disk, and what is done to them.

use std::cell::OnceCell;
use std::fs;
use std::path::Path;
use std::time::Instant;

use rustix::process::Signal;

use super::blow::{Blow, Disturbance as D};
use super::{NAME, QUEUE};
use crate::harness::{Disk, Ended, Machine, NOTICED, Peer, Rendezvous};
use crate::netlab::{Cut, Netlab, stay_away};

/// Where a run takes place.
pub(super) struct Scene {
    pub(super) seed: u64,
    pub(super) lab: Netlab,
    pub(super) server: Option<Rendezvous>,
    pub(super) alice: Machine,
    pub(super) bob: Machine,
    /// Where Bob has everything saved.
    pub(super) disk: Disk,
}

impl Scene {
    /// Sends with a new code, and disturbs it. Tells what happened, and whether everything arrived.
    pub(super) fn attempt(&mut self, size: u64, blows: Vec<Blow>) -> (String, bool) {
        let mut sending = self.alice.start(&[NAME]);
        let code = sending.code();
        let output = self.disk.path().to_str().unwrap();
        let receiving = self.bob.start(&["receive", &code, "--yes", "--output", output]);
        let (mut told, mut fallen) = (Vec::new(), Vec::new());
        for blow in blows {
            if !receiving.progresses_to(size / 100 * blow.percent) {
                break;
            }
            println!("seed {}: {blow}", self.seed);
            self.disturb(blow, &sending, &receiving);
            told.push(blow.to_string());
            fallen.push(blow.disturbance);
            if blow.disturbance.is_fatal() {
                break;
            }
        }
        let is_over = end(sending, receiving, &fallen, &mut told);
        (told.join(", "), is_over)
    }

    /// Does it, and undoes it if it is one that passes.
    fn disturb(&mut self, Blow { disturbance, lasts, .. }: Blow, sending: &Peer, receiving: &Peer) {
        match disturbance {
            D::KillReceiver => receiving.signal_if_there(Signal::KILL),
            D::KillSender => sending.signal_if_there(Signal::KILL),
            D::InterruptReceiver => receiving.signal_if_there(Signal::INT),
            D::InterruptSender => sending.signal_if_there(Signal::INT),
            D::KillServer => self.restart_server(),
            D::StopReceiver => stop(receiving, || stay_away(lasts)),
            D::StopSender => stop(sending, || stay_away(lasts)),
            D::KillServerWhileReceiverIsStopped => stop(receiving, || {
                self.restart_server();
                stay_away(lasts);
            }),
            D::CutReceiver => self.lab.bob.cable.without(Cut::Silent, || stay_away(lasts)),
            D::CutSender => self.lab.alice.cable.without(Cut::Silent, || stay_away(lasts)),
            D::CutServer => self.lab.server.cable.without(Cut::Silent, || stay_away(lasts)),
            D::UnplugReceiver => self.lab.bob.cable.without(Cut::Unplugged, || stay_away(lasts)),
            D::UnplugSender => self.lab.alice.cable.without(Cut::Unplugged, || stay_away(lasts)),
            D::Part => self.lab.bob.cable.without(Cut::Apart, || stay_away(lasts)),
            D::KillServerWhileSenderIsCut => {
                self.lab.alice.cable.cut(Cut::Silent);
                self.restart_server();
                stay_away(lasts);
                self.lab.alice.cable.restore(Cut::Silent);
            }
            D::NarrowReceiver => {
                self.lab.bob.cable.narrow(50_000, 6 * QUEUE);
                stay_away(lasts);
                self.lab.bob.cable.widen();
            }
            D::FillDisk => {
                let filler = self.disk.fill();
                // There is room again once the receiver has given up, or has everything already.
                assert!(receiving.ends_by_itself(), "the disk is full: {receiving:?}");
                fs::remove_file(filler).unwrap();
            }
        }
    }

    /// Kills it without a goodbye. Another one at the same address knows nothing.
    fn restart_server(&mut self) {
        self.server = self.server.take().map(Rendezvous::restart);
    }

    /// What has its final name is whole, whatever became of the rest.
    pub(super) fn holds_nothing_half(&self) {
        let mut waiting = vec![self.disk.path().to_owned()];
        while let Some(path) = waiting.pop() {
            if path.is_dir() {
                waiting.extend(
                    names(&path).iter().filter(|name| !name.starts_with('.')).map(|name| path.join(name)),
                );
            } else {
                let sent = self.alice.path(path.strip_prefix(self.disk.path()).unwrap());
                assert!(
                    fs::read(&path).unwrap() == fs::read(sent).unwrap(),
                    "{}: half a file",
                    path.display()
                );
            }
        }
    }
}

/// Stops a process until `meanwhile` is over.
fn stop(peer: &Peer, meanwhile: impl FnOnce()) {
    peer.signal_if_there(Signal::STOP);
    meanwhile();
    peer.signal_if_there(Signal::CONT);
}

/// Names in a directory, hidden ones too.
pub(super) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Waits for both ends, which are added to `told`; whether either says that everything arrived. A side whose peer is gone for good waits until
/// its user stops it, which happens here when the peer has ended: a receiver that has everything is not told of that when it was
/// away while its sender heard so and left.
fn end(sending: Peer, receiving: Peer, fallen: &[D], told: &mut Vec<String>) -> bool {
    let gone = OnceCell::new();
    let is_long_gone = || sending.has_ended() && gone.get_or_init(Instant::now).elapsed() > NOTICED;
    let received = receiving.end_unless(|| sending.has_ended_badly() || is_long_gone());
    let since = Instant::now();
    // A receiver that has everything is reachable for 30 s: a sender that was away for longer never learns of it.
    let sent = sending.end_unless(|| received.code != Some(0) || since.elapsed() > NOTICED);
    let status = |ended: &Ended| ended.code.unwrap_or(i32::MIN);
    told.push(format!("sender {}, receiver {}", status(&sent), status(&received)));
    if !fallen.iter().any(|disturbance| disturbance.is_fatal()) {
        assert_eq!((status(&sent), status(&received)), (0, 0), "{told:?}: {sent:?} {received:?}");
    }
    let full = fallen.contains(&D::FillDisk);
    assert!(is_honest(&sent, full.then_some(1)), "{told:?}: {sent:?} {received:?}");
    assert!(is_honest(&received, full.then_some(6)), "{told:?}: {sent:?} {received:?}");
    // A receiver may be killed between the moment it has everything and has said so, and its own end.
    sent.code == Some(0) || received.code == Some(0)
}

/// Whether it did what was asked, was ended, was told that the other side was, or failed as the disk lets it.
fn is_honest(ended: &Ended, failure: Option<i32>) -> bool {
    let killed = -Signal::KILL.as_raw();
    ended.code.is_some_and(|code| [0, 3, 130, killed].contains(&code) || Some(code) == failure)
}
