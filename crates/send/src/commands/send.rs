//! `send PATH…`: shows a code, waits for whoever knows it, and sends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rendezvous::BindError;
use tokio_util::sync::CancellationToken;
use url::Url;
use wire::link::ShareLink;

use super::serve::reach;
use super::{Error, Kept, failure, unless_cancelled};
use crate::config::{Config, Symlinks, Typed};
use crate::connect::{self, ConnectError, Doors, Met, Visit};
use crate::embedded::Embedded;
use crate::entropy;
use crate::report::{Direction, Event, Finished, Invitation, Reporter, Secret, Summary, Warning};
use crate::signaling::{CONNECT_DEADLINE, Connection};
use crate::storage::{self, Source, SourceOptions};
use crate::transfer;

/// The longest wait that a rendezvous may ask for and get without the user being asked.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often such a wait is granted.
const MAX_WAITS: usize = 3;

/// Sends `paths` to one receiver.
///
/// # Errors
/// [`Error`], told to the receiver as far as it can be reached. Cancelling `cancel` gives [`Error::Interrupted`].
pub async fn run(
    paths: Vec<PathBuf>,
    config: &Config,
    reporter: &dyn Reporter,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    // The server is up, or reached, while the files are walked: both come before the code.
    let (source, meeting) =
        tokio::join!(walk(paths, config), unless_cancelled(cancel, Meeting::prepare(config)));
    let source = source?;
    let mut meeting = meeting?;
    announce_source(&source, reporter);
    let met = match unless_cancelled(cancel, Box::pin(meeting.wait(config, reporter))).await {
        Ok(met) => met,
        Err(error) => {
            meeting.close_doors().await;
            meeting.place.close().await;
            return Err(error);
        }
    };
    reporter.report(Event::Paired);
    let outcome = Box::pin(deliver(met, &source, &meeting, (config, reporter), cancel)).await;
    meeting.place.close().await;
    outcome
}

async fn deliver(
    met: Met,
    source: &Source,
    meeting: &Meeting,
    (config, reporter): (&Config, &dyn Reporter),
    cancel: &CancellationToken,
) -> Result<(), Error> {
    let server = meeting.place.server();
    let opening = async {
        let opened = connect::open(met, reach(config)).await;
        opened.map_err(|error| failure::meeting(error, Direction::Send, &server))
    };
    let opened = Box::pin(unless_cancelled(cancel, opening)).await?;
    reporter.report(transfer::connected(opened.0.lane.transport.path, config.policy.relay));
    reporter.report(Event::AwaitingConsent);
    let sent = transfer::send(opened, source, reporter, cancel).await;
    let sent = sent.map_err(|error| failure::transfer(error, Direction::Send, Kept::default()))?;
    reporter.report(Event::Finished(Finished {
        direction: Direction::Send,
        what: sent.what,
        moved: sent.moved,
        elapsed: sent.elapsed,
        place: None,
    }));
    Ok(())
}

/// Reads the tree on a thread that may block.
async fn walk(paths: Vec<PathBuf>, config: &Config) -> Result<Source, Error> {
    let symlinks = match config.symlinks {
        Symlinks::Skip => storage::Symlinks::Refuse,
        Symlinks::Keep => storage::Symlinks::Keep,
    };
    let walked = tokio::task::spawn_blocking(move || Source::open(&paths, SourceOptions { symlinks }));
    let walked = walked.await.map_err(|error| Error::System { doing: "read files", source: error.into() })?;
    walked.map_err(failure::source)
}

fn announce_source(source: &Source, reporter: &dyn Reporter) {
    let manifest = source.manifest();
    let name = manifest.only_name().map(Arc::from);
    let file_count = u64::from(manifest.file_count());
    reporter.report(Event::Offering(Summary { name, file_count, total_size: manifest.total_size() }));
    let notices = source.notices();
    let mut warnings = Vec::new();
    if notices.skipped_link_count > 0 {
        warnings.push(Warning::SymlinksSkipped { count: notices.skipped_link_count });
    }
    warnings.extend(notices.skipped_special.iter().cloned().map(Warning::SpecialFileSkipped));
    warnings.extend(notices.renamed.iter().map(|renamed| Warning::SentAs {
        from: renamed.path.to_string_lossy().into_owned(),
        to: renamed.sent.as_str().to_owned(),
    }));
    for warning in warnings {
        reporter.report(Event::Warning(warning));
    }
}

/// Where receivers find this sender.
enum Place {
    /// At the configured server.
    Server(Url),
    /// In this process.
    Embedded(Box<Embedded>),
}

impl Place {
    fn url(&self) -> Url {
        match self {
            Self::Server(url) => url.clone(),
            Self::Embedded(embedded) => embedded.local_url(),
        }
    }

    /// What a link begins with.
    fn origin(&self) -> String {
        match self {
            Self::Server(url) => url.to_string(),
            Self::Embedded(embedded) => embedded.origin(),
        }
    }

    /// Its name in errors.
    fn server(&self) -> String {
        self.origin().trim_end_matches('/').to_owned()
    }

    async fn close(self) {
        if let Self::Embedded(embedded) = self {
            embedded.stop().await;
        }
    }
}

/// A sender that can be met.
struct Meeting {
    place: Place,
    link: ShareLink,
    doors: Option<Doors>,
    /// How long the code shown last stays open.
    ttl: Duration,
}

