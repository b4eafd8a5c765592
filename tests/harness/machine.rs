//! A machine of somebody who uses `send`: a home directory, and nothing of the environment of the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::bins::bins;
use super::{Peer, Rendezvous};
use crate::netlab::{Host, Namespace};

/// A home directory of its own, gone with this value.
pub(crate) struct Machine {
    home: TempDir,
    server: Option<String>,
    /// The network namespace it is in, if it is in one of its own.
    space: Option<Namespace>,
}

impl Machine {
    /// A machine whose user gives `--server` with every command.
    pub(crate) fn with_server(server: &Rendezvous) -> Self {
        Self::with_server_at(&server.url())
    }

    /// As [`Machine::with_server`], for a server that is not what it seems.
    pub(crate) fn with_server_at(url: &str) -> Self {
        Self { server: Some(url.to_owned()), ..Self::without_server() }
    }

    /// A machine whose disk is memory where there is such a disk: what it has written is saved at once, whatever else uses the
    /// real one.
    pub(crate) fn with_quick_disk(server: &Rendezvous) -> Self {
        let memory = Path::new("/dev/shm");
        let home = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        Self::at(home.unwrap(), Some(server.url()))
    }

    /// A machine that knows of no server.
    pub(crate) fn without_server() -> Self {
        Self::at(TempDir::new().unwrap(), None)
    }

    fn at(home: TempDir, server: Option<String>) -> Self {
        fs::create_dir(home.path().join("work")).unwrap();
        Self { home, server, space: None }
    }

    /// The same on the network of a laboratory.
    pub(crate) fn on(self, host: &Host) -> Self {
        self.inside(&host.space)
    }

    /// The same in a network of its own.
    pub(crate) fn inside(self, space: &Namespace) -> Self {
        Self { space: Some(space.clone()), ..self }
    }

    /// The directory in which commands run: what is received comes here.
    pub(crate) fn dir(&self) -> PathBuf {
        self.home.path().join("work")
    }

    /// A path below [`Machine::dir`].
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir().join(name)
    }

    /// Where the user's configuration is.
    pub(crate) fn config_dir(&self) -> PathBuf {
        self.home.path().join("config")
    }

    /// Makes a file in [`Machine::dir`].
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// What stands in a file of [`Machine::dir`].
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Names in [`Machine::dir`], hidden ones too, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Runs `send --json`.
    pub(crate) fn start(&self, arguments: &[&str]) -> Peer {
        let mut command = self.command(arguments);
        command.arg("--json");
        Peer::start(command)
    }

    /// Runs `send` for somebody who reads, with pipes instead of a terminal.
    pub(crate) fn start_plain(&self, arguments: &[&str]) -> Peer {
        Peer::start(self.command(arguments))
    }

    /// Runs `send` for somebody at a terminal, which is its standard input and standard error.
    pub(crate) fn start_at_terminal(&self, arguments: &[&str]) -> Peer {
        Peer::start_at_terminal(self.command(arguments))
    }

    /// `send` with these arguments, not yet running.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match &self.space {
            Some(space) => space.command(&bins().send),
            None => Command::new(&bins().send),
        };
        command.current_dir(self.dir()).args(arguments).stdin(Stdio::piped()).env_clear();
        if let Some(server) = &self.server {
            command.args(["--server", server]);
        }
        let home = self.home.path();
        command.env("HOME", home);
        if self.space.is_some() {
            // By which the program that enters a network is found.
            command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        }
        for (name, directory) in
            [("XDG_CONFIG_HOME", "config"), ("XDG_STATE_HOME", "state"), ("XDG_DATA_HOME", "data")]
        {
            command.env(name, home.join(directory));
        }
        command
    }
}
