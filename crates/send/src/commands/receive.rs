//! `send receive [CODE]`: finds whoever shows the code, and receives.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;
use url::Url;
use wire::code::{Code, Nameplate};
use wire::keys::link_slot;
use wire::link::ShareLink;
use wire::signaling::Claim;

use super::serve::reach;
use super::{Error, Kept, failure, unless_cancelled};
use crate::config::{Config, Existing, Symlinks};
use crate::connect::{self, ConnectError, Met, Step};
use crate::discovery::{self, Announcer};
use crate::report::{Ask, Direction, Event, Reporter, Secret, Warning};
use crate::signaling::{CONNECT_DEADLINE, Connection};
use crate::storage::{self, OutputDir, Overwrite, SinkOptions};
use crate::transfer::{self, Failure, Receiving};
use crate::tried::{self, Tried};

/// How long the local network has to answer before the configured server is taken.
const HEARD_WINDOW: Duration = Duration::from_millis(300);

/// How long the local network has when there is no server. A responder may hold an answer back for a second (RFC 6762
/// §6), so this is that, three times.
const SEARCH_WINDOW: Duration = Duration::from_secs(3);

/// How long one address of a sender on the local network may take to answer.
const LOCAL_DEADLINE: Duration = Duration::from_secs(2);

/// Receives what the holder of `secret`'s other half offers.
///
/// # Errors
/// [`Error`], told to the sender as far as it can be reached. Cancelling `cancel` gives [`Error::Interrupted`].
pub async fn run(
    secret: Secret,
    config: &Config,
    (reporter, ask): (&dyn Reporter, &dyn Ask),
    cancel: &CancellationToken,
) -> Result<(), Error> {
    // The mask can only be read by setting it, so before any file is made.
    let umask = storage::process_umask();
    let output = std::path::absolute(&config.output).unwrap_or_else(|_| config.output.clone());
    // A directory that cannot be saved to should not cost the sender a code. It is opened again when there is an offer.
    OutputDir::open(&output).map_err(|error| failure::sink(error, Kept::default()))?;
    let met = unless_cancelled(cancel, Box::pin(meet(&secret, config, (reporter, ask)))).await?;
    reporter.report(Event::Paired);
    let opening = async {
        let opened = connect::open(met, reach(config)).await;
        opened.map_err(|error| failure::meeting(error, Direction::Receive, ""))
    };
    let opened = Box::pin(unless_cancelled(cancel, opening)).await?;
    reporter.report(transfer::connected(opened.0.lane.transport.path, config.policy.relay));
    let receiving = Receiving {
        output,
        options: SinkOptions {
            overwrite: match config.existing {
                Existing::KeepBoth => Overwrite::Never,
                Existing::Overwrite => Overwrite::Files,
            },
            symlinks: match config.symlinks {
                Symlinks::Skip => storage::Symlinks::Refuse,
                Symlinks::Keep => storage::Symlinks::Keep,
            },
            umask,
        },
        agreed: config.yes,
        restart: config.restart,
    };
    transfer::receive(opened, receiving, (reporter, ask), cancel).await.map_err(|failed| {
        let Failure { error, saved_count, file_count, partial } = failed;
        let kept = Kept { saved: saved_count, file_count, partial };
        failure::transfer(error, Direction::Receive, kept)
    })
}

/// What the user gave.
enum Ticket {
    Code(Code),
    Link(ShareLink),
}

/// A link says that it is one; everything else is a code.
fn parse(secret: &Secret) -> Result<Ticket, Error> {
    let text = secret.expose().trim();
    if text.contains("://") {
        let link = text.parse().map_err(|error: wire::link::ParseLinkError| Error::NotALink(error.into()))?;
        Ok(Ticket::Link(link))
    } else {
        Ok(Ticket::Code(text.parse()?))
    }
}