impl Meeting {
    /// Starts the embedded rendezvous or reaches the configured one, and asks for doors.
    async fn prepare(config: &Config) -> Result<Self, Error> {
        let place = match &config.server {
            Some(server) => Place::Server(server.as_url().clone()),
            None => Place::Embedded(Box::new(start_embedded(config).await?)),
        };
        let no_entropy =
            |error: entropy::EntropyError| Error::System { doing: "give random bytes", source: error.into() };
        let password = entropy::bytes().map_err(no_entropy)?;
        let link = ShareLink::new(&place.origin(), password);
        let link = link.map_err(|error| Error::NotALink(error.into()))?;
        let mut meeting = Self { place, link, doors: None, ttl: Duration::ZERO };
        meeting.doors = Some(meeting.request_doors(config).await?);
        Ok(meeting)
    }

    async fn request_doors(&self, config: &Config) -> Result<Doors, Error> {
        let failed = |error| failure::meeting(error, Direction::Send, &self.place.server());
        let connected = Connection::connect(&self.place.url(), CONNECT_DEADLINE).await;
        let connection = connected.map_err(|error| failed(ConnectError::Unreachable(error)))?;
        let link = Some(self.link.password().clone());
        Doors::request(connection, config.typed, link, config.token.as_ref()).await.map_err(failed)
    }

    /// Lets go of the code, so that nobody waits for this side to come back to it.
    async fn close_doors(&mut self) {
        if let Some(doors) = self.doors.take() {
            doors.close().await;
        }
    }

    /// Shows codes until somebody has proved one. A rendezvous that asks for patience gets some.
    async fn wait(&mut self, config: &Config, reporter: &dyn Reporter) -> Result<Met, Error> {
        let mut waits = 0;
        loop {
            let doors = match self.doors.take() {
                Some(doors) => doors,
                None => self.request_doors(config).await?,
            };
            let doors = self.doors.insert(doors);
            let (link, place, ttl) = (&self.link, &mut self.place, &mut self.ttl);
            let mut guide = Guide { config, link, place, ttl, reporter };
            let error = match doors.meet(|visit| guide.tell(visit)).await {
                Ok(met) => return Ok(met),
                Err(error) => error,
            };
            self.doors = None;
            if let ConnectError::Refused { retry_after: Some(retry_after), .. } = error
                && retry_after <= PATIENCE
                && waits < MAX_WAITS
            {
                waits += 1;
                reporter.report(Event::Warning(Warning::ServerBusy { retry_after }));
                tokio::time::sleep(retry_after).await;
                continue;
            }
            if matches!(error, ConnectError::Expired) {
                return Err(Error::Expired { ttl: self.ttl });
            }
            return Err(failure::meeting(error, Direction::Send, &self.place.server()));
        }
    }
}

/// Tells the user, and the local network, which doors are open.
struct Guide<'a> {
    config: &'a Config,
    link: &'a ShareLink,
    place: &'a mut Place,
    ttl: &'a mut Duration,
    reporter: &'a dyn Reporter,
}

impl Guide<'_> {
    fn tell(&mut self, visit: Visit) {
        match visit {
            Visit::Open { typed, ttl, codes_left } => {
                let (code, reissued) = match typed {
                    Some(typed) => (Some(typed.code), typed.reissued),
                    None => (None, None),
                };
                *self.ttl = ttl;
                let nameplate = code.as_ref().map(wire::code::Code::nameplate);
                let server = match self.place {
                    Place::Server(_) => Some(self.place.server()),
                    Place::Embedded(_) => None,
                };
                let link = Some(Secret::new(self.link.expose().as_str()));
                let invitation = Invitation { code, link, server, ttl, codes_left, reissued };
                self.reporter.report(Event::CodeReady(invitation));
                self.announce(nameplate);
            }
            Visit::Working => self.reporter.report(Event::Warning(Warning::ServerGuarded)),
            Visit::Knocked => self.reporter.report(Event::PeerKnocked),
            Visit::Failed(failure) => self.reporter.report(Event::AttemptFailed(failure)),
            Visit::Away => self.reporter.report(Event::Warning(Warning::ServerAway)),
            Visit::Back => self.reporter.report(Event::Warning(Warning::ServerBack)),
        }
    }

    fn announce(&mut self, nameplate: Option<wire::code::Nameplate>) {
        let Place::Embedded(embedded) = self.place else { return };
        if !embedded.is_reachable() {
            self.reporter.report(Event::Warning(Warning::NoNetwork));
        }
        if self.config.port.is_none() && embedded.port() != Config::PREFERRED_PORT {
            let (wanted, used) = (Config::PREFERRED_PORT, embedded.port());
            self.reporter.report(Event::Warning(Warning::PortTaken { wanted, used }));
        }
        let announced = nameplate.map(|nameplate| embedded.announce(nameplate));
        if matches!(announced, Some(Err(_))) && self.config.typed != Typed::LinkOnly {
            self.reporter.report(Event::Warning(Warning::DiscoveryUnavailable));
        }
    }
}

async fn start_embedded(config: &Config) -> Result<Embedded, Error> {
    Embedded::start(config.port).await.map_err(|error| {
        if let BindError::Listen { address, source } = error {
            Error::Listen { address, source }
        } else {
            Error::System { doing: "start a server", source: error.into() }
        }
    })
}
