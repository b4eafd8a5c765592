//! What this machine can do at all: the ceilings that a transfer is compared with.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use bytes::BytesMut;
use chacha20poly1305::aead::{AeadInPlace as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use send::transport::webrtc::{Negotiation, NegotiationEvent, PeerConfig, Role};
use send::transport::{MAX_MESSAGE_LEN, Transport};
use sha2::{Digest as _, Sha256};

/// Bytes handled at a time: one chunk.
const CHUNK_LEN: usize = 65_536;

/// Bytes below which nothing but the beginning would be measured.
pub(crate) const SMALLEST: u64 = 10_000_000;

/// How long a process of others may take to be ready.
const PATIENCE: Duration = Duration::from_secs(20);

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

/// A data channel of `send` between two threads of this process, with messages of a record each and nothing above it, in MB/s.
pub(crate) fn transport(size: u64) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut left, mut right) = runtime.block_on(connect())?;
    let count = size / MAX_MESSAGE_LEN as u64;
    let started = Instant::now();
    let sending = thread::spawn(move || -> Result<()> {
        for _ in 0..count {
            left.sender.blocking_send(BytesMut::zeroed(MAX_MESSAGE_LEN))?;
        }
        Ok(left.sender.blocking_close()?)
    });
    for _ in 0..count {
        right.receiver.blocking_recv()?;
    }
    let seconds = started.elapsed().as_secs_f64();
    sending.join().map_err(|_| anyhow!("the sending thread panicked"))??;
    Ok((count * MAX_MESSAGE_LEN as u64) as f64 / 1e6 / seconds)
}

/// Two transports that are connected with each other.
async fn connect() -> Result<(Transport, Transport)> {
    let mut initiator = Negotiation::start(PeerConfig::new(Role::Initiator)).await?;
    let remote_description = initiator.local_description().to_owned();
    let mut responder = Negotiation::start(PeerConfig::new(Role::Responder { remote_description })).await?;
    initiator.set_remote_description(responder.local_description().to_owned()).await?;
    let (mut left, mut right) = (None, None);
    while left.is_none() || right.is_none() {
        tokio::select! {
            event = initiator.next_event(), if left.is_none() => left = obey(event, &responder).await?,
            event = responder.next_event(), if right.is_none() => right = obey(event, &initiator).await?,
        }
    }
    left.zip(right).context("not connected")
}

async fn obey(event: NegotiationEvent, other: &Negotiation) -> Result<Option<Transport>> {
    match event {
        NegotiationEvent::LocalCandidate { candidate, mid } => {
            other.add_remote_candidate(candidate, mid).await;
            Ok(None)
        }
        NegotiationEvent::EndOfCandidates => Ok(None),
        NegotiationEvent::Open(transport) => Ok(Some(transport)),
        NegotiationEvent::Failed(error) => Err(error.into()),
    }
}

/// The same file by magic-wormhole, whose programs are in `directory`, with a mailbox server of its own: MB/s of the receiver's
/// whole command.
pub(crate) fn wormhole(directory: &Path, payload: &Path, size: u64) -> Result<f64> {
    let scratch = tempfile::tempdir()?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let run = |program: &str, arguments: &[&str]| -> Result<Child> {
        let mut command = Command::new(directory.join(program));
        command.current_dir(scratch.path()).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().with_context(|| format!("{program} does not start"))
    };
    let listen = format!("tcp:{port}:interface=127.0.0.1");
    let mut server = run("twist", &["wormhole-mailbox", "--port", &listen])?;
    let begun = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        ensure!(begun.elapsed() < PATIENCE, "magic-wormhole's server does not start");
        thread::sleep(Duration::from_millis(20));
    }
    let relay = format!("ws://127.0.0.1:{port}/v1");
    // Nobody relays anything.
    let settings = ["--relay-url", &relay, "--transit-helper", "tcp:127.0.0.1:9"];
    let (code, path) = ("7-bench-mark", payload.to_str().context("no name")?);
    let flags = |more: &[&'static str]| [&settings[..], more].concat();
    let send = [&flags(&["send", "--hide-progress", "--code", code])[..], &[path]].concat();
    let mut sending = run("wormhole", &send)?;
    let started = Instant::now();
    let mut receiving =
        run("wormhole", &flags(&["receive", "--accept-file", "--hide-progress", "-o", "received", code]))?;
    let is_received = receiving.wait()?.success();
    let seconds = started.elapsed().as_secs_f64();
    if !is_received {
        sending.kill()?;
    }
    sending.wait()?;
    server.kill()?;
    server.wait()?;
    ensure!(is_received, "magic-wormhole received nothing");
    Ok(size as f64 / 1e6 / seconds)
}
