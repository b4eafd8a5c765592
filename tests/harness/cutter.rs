//! A wire between clients and a server that breaks at a certain word.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Passes TCP connections on to a server, and breaks the first in which the server says a word for the `nth` time: what says it
/// is not passed on. The connections that follow hold.
pub(crate) struct Cutter {
    address: SocketAddr,
    has_cut: Arc<AtomicBool>,
}

impl Cutter {
    /// A wire to `server`, a `host:port`.
    pub(crate) fn before(server: &str, word: &'static str, nth: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let has_cut = Arc::new(AtomicBool::new(false));
        let (server, cut) = (server.to_owned(), Arc::clone(&has_cut));
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let Ok(upstream) = TcpStream::connect(&server) else { continue };
                let ends = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
                let cut = Arc::clone(&cut);
                thread::spawn(move || pass_on(client, upstream, |_| true));
                thread::spawn(move || {
                    let mut count = 0;
                    pass_on(ends.1, ends.0, |bytes| {
                        count += String::from_utf8_lossy(bytes).matches(word).count();
                        count < nth || cut.swap(true, Ordering::SeqCst)
                    });
                });
            }
        });
        Self { address, has_cut }
    }

    /// Its address, as `host:port`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Its address as users write the server's.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether it has broken a connection.
    pub(crate) fn has_cut(&self) -> bool {
        self.has_cut.load(Ordering::SeqCst)
    }
}

/// Copies until either end is gone, or `passes` says that it ends here.
fn pass_on(mut from: TcpStream, mut to: TcpStream, mut passes: impl FnMut(&[u8]) -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        if !passes(&buffer[..len]) || to.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    // Either end may be gone already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
