//! A running `rendezvous`.

use std::process::{Child, Command, Stdio};

use super::PATIENCE;
use super::bins::bins;
use super::coturn::TURN_SECRET;
use super::transcript::Transcript;
use crate::netlab::{Host, Namespace};

/// The server's process on a port of its own, killed with this value.
pub(crate) struct Rendezvous {
    child: Child,
    address: String,
    /// The network namespace it is in, if it is in one of its own.
    space: Option<Namespace>,
    log: Transcript,
}

impl Rendezvous {
    /// A server with the times and limits of a real one, except that the machines of a test, which share an address, may
    /// claim as often as they like.
    pub(crate) fn start() -> Self {
        Self::start_with("127.0.0.1:0", &[], "info")
    }

    /// A server that listens on every address of this machine.
    pub(crate) fn start_everywhere() -> Self {
        Self::start_with("0.0.0.0:0", &[], "info")
    }

    /// A server that logs everything it can.
    pub(crate) fn start_verbose() -> Self {
        Self::start_with("127.0.0.1:0", &[], "trace")
    }

    /// A server with `settings` as the flag `--set` takes them.
    pub(crate) fn start_set(settings: &[&str]) -> Self {
        Self::start_with("127.0.0.1:0", settings, "info")
    }

    /// A server on the network of a laboratory.
    pub(crate) fn start_on(host: &Host) -> Self {
        Self::start_inside(Some(host.space.clone()), &format!("{}:0", host.address))
    }

    /// A server in `space`, with `arguments` besides.
    pub(crate) fn start_inside_with(space: &Namespace, listen: &str, arguments: &[&str]) -> Self {
        let mut command = space.command(&bins().rendezvous);
        command.env("RUST_LOG", "info").env("RENDEZVOUS_TURN_SECRET", TURN_SECRET).args(arguments);
        let mut server = Self::run(command, listen, &[]);
        server.space = Some(space.clone());
        server
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> &str {
        self.address.rsplit_once(':').unwrap().1
    }

    /// Kills it, and starts another at the same address that knows nothing.
    pub(crate) fn restart(self) -> Self {
        let (address, space) = (self.address.clone(), self.space.clone());
        self.kill();
        Self::start_inside(space, &address)
    }

    fn start_inside(space: Option<Namespace>, listen: &str) -> Self {
        let Some(space) = space else { return Self::start_with(listen, &[], "info") };
        let mut command = space.command(&bins().rendezvous);
        command.env("RUST_LOG", "info");
        let mut server = Self::run(command, listen, &[]);
        server.space = Some(space);
        server
    }

    fn start_with(listen: &str, settings: &[&str], level: &str) -> Self {
        let mut command = Command::new(&bins().rendezvous);
        command.env_clear().env("RUST_LOG", level);
        Self::run(command, listen, settings)
    }

    fn run(mut command: Command, listen: &str, settings: &[&str]) -> Self {
        command.args(["--listen", listen]);
        // A receiver asks the local network too, where a sender of another test may have a nameplate of two digits.
        let elsewhere: Vec<String> = (10..100).map(|nameplate: u32| nameplate.to_string()).collect();
        let avoided = format!("avoid_nameplates=[{}]", elsewhere.join(","));
        for setting in ["limits.claims='off'", &avoided].iter().chain(settings) {
            command.args(["--set", setting]);
        }
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = Transcript::of(child.stdout.take().unwrap());
        let log = Transcript::of(child.stderr.take().unwrap());
        let address =
            out.wait_for(PATIENCE, |text| text.split_once('\n').map(|(address, _)| address.to_owned()));
        let server = Self { child, address: address.unwrap_or_default(), space: None, log };
        assert!(!server.address.is_empty(), "the server does not start: {}", server.log.text());
        server
    }

    /// Where it listens, as `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Where it answers its operator, if it was told to.
    #[track_caller]
    pub(crate) fn operator(&self) -> String {
        let told = self.log.wait_for(PATIENCE, |text| {
            let rest = text.split_once("answering the operator address=")?.1;
            Some(rest.split_once('\n')?.0.trim().to_owned())
        });
        told.unwrap_or_else(|| panic!("it answers no operator: {}", self.log.text()))
    }

    /// Its address as users write it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it at once, and tells everything that it has logged.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        assert!(self.log.wait_for_end(PATIENCE));
        self.log.text()
    }
}

impl Drop for Rendezvous {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
