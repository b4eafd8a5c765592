//! The channel, and the records that travel on it.

use crate::generation::AwaitingSender;
use crate::message::Message;
use crate::record::{HEADER_LEN, Opener, Sealer, TAG_LEN};

use super::super::output::{self, Output};
use super::Session;

/// The channel.
#[derive(Debug)]
pub(super) enum Path {
    Closed,
    Opening(Box<AwaitingSender>),
    Open(Box<(Sealer, Opener)>),
}

impl Session {
    /// Opens a record in place and does what it says.
    pub(super) fn take_record(&mut self, record: &mut [u8]) {
        let record_len = record.len();
        match std::mem::replace(&mut self.path, Path::Closed) {
            Path::Opening(waiting) => match waiting.receive(record) {
                Ok(halves) => {
                    self.path = Path::Open(Box::new(halves));
                    self.machine.handle_generation();
                    self.work(&[]);
                }
                Err(_) => self.fail("unverified"),
            },
            Path::Open(mut halves) => {
                let Ok(plaintext) = halves.1.open(record) else { return self.fail("violation") };
                self.path = Path::Open(halves);
                let handled = self.machine.handle_record(plaintext, record_len);
                if self.work(plaintext) {
                    self.outbox.push_back(Output::Written { len: record_len });
                }
                if let Err(error) = handled {
                    self.fail(output::transfer(error));
                }
            }
            Path::Closed => {}
        }
    }

    pub(super) fn send(&mut self, message: &Message<'_>) {
        let Path::Open(halves) = &mut self.path else { return };
        let mut record = vec![0; HEADER_LEN];
        message.encode_into(&mut record);
        record.resize(record.len() + TAG_LEN, 0);
        if halves.0.seal(&mut record).is_ok() {
            self.transmit(record);
        }
    }

    pub(super) fn transmit(&mut self, record: Vec<u8>) {
        self.records.push_back(record);
        self.outbox.push_back(Output::Transmit);
    }
}