async fn meet(
    secret: &Secret,
    config: &Config,
    (reporter, ask): (&dyn Reporter, &dyn Ask),
) -> Result<Met, Error> {
    match parse(secret)? {
        Ticket::Link(link) => {
            let url: Url =
                link.origin().parse().map_err(|error: url::ParseError| Error::NotALink(error.into()))?;
            let slot = link_slot(link.password()).ok_or_else(|| Error::NotALink("no slot".into()))?;
            let failed = |error| failure::meeting(error, Direction::Receive, link.origin());
            let connection = Connection::connect(&url, CONNECT_DEADLINE).await;
            let connection = connection.map_err(|error| failed(ConnectError::Unreachable(error)))?;
            let tell = |step| tell_work(step, reporter);
            Box::pin(connect::claim(connection, Claim::Slot(slot), link.password(), tell))
                .await
                .map_err(failed)
        }
        Ticket::Code(code) => {
            let mut tried = open_tried(reporter);
            if tried.as_ref().is_some_and(|tried| tried.contains(&code, SystemTime::now())) {
                return Err(Error::AlreadyTried);
            }
            let (connection, server) = find(code.nameplate(), config, ask).await?;
            let tell = |step| {
                tell_work(step, reporter);
                if step == Step::Working {
                    return;
                }
                let remembered = tried.as_mut().map(|tried| tried.remember(&code, SystemTime::now()));
                if matches!(remembered, Some(Err(_))) {
                    reporter.report(Event::Warning(Warning::CodesNotRemembered));
                }
            };
            let at = Claim::Nameplate(code.nameplate());
            let met = Box::pin(connect::claim(connection, at, code.password(), tell)).await;
            met.map_err(|error| failure::meeting(error, Direction::Receive, &server))
        }
    }
}

fn tell_work(step: Step, reporter: &dyn Reporter) {
    if step == Step::Working {
        reporter.report(Event::Warning(Warning::ServerGuarded));
    }
}

/// The memory of codes that were tried, or a warning that there is none.
fn open_tried(reporter: &dyn Reporter) -> Option<Tried> {
    let opened = tried::default_directory().and_then(|directory| Tried::open(&directory).ok());
    if opened.is_none() {
        reporter.report(Event::Warning(Warning::CodesNotRemembered));
    }
    opened
}

/// Finds the one door to claim: that of a sender announced on the local network, else the configured server's. Both are
/// looked for at once; the code is tried at one of them only.
async fn find(nameplate: Nameplate, config: &Config, ask: &dyn Ask) -> Result<(Connection, String), Error> {
    let Some(server) = &config.server else {
        let announcers = discovery::find(nameplate, SEARCH_WINDOW).await.unwrap_or_default();
        return local(nameplate, announcers, ask).await;
    };
    let url = server.as_url();
    let (announcers, connection) =
        tokio::join!(discovery::find(nameplate, HEARD_WINDOW), Connection::connect(url, CONNECT_DEADLINE));
    let announcers = announcers.unwrap_or_default();
    if !announcers.is_empty() {
        return local(nameplate, announcers, ask).await;
    }
    let failed =
        |error| failure::meeting(ConnectError::Unreachable(error), Direction::Receive, &server.to_string());
    Ok((connection.map_err(failed)?, server.to_string()))
}

/// Connects to a sender on the local network; asks which one, if several use this nameplate.
async fn local(
    nameplate: Nameplate,
    announcers: Vec<Announcer>,
    ask: &dyn Ask,
) -> Result<(Connection, String), Error> {
    let name =
        |announcer: &Announcer| announcer.addresses.first().map(ToString::to_string).unwrap_or_default();
    let index = if announcers.len() > 1 {
        let names: Vec<String> = announcers.iter().map(name).collect();
        ask.which(&names).await?
    } else {
        0
    };
    let chosen = announcers.get(index).ok_or(Error::NotFound { nameplate })?;
    let mut last = None;
    for address in &chosen.addresses {
        match Connection::connect(&local_url(*address), LOCAL_DEADLINE).await {
            Ok(connection) => return Ok((connection, format!("http://{address}"))),
            Err(error) => last = Some(error),
        }
    }
    let error = last.map(ConnectError::Unreachable).ok_or(Error::NotFound { nameplate })?;
    Err(failure::meeting(error, Direction::Receive, &format!("http://{}", name(chosen))))
}

fn local_url(address: SocketAddr) -> Url {
    format!("http://{address}/").parse().expect("an address and a port are a URL")
}
