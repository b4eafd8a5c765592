//! What the kernel's TCP makes of a link: the yardstick of everybody who sends over it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::net::sockopt::{set_socket_linger, set_tcp_congestion};

use crate::netlab::Link;

/// Bytes written at a time.
const CHUNK_LEN: usize = 65_536;

/// After which a thread that can neither read nor write looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);

/// Connections from the near to the far machine that carry as much as they can, ended with this value.
pub(crate) struct Flows {
    received: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Flows {
    /// `count` of them, under the congestion control that the kernel calls `control`.
    pub(crate) fn start(link: &Link, control: &str, count: usize) -> Result<Self> {
        let mut flows = Self { received: Arc::default(), is_over: Arc::default(), threads: Vec::new() };
        let listener = link.far.inside(|| TcpListener::bind((Link::FAR, 0)))?;
        let address = listener.local_addr()?;
        for _ in 0..count {
            // A connection stays in the network in which it was made, whichever thread uses it.
            let sending = link.near.inside(|| TcpStream::connect(address))?;
            set_tcp_congestion(&sending, control).with_context(|| format!("no {control} in this kernel"))?;
            set_socket_linger(&sending, Some(Duration::ZERO))?;
            let (receiving, _) = listener.accept()?;
            sending.set_write_timeout(Some(LOOK))?;
            receiving.set_read_timeout(Some(LOOK))?;
            let [stop_pouring, stop_draining] = [(); 2].map(|()| Arc::clone(&flows.is_over));
            let received = Arc::clone(&flows.received);
            flows.threads.push(thread::spawn(move || pour(sending, &stop_pouring)));
            flows.threads.push(thread::spawn(move || drain(receiving, &stop_draining, &received)));
        }
        Ok(flows)
    }

    /// Bytes that have come out.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

impl Drop for Flows {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// MB/s of `count` connections, from their beginning on.
pub(crate) fn tcp(link: &Link, control: &str, count: usize, time: Duration) -> Result<f64> {
    let begun = Instant::now();
    let flows = Flows::start(link, control, count)?;
    thread::sleep(time);
    Ok(flows.received() as f64 / 1e6 / begun.elapsed().as_secs_f64())
}

fn pour(mut stream: TcpStream, is_over: &AtomicBool) {
    let chunk = vec![0; CHUNK_LEN];
    while !is_over.load(Ordering::Relaxed) {
        if stream.write(&chunk).is_err_and(|error| is_final(error.kind())) {
            return;
        }
    }
}

fn drain(mut stream: TcpStream, is_over: &AtomicBool, received: &AtomicU64) {
    let mut chunk = vec![0; CHUNK_LEN];
    while !is_over.load(Ordering::Relaxed) {
        match stream.read(&mut chunk) {
            Ok(0) => return,
            Ok(len) => _ = received.fetch_add(len as u64, Ordering::Relaxed),
            Err(error) if is_final(error.kind()) => return,
            Err(_) => {}
        }
    }
}

fn is_final(kind: ErrorKind) -> bool {
    !matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
