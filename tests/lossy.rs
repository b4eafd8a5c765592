//! A link over which packets are lost, late and too many.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::harness::{Machine, Rendezvous, content};
use crate::netlab::{Link, Wire};

/// Enough for some losses, in bytes.
const LEN: usize = 1_000_000;

#[test]
fn a_file_arrives_as_it_was_sent_over_a_link_that_loses_packets() {
    let faultless = Wire::new(50_000_000, Duration::from_millis(20));
    let wire = Wire { loss: 0.01, burst: 2.0, jitter: Duration::from_millis(5), ..faultless };
    let Some(link) = Link::new(wire, 1) else { return };
    let server = Rendezvous::start_inside_with(&link.near, &format!("{}:0", Link::NEAR), &[]);
    let [near, far] = [&link.near, &link.far].map(|space| Machine::with_server(&server).inside(space));
    near.write("a.bin", &content(LEN));
    let mut sending = near.start(&["a.bin"]);
    let code = sending.code();
    far.start(&["receive", &code, "--yes"]).end().succeeded();
    sending.end().succeeded();
    assert_eq!(far.read("a.bin"), content(LEN));
    let [there, back] = [&link.outwards, &link.homewards].map(|counts| counts.lost.load(Ordering::Relaxed));
    assert!(there > 0 && back > 0, "{there} packets of the file were lost, {back} of the answers");
}
