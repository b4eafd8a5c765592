//! A transfer over more than one generation: a pair of ends, and the lanes between them, each with a generation of its own.

use std::collections::{BTreeMap, VecDeque};

use wire::message::Message;
use wire::signaling::Role;
use wire::transfer::Crossing;
use wire::transfer::crossing::Output;

use super::pair::Pair;
use super::{Keys, encode, open_generation, seal};

/// One path: records on their way, until it is cut.
#[derive(Default)]
struct Lane {
    to_receiver: VecDeque<Vec<u8>>,
    to_sender: VecDeque<Vec<u8>>,
    is_cut: bool,
}

/// Where one side stands.
struct Stand {
    keys: BTreeMap<u32, Keys>,
    /// The generation that it writes to.
    writes: u32,
    /// Whether it has noticed that both sides have to meet again.
    is_lost: bool,
}

/// Both ends and every generation that was opened.
pub(crate) struct Lanes {
    pub(crate) pair: Pair,
    paths: BTreeMap<u32, Lane>,
    sender: Stand,
    receiver: Stand,
    highest: u32,
    /// Sealed bytes of the sender that hold bytes of files, over all generations.
    pub(crate) sent: u64,
    /// How often both sides had to meet again.
    pub(crate) meetings: u32,
    /// How often a side had to exchange where to go on.
    pub(crate) restarts: u32,
}

/// Longest record that holds no bytes of files here.
const SHORT: usize = 512;

impl Lanes {
    /// Two ends that have opened the first generation.
    pub(crate) fn new(mut pair: Pair) -> Self {
        pair.sender.is_slow = true;
        pair.sender.keys = None;
        pair.receiver.keys = None;
        let stand = || Stand { keys: BTreeMap::new(), writes: 0, is_lost: false };
        let mut lanes = Self {
            pair,
            paths: BTreeMap::new(),
            sender: stand(),
            receiver: stand(),
            highest: 0,
            sent: 0,
            meetings: 0,
            restarts: 0,
        };
        lanes.meet();
        lanes
    }

    /// Both sides meet again: everything there was is gone, the next generation is open.
    pub(crate) fn meet(&mut self) {
        self.meetings += 1;
        let number = self.prepare();
        self.paths.retain(|other, _| *other == number);
        for stand in [&mut self.sender, &mut self.receiver] {
            stand.keys.retain(|other, _| *other == number);
            (stand.writes, stand.is_lost) = (number, false);
        }
        self.pair.sender.crossing = Some(Crossing::new(Role::Sender, number));
        self.pair.receiver.crossing = Some(Crossing::new(Role::Receiver, number));
        self.pair.restart_sender();
        self.pair.restart_receiver();
    }

    /// A path on which both sides have proved themselves; neither knows yet that the other has.
    pub(crate) fn prepare(&mut self) -> u32 {
        self.highest += 1;
        let (keys_s, keys_r) = open_generation(&self.pair.sessions, self.highest).unwrap();
        assert!(self.sender.keys.insert(self.highest, keys_s).is_none(), "keys are made once");
        self.receiver.keys.insert(self.highest, keys_r);
        self.paths.insert(self.highest, Lane::default());
        self.highest
    }

    /// One side learns that the generation is open.
    pub(crate) fn open(&mut self, role: Role, generation: u32) -> bool {
        let is_taken = self.crossing(role).handle_open(generation);
        self.obey(role);
        is_taken
    }

    /// The path dies with everything on it; either side notices by itself.
    pub(crate) fn cut(&mut self, generation: u32) {
        let lane = self.paths.get_mut(&generation).unwrap();
        *lane = Lane { is_cut: true, ..Lane::default() };
    }

    /// One side notices that a path is dead.
    pub(crate) fn notice(&mut self, role: Role, generation: u32) {
        if self.crossing(role).current() == generation {
            self.crossing(role).handle_lost();
        } else {
            self.crossing(role).handle_next_lost();
        }
        self.obey(role);
    }

