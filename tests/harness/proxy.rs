//! A proxy as offices have one: it opens tunnels (CONNECT) and counts them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::netlab::Namespace;

/// A proxy on a port of its own in a network of a laboratory. Its threads end with their connections, or with the tests.
pub(crate) struct Proxy {
    address: SocketAddr,
    asked_for: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts it at `host` in `space`.
    pub(crate) fn start(space: &Namespace, host: &str) -> Self {
        let listener = space.inside(|| TcpListener::bind((host, 0)).unwrap());
        let address = listener.local_addr().unwrap();
        let asked_for = Arc::new(Mutex::new(Vec::new()));
        let (space, record) = (space.clone(), Arc::clone(&asked_for));
        thread::spawn(move || {
            space.inside(|| {
                for client in listener.incoming().flatten() {
                    let record = Arc::clone(&record);
                    // In the network of the thread that starts it.
                    thread::spawn(move || tunnel(client, &record));
                }
            });
        });
        Self { address, asked_for }
    }

    /// Its address, as users write it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What tunnels were asked for, as `host:port`.
    pub(crate) fn asked_for(&self) -> Vec<String> {
        self.asked_for.lock().unwrap().clone()
    }
}

/// Reads the request of one client, and then passes on what both sides say.
fn tunnel(mut client: TcpStream, record: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    record.lock().unwrap().push(target.to_owned());
    let mut server = TcpStream::connect(target)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)
}
