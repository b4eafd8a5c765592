//! What this machine can do at all: the ceilings that a transfer is compared with.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};
use chacha20poly1305::aead::{AeadInPlace as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use sha2::{Digest as _, Sha256};

/// Bytes handled at a time: one chunk.
const CHUNK_LEN: usize = 65_536;

/// One TCP connection over loopback, memory to memory, in MB/s.
pub(crate) fn tcp(size: u64) -> Result<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let sending = thread::spawn(move || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        let chunk = vec![7; CHUNK_LEN];
        for _ in 0..size / CHUNK_LEN as u64 {
            stream.write_all(&chunk)?;
        }
        Ok(())
    });
    let (mut stream, _) = listener.accept()?;
    let started = Instant::now();
    let (mut chunk, mut received) = (vec![0; CHUNK_LEN], 0_u64);
    loop {
        let len = stream.read(&mut chunk)?;
        if len == 0 {
            break;
        }
        received += len as u64;
    }
    let seconds = started.elapsed().as_secs_f64();
    sending.join().map_err(|_| anyhow!("the sending thread panicked"))??;
    Ok(received as f64 / 1e6 / seconds)
}

/// SHA-256 and ChaCha20-Poly1305 over the same bytes on one core, in MB/s: what sealing costs without any transport.
pub(crate) fn hash_and_seal(size: u64) -> f64 {
    let cipher = ChaCha20Poly1305::new(&Key::from([7; 32]));
    let mut hasher = Sha256::new();
    let mut chunk = vec![7; CHUNK_LEN];
    let rounds = (size / CHUNK_LEN as u64).min(4_096);
    let started = Instant::now();
    for round in 0..rounds {
        hasher.update(&chunk);
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&round.to_be_bytes());
        let sealed = cipher.encrypt_in_place_detached(&Nonce::from(nonce), b"", &mut chunk);
        std::hint::black_box(sealed.is_ok());
    }
    std::hint::black_box(hasher.finalize());
    (rounds * CHUNK_LEN as u64) as f64 / 1e6 / started.elapsed().as_secs_f64()
}
