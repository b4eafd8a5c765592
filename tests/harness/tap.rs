//! A wire tap between clients and a server.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Passes TCP connections on to a server and keeps a copy of every byte, for as long as the tests run.
pub(crate) struct Tap {
    address: SocketAddr,
    streams: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tap {
    /// A tap in front of `server`, a `host:port`.
    pub(crate) fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let streams = Arc::default();
        let (server, recorded) = (server.to_owned(), Arc::clone(&streams));
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let Ok(upstream) = TcpStream::connect(&server) else { continue };
                let ends = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
                pass_on(client, upstream, Arc::clone(&recorded));
                pass_on(ends.1, ends.0, Arc::clone(&recorded));
            }
        });
        Self { address, streams }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as users write the server's.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What went one way through one connection so far, for every connection and both ways.
    pub(crate) fn streams(&self) -> Vec<Vec<u8>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Copies until either end is gone. What is recorded is recorded before the other end can act on it.
fn pass_on(mut from: TcpStream, mut to: TcpStream, streams: Arc<Mutex<Vec<Vec<u8>>>>) {
    let index = {
        let mut streams = streams.lock().unwrap();
        streams.push(Vec::new());
        streams.len() - 1
    };
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            streams.lock().unwrap()[index].extend_from_slice(&buffer[..len]);
            if to.write_all(&buffer[..len]).is_err() {
                break;
            }
        }
        // The other end may be gone already.
        let _ = to.shutdown(Shutdown::Both);
    });
}