    /// Delivers a record to a side, from the generation that it reads; whether there was one.
    pub(crate) fn deliver(&mut self, role: Role) -> bool {
        self.speak();
        let crossing = self.crossing(role);
        let (current, reads) = (crossing.current(), crossing.reads());
        let Some(lane) = self.paths.get_mut(&current).filter(|_| reads) else { return false };
        let queue = if role == Role::Sender { &mut lane.to_sender } else { &mut lane.to_receiver };
        let Some(record) = queue.pop_front() else { return false };
        match role {
            Role::Sender => {
                self.pair.sender.keys = self.sender.keys.remove(&current);
                self.pair.sender.take(record);
                self.sender.keys.extend(self.pair.sender.keys.take().map(|keys| (current, keys)));
            }
            Role::Receiver => {
                self.pair.receiver.keys = self.receiver.keys.remove(&current);
                let mut out = VecDeque::new();
                let writes = self.receiver.writes;
                let answers = self.pair.receiver.take_silently(record);
                self.receiver.keys.extend(self.pair.receiver.keys.take().map(|keys| (current, keys)));
                self.with_receiver(writes, |receiver| {
                    for message in &answers {
                        receiver.seal(message, &mut out);
                    }
                });
                self.put(Role::Receiver, writes, out);
            }
        }
        while self.pair.receiver.write_one() {}
        self.obey(role);
        self.speak();
        true
    }

    /// Lets both sides say what they have to.
    pub(crate) fn speak(&mut self) {
        let mut out = VecDeque::new();
        let writes = self.sender.writes;
        self.pair.sender.keys = self.sender.keys.remove(&writes);
        // A sender that has yet to hear of a restart goes by what it was granted before; the receiver counts.
        self.pair.sender.speak(u64::MAX, &mut out);
        self.sender.keys.extend(self.pair.sender.keys.take().map(|keys| (writes, keys)));
        self.put(Role::Sender, writes, out);
        let (theirs, mut answers) = (self.receiver.writes, VecDeque::new());
        self.with_receiver(theirs, |receiver| receiver.act(&[], &mut answers));
        self.put(Role::Receiver, theirs, answers);
    }

    /// Whether a side has seen that there is no way on.
    pub(crate) fn is_lost(&self) -> bool {
        self.sender.is_lost || self.receiver.is_lost
    }

    /// The generation that a side reads.
    pub(crate) fn current(&mut self, role: Role) -> u32 {
        self.crossing(role).current()
    }

    /// Whether a path is dead.
    pub(crate) fn is_cut(&self, generation: u32) -> bool {
        self.paths.get(&generation).is_none_or(|lane| lane.is_cut)
    }

    fn with_receiver(&mut self, writes: u32, act: impl FnOnce(&mut super::pair::ReceivingEnd)) {
        self.pair.receiver.keys = self.receiver.keys.remove(&writes);
        act(&mut self.pair.receiver);
        self.receiver.keys.extend(self.pair.receiver.keys.take().map(|keys| (writes, keys)));
    }

    fn put(&mut self, role: Role, generation: u32, records: VecDeque<Vec<u8>>) {
        if role == Role::Sender {
            self.sent += records
                .iter()
                .filter(|record| record.len() > SHORT)
                .map(|record| record.len() as u64)
                .sum::<u64>();
        }
        let Some(lane) = self.paths.get_mut(&generation).filter(|lane| !lane.is_cut) else { return };
        match role {
            Role::Sender => lane.to_receiver.extend(records),
            Role::Receiver => lane.to_sender.extend(records),
        }
    }

    /// Does what a side's crossing says.
    fn obey(&mut self, role: Role) {
        while let Some(output) = self.crossing(role).poll_output() {
            match output {
                Output::Leave { next } => {
                    // Everything that is queued goes before.
                    self.speak();
                    self.say_switch(role, next);
                    self.stand(role).writes = next;
                }
                Output::Arrive => {}
                Output::Restart { mark } => {
                    self.restarts += 1;
                    let current = self.crossing(role).current();
                    self.stand(role).writes = current;
                    if let Some(mark) = mark {
                        self.say_switch(role, mark);
                    }
                    match role {
                        Role::Sender => self.pair.restart_sender(),
                        Role::Receiver => self.pair.restart_receiver(),
                    }
                }
                Output::Lost => self.stand(role).is_lost = true,
            }
        }
    }

    fn say_switch(&mut self, role: Role, next: u32) {
        let writes = self.stand(role).writes;
        let plaintext = encode(&[Message::Switch { next }]);
        let Some((sealer, _)) = self.stand(role).keys.get_mut(&writes) else { return };
        let record = seal(sealer, &plaintext);
        self.put(role, writes, [record].into());
    }

    fn stand(&mut self, role: Role) -> &mut Stand {
        if role == Role::Sender { &mut self.sender } else { &mut self.receiver }
    }

    fn crossing(&mut self, role: Role) -> &mut Crossing {
        let crossing = match role {
            Role::Sender => &mut self.pair.sender.crossing,
            Role::Receiver => &mut self.pair.receiver.crossing,
        };
        crossing.as_mut().unwrap()
    }
}
