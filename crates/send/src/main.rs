//! Parses, resolves, runs, and turns the outcome into an exit status.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use send::cli::{self, Args, CodeSource, Command};
use send::commands::{self, Error, Kept};
use send::config::{Config, Layer};
use send::report::{Ask as _, Event, Reporter as _, Warning};
use send::ui::{Streams, Ui};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let var = |name: &str| std::env::var_os(name);
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    let config = match Config::load(args.layer(), args.config_file(), &var) {
        Ok(config) => config,
        Err(error) => return fail(&Error::Config(error)),
    };
    let command = match args.into_command(|path| path.symlink_metadata().is_ok(), &var) {
        Ok(command) => command,
        Err(error) => return usage(&error),
    };
    match command {
        Command::Completions(shell) => return print(&cli::completions(shell)),
        Command::Manual => return cli::manual().map_or(ExitCode::FAILURE, |page| print(&page)),
        Command::Send(_) | Command::Receive(_) | Command::Doctor | Command::Serve => {}
    }
    log(config.verbosity);
    let ui = Ui::new(&config, Streams::of_process());
    let outcome = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(run(command, &config, &ui)),
        Err(error) => Err(Error::System { doing: "start a thread", source: error.into() }),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui.fail(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(command: Command, config: &Config, ui: &Ui) -> Result<(), Error> {
    let cancel = CancellationToken::new();
    let interrupt = cancel.clone();
    let mut interrupts = Interrupts::listen();
    let watching = tokio::spawn(async move {
        interrupts.next().await;
        interrupt.cancel();
        // Whoever asks twice does not want to wait for goodbyes.
        interrupts.next().await;
        quit();
    });
    let outcome = match command {
        Command::Send(paths) => Box::pin(commands::send::run(paths, config, ui, &cancel)).await,
        Command::Doctor => commands::doctor::run(config, ui, &cancel).await,
        Command::Serve => commands::serve::run(config, ui, &cancel).await,
        Command::Receive(source) => receive(source, config, ui, &cancel).await,
        Command::Completions(_) | Command::Manual => Ok(()),
    };
    watching.abort();
    outcome
}

async fn receive(
    source: CodeSource,
    config: &Config,
    ui: &Ui,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    let secret = match source {
        CodeSource::Argument(secret) => {
            // A code is good for one use and a few minutes, and worthless once used; a link is what a code protects from.
            if secret.expose().contains("://") {
                ui.report(Event::Warning(Warning::SecretOnCommandLine));
            }
            secret
        }
        CodeSource::Environment(code) => code,
        CodeSource::Prompt => tokio::select! {
            code = ui.code() => code?,
            () = cancel.cancelled() => return Err(Error::Interrupted { kept: Kept::default() }),
        },
    };
    Box::pin(commands::receive::run(secret, config, (ui, ui), cancel)).await
}

/// Ctrl-C, and being told to end. Listened to from the moment this is made: whoever sees a prompt may press it.
#[cfg(unix)]
struct Interrupts {
    signals: [Option<tokio::signal::unix::Signal>; 2],
}

#[cfg(unix)]
impl Interrupts {
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self { signals: [SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).ok()) }
    }

    /// Waits for the next one. A process that cannot be told goes on.
    async fn next(&mut self) {
        let [interrupt, terminate] = &mut self.signals;
        tokio::select! {
            () = told(interrupt) => {}
            () = told(terminate) => {}
        }
    }
}

#[cfg(unix)]
async fn told(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

#[cfg(not(unix))]
struct Interrupts;

#[cfg(not(unix))]
impl Interrupts {
    fn listen() -> Self {
        Self
    }

    /// Waits for the next one. A process that cannot be told goes on.
    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Ends at once.
#[expect(clippy::exit, reason = "the second Ctrl-C waits for nothing")]
fn quit() -> ! {
    std::process::exit(130)
}

/// Writes what was asked for to standard output. A pager that was left early has no use for the rest.
fn print(text: &[u8]) -> ExitCode {
    let written = std::io::stdout().write_all(text);
    ExitCode::from(u8::from(written.is_err_and(|error| error.kind() != std::io::ErrorKind::BrokenPipe)))
}

/// Help, version and wrong usage, as clap words and colours them.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell when the terminal is gone.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

/// Fails before the configuration is known.
fn fail(error: &Error) -> ExitCode {
    let nothing = || Layer::default();
    if let Ok(defaults) = Config::resolve(nothing(), nothing(), nothing()) {
        Ui::new(&defaults, Streams::of_process()).fail(error);
    }
    ExitCode::from(error.exit_code())
}

/// Logs to standard error what `RUST_LOG` asks for, else what `-v` asks for, else nothing.
fn log(verbosity: u8) {
    let level = match verbosity {
        0 => "off",
        1 => "send=info",
        2 => "send=debug,wire=debug",
        _ => "send=trace,wire=trace,webrtc=debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
