//! `rendezvous`: the meeting point of `send`, as a server of its own.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use rendezvous::{Config, Server};
use tikv_jemallocator::Jemalloc;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// The meeting point of `send`: pairs two sides and passes on what it cannot read.
///
/// Every setting of the configuration file is also an environment variable: `code_ttl` in the table `times` is
/// `RENDEZVOUS_TIMES__CODE_TTL`. A flag wins over the environment, that over the file.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen, as ADDRESS:PORT; port 0 takes any free one [default: [::]:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Configuration file, in TOML
    #[arg(long, value_name = "FILE", env = "RENDEZVOUS_CONFIG")]
    config: Option<PathBuf>,
    /// Where to answer /metrics and /stats, as ADDRESS:PORT: not for the public [default: nowhere]
    #[arg(long, value_name = "ADDR")]
    metrics_listen: Option<SocketAddr>,
    /// Certificate to speak TLS with, in PEM, with those between it and an authority behind it; read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Network whose X-Forwarded-For is believed, such as 10.0.0.0/8; may be repeated
    #[arg(long = "trusted-proxy", value_name = "NET")]
    trusted_proxies: Vec<String>,
    /// Origin of a page that may connect from elsewhere, such as <https://drop.example.org>; may be repeated
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    allowed_origins: Vec<String>,
    /// STUN server that pairs are told about, such as stun:stun.example.org:3478; may be repeated
    #[arg(long = "stun", value_name = "URL")]
    stun: Vec<String>,
    /// Where to answer STUN over UDP, as ADDRESS:PORT, so that pairs find a path through their routers; may be repeated
    #[arg(long = "stun-listen", value_name = "ADDR")]
    stun_listen: Vec<SocketAddr>,
    /// TURN server for pairs that find no path, such as turn:turn.example.org:3478; may be repeated
    #[arg(long = "turn-url", value_name = "URL")]
    turn_urls: Vec<String>,
    /// File with the secret that the TURN servers share with this one; or `RENDEZVOUS_TURN_SECRET`
    #[arg(long, value_name = "FILE")]
    turn_secret_file: Option<PathBuf>,
    /// Do not pass on sealed records for pairs that find no other path
    #[arg(long)]
    no_record_relay: bool,
    /// Redis or Valkey that several instances share their sessions through, such as <redis://127.0.0.1:6379>; `rediss:`
    /// is TLS, `unix:` a socket. With a password, better in the environment (`RENDEZVOUS_REDIS`)
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// File with the certificates of the authorities that may vouch for it, in PEM [default: the public ones]
    #[arg(long, value_name = "FILE")]
    redis_ca_file: Option<PathBuf>,
    /// What clients must know to create a session. In the environment (`RENDEZVOUS_TOKEN`) it is out of sight of `ps`
    #[arg(long, value_name = "SECRET")]
    token: Option<String>,
    /// Any other setting, as in the file: `--set limits.claims='"10/min burst 5"'`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// How to write logs, to the standard error; `RUST_LOG` says which
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Ask the server that runs with these settings whether it is well, and exit with 0 or 1
    #[arg(long)]
    healthcheck: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut stderr = io::stderr().lock();
            // There is nowhere left to complain to.
            let _ = report(&mut stderr, error.as_ref());
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let config = Config::load(args.config.as_deref(), std::env::vars(), flags(args)?)?;
    if args.healthcheck {
        return Ok(rendezvous::healthcheck(&config)?);
    }
    log(args.log_format);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    let mut stop = StopSignal::new()?;
    let server = Server::bind(config).await?;
    let address = server.local_addr();
    writeln!(io::stdout(), "{address}")?;
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    if let Some(metrics) = server.metrics_addr() {
        tracing::info!(address = %metrics, "answering the operator");
    }
    for stun in server.stun_addrs() {
        tracing::info!(address = %stun, "answering STUN");
    }
    let handle = server.handle();
    let serving = tokio::spawn(server.serve());
    stop.wait().await;
    tracing::info!(sockets = handle.rendezvous().socket_count(), "stopping");
    handle.shutdown(SHUTDOWN_DEADLINE).await;
    serving.await?;
    Ok(())
}

/// The flags as the settings they stand for; `--set` first, so that a flag of its own name wins.
fn flags(args: &Args) -> Result<Vec<toml::Table>, Box<dyn Error>> {
    let mut settings = Vec::new();
    for setting in &args.settings {
        settings.push(setting.parse().map_err(|_| format!("`--set {setting}` is not KEY=VALUE"))?);
    }
    let mut set =
        |key: &str, value: toml::Value| settings.push(toml::Table::from_iter([(key.to_owned(), value)]));
    if let Some(listen) = args.listen {
        set("listen", listen.to_string().into());
    }
    if let Some(address) = args.metrics_listen {
        set("metrics_listen", address.to_string().into());
    }
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        let text = |path: &PathBuf| path.to_str().map(toml::Value::from).ok_or("a path has to be UTF-8");
        let files = [("certificate".to_owned(), text(certificate)?), ("key".to_owned(), text(key)?)];
        set("tls", toml::Value::Table(files.into_iter().collect()));
    }
    if let Some(redis) = &args.redis {
        set("redis", redis.clone().into());
    }
    if let Some(path) = &args.redis_ca_file {
        set("redis_ca_file", path.to_str().ok_or("a path has to be UTF-8")?.into());
    }
    if let Some(token) = &args.token {
        set("token", token.clone().into());
    }
    if !args.trusted_proxies.is_empty() {
        set("trusted_proxies", args.trusted_proxies.clone().into());
    }
    if !args.allowed_origins.is_empty() {
        set("allowed_origins", args.allowed_origins.clone().into());
    }
    if !args.stun_listen.is_empty() {
        set("stun_listen", args.stun_listen.iter().map(ToString::to_string).collect::<Vec<_>>().into());
    }
    if !args.turn_urls.is_empty() {
        set("turn_urls", args.turn_urls.clone().into());
    }
    if let Some(path) = &args.turn_secret_file {
        set("turn_secret_file", path.to_str().ok_or("a path has to be UTF-8")?.into());
    }
    if args.no_record_relay {
        set("record_relay", false.into());
    }
    if !args.stun.is_empty() {
        let server = toml::Table::from_iter([("urls".to_owned(), args.stun.clone().into())]);
        set("ice_servers", vec![toml::Value::Table(server)].into());
    }
    Ok(settings)
}

fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    match format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().init(),
    }
}

fn report(out: &mut impl Write, error: &dyn Error) -> io::Result<()> {
    writeln!(out, "error: {error}")?;
    let mut cause = error.source();
    while let Some(inner) = cause {
        writeln!(out, "  caused by: {inner}")?;
        cause = inner.source();
    }
    Ok(())
}

/// SIGTERM, as container runtimes send it, and Ctrl-C.
struct StopSignal {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl StopSignal {
    fn new() -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            terminate: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?,
        })
    }

    #[cfg(unix)]
    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    }

    #[cfg(not(unix))]
    async fn wait(&mut self) {
        // Without a signal to wait for, the process ends when it is ended.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// How long clients have to say goodbye: less than the 10 s after which container runtimes kill.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(8);
