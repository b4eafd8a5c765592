//! The configurations of `deploy/` for reverse proxies, with the proxies themselves.
//!
//! Only what is of this machine is exchanged in them: addresses, ports, and where the certificate is.

#![allow(clippy::unwrap_used, reason = "a test's helper fails as its test does")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod common;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Client, TestServer, certificate, encrypted, get_over};
use rendezvous::{Config, TlsFiles};
use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio::time::{Instant, sleep};
use tokio_rustls::client::TlsStream;

/// A proxy before a server, both ended with this value.
struct Proxied {
    proxy: Child,
    port: u16,
    files: TlsFiles,
    _directory: TempDir,
    _server: TestServer,
}

impl Drop for Proxied {
    fn drop(&mut self) {
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

impl Proxied {
    /// Starts what `configure` says, given a directory of its own, the port, the server, and the certificate.
    async fn start(configure: impl Fn(&Path, u16, SocketAddr, &TlsFiles) -> Command) -> Self {
        let mut config = Config::default();
        config.limits.sockets_per_client = 1;
        config.trusted_proxies.push("127.0.0.1/32".parse().unwrap());
        let server = TestServer::start(config).await;
        let (directory, files) = certificate();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = configure(directory.path(), port, server.addr, &files);
        let proxy = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut proxied = Self { proxy, port, files, _directory: directory, _server: server };
        proxied.wait().await;
        proxied
    }

    async fn wait(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.connect(1).await.is_err() {
            assert!(Instant::now() < deadline, "the proxy does not answer");
            assert!(self.proxy.try_wait().unwrap().is_none(), "the proxy ended");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Connects from 127.0.0.`host`.
    async fn connect(&self, host: u8) -> std::io::Result<TlsStream<tokio::net::TcpStream>> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, host], 0)))?;
        let stream = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).await?;
        encrypted(stream, &self.files).await
    }

    async fn upgrade(
        &self,
        host: u8,
        headers: &[(&'static str, &str)],
    ) -> Result<Client<TlsStream<tokio::net::TcpStream>>, u16> {
        let url = format!("wss://localhost:{}/v1/socket", self.port);
        Client::upgrade(self.connect(host).await.unwrap(), &url, headers).await
    }

    /// Everything that a proxy has to get right.
    async fn check(self) {
        let own = format!("https://localhost:{}", self.port);
        let mut page = self.upgrade(2, &[("origin", &own)]).await.unwrap();
        page.create().await;
        let forged = self.upgrade(2, &[("x-forwarded-for", "203.0.113.9")]).await;
        assert_eq!(forged.map(|_| ()), Err(429), "whoever forges an address has its own");
        let mut other = self.upgrade(3, &[]).await.expect("another address is another client");
        other.create().await;
        let elsewhere = self.upgrade(4, &[("origin", "https://evil.example")]).await;
        assert_eq!(elsewhere.map(|_| ()), Err(403));
        let plain = format!("http://localhost:{}", self.port);
        let without_tls = self.upgrade(4, &[("origin", &plain)]).await;
        assert_eq!(without_tls.map(|_| ()), Err(403), "the proxy says that there is TLS");
        let (status, body) = get_over(self.connect(5).await.unwrap(), "/healthz").await;
        assert_eq!(status, 200, "{body}");
    }
}

/// Whether the program is here; where it has to be, its absence is a failure.
fn is_here(program: &str, argument: &str) -> bool {
    let found =
        Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    assert!(found || std::env::var("CI").is_err(), "{program} is missing");
    if !found {
        eprintln!("skipped: {program} is missing");
    }
    found
}

fn deployed(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)).unwrap()
}

/// `text` with each of the first exchanged for the second; all of them have to be there.
fn exchange(mut text: String, pairs: &[(&str, String)]) -> String {
    for (old, new) in pairs {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    text
}

#[tokio::test]
async fn nginx_passes_sockets_on_and_says_whose_they_are() {
    if !is_here("nginx", "-v") {
        return;
    }
    let configure = |directory: &Path, port: u16, server: SocketAddr, files: &TlsFiles| {
        let site = exchange(
            deployed("nginx.conf"),
            &[
                ("listen 443 ssl", format!("listen 127.0.0.1:{port} ssl")),
                ("http://127.0.0.1:8080", format!("http://{server}")),
                ("/etc/ssl/drop.example.org/fullchain.pem", files.certificate.display().to_string()),
                ("/etc/ssl/drop.example.org/privkey.pem", files.key.display().to_string()),
            ],
        );
        let here = directory.display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {here}/{kind};\n"))
            .concat();
        let whole = format!(
            "daemon off; master_process off; pid {here}/pid; error_log {here}/error.log;\n\
             events {{}}\nhttp {{\naccess_log off;\n{temporary}{site}}}\n"
        );
        let file = directory.join("nginx.conf");
        fs::write(&file, whole).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(directory).arg("-c").arg(file);
        command
    };
    Proxied::start(configure).await.check().await;
}

#[tokio::test]
async fn caddy_passes_sockets_on_and_says_whose_they_are() {
    if !is_here("caddy", "version") {
        return;
    }
    let configure = |directory: &Path, port: u16, server: SocketAddr, files: &TlsFiles| {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        let site = format!("https://localhost:{port} {{\n\tbind 127.0.0.1\n\ttls {certificate} {key}\n");
        let site = exchange(
            deployed("Caddyfile"),
            &[
                ("drop.example.org {\n", site),
                ("reverse_proxy 127.0.0.1:8080", format!("reverse_proxy {server}")),
            ],
        );
        let file = directory.join("Caddyfile");
        fs::write(&file, format!("{{\n\tadmin off\n\tauto_https off\n}}\n{site}")).unwrap();
        let mut command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
        command.env("HOME", directory).env("XDG_DATA_HOME", directory).env("XDG_CONFIG_HOME", directory);
        command
    };
    Proxied::start(configure).await.check().await;
}
