//! What was typed. What it means is decided by [`crate::config`] and [`Args::into_command`].

mod documents;

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Args as ClapArgs, CommandFactory, Parser};
use wire::code::Code;

use crate::config::{Layer, ServerUrl, StunUrl, Token};
use crate::report::Secret;

pub use clap_complete::Shell;
pub use documents::{completions, manual};

/// Send files to another machine: no account, nothing to set up.
///
/// `send` shows a short code and a QR code. Type the code on the other machine, or scan the QR code with a phone, and the
/// files go straight there, encrypted and verified.
#[derive(Parser)]
#[command(name = "send", version, arg_required_else_help = true, after_long_help = EXAMPLES)]
#[command(
    override_usage = "send [OPTIONS] <PATH>...\n       send receive [OPTIONS] [CODE]\n       send doctor [OPTIONS]\n       send serve [OPTIONS]"
)]
pub struct Args {
    #[command(subcommand)]
    subcommand: Option<Subcommand>,

    /// Files and directories to send; a single code receives instead
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    flags: Flags,
}

impl fmt::Debug for Args {
    /// Without the arguments: one of them may be a code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Args").field("flags", &self.flags).finish_non_exhaustive()
    }
}

#[derive(clap::Subcommand)]
enum Subcommand {
    /// Receive what somebody sends you
    ///
    /// Asks for the code when none is given, or reads it from standard input. A code on the command line is visible to
    /// other users of this machine while the command runs; `SEND_CODE` and the prompt are not.
    #[command(visible_aliases = ["recv", "rx", "get"])]
    Receive {
        /// The code, such as 48-2093, or the link; `-` reads it from standard input
        code: Option<String>,
    },
    /// Find out whether sending and receiving works here, and what to do if not
    ///
    /// Looks at the disk, the network, the server and the ways to other machines, with the settings that a transfer would have,
    /// and ends with a whole transfer from this machine to itself. Nothing is left of it.
    Doctor,
    /// Print a script that completes commands and flags in a shell
    ///
    /// Where it goes is the shell's matter; for bash: send completions bash > ~/.local/share/bash-completion/completions/send
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page: send man | man -l -
    Man,
    /// Run a rendezvous server: the meeting point for senders and receivers
    Serve {
        // Not as a comment of documentation, where an address in brackets would be a link.
        #[arg(long, value_name = "ADDR:PORT", help = "Address and port to listen on [default: [::]:8080]")]
        listen: Option<SocketAddr>,
    },
}

/// Flags, accepted before and after the subcommand. Their values are checked by [`crate::config`].
#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "a switch on the command line is there or not")]
struct Flags {
    /// Directory to save to [default: the working directory]
    #[arg(short, long, value_name = "DIR", global = true, help_heading = "Receiving")]
    output: Option<PathBuf>,

    /// Receive without asking
    #[arg(short, long, global = true, help_heading = "Receiving")]
    yes: bool,

    /// Receive from the first byte, whatever an earlier attempt left here
    #[arg(long, global = true, help_heading = "Receiving")]
    restart: bool,

    /// Replace files that exist instead of saving beside them as `name (1)`
    #[arg(long, global = true, help_heading = "Receiving")]
    overwrite: bool,

    /// Make the typed part of the code N digits long, 4 to 12 [default: 4]
    #[arg(long, value_name = "N", global = true, help_heading = "Sending")]
    digits: Option<usize>,

    /// Make the typed part of the code N words instead of digits, 2 to 8
    #[arg(long, value_name = "N", global = true, help_heading = "Sending")]
    words: Option<usize>,

    /// Show only the link and QR code, which cannot be guessed; no code to type
    #[arg(long, global = true, help_heading = "Sending")]
    link_only: bool,

    /// Show no QR code
    #[arg(long, global = true, help_heading = "Sending")]
    no_qr: bool,

    /// Send symbolic links as links, and create received ones that stay inside what is received
    #[arg(long, global = true)]
    symlinks: bool,

    /// Rendezvous server to use [default: none, both machines are on one network]
    #[arg(long, value_name = "URL", global = true, help_heading = "Network")]
    server: Option<ServerUrl>,

    /// Token of a private rendezvous server, for sending; better set as `SEND_TOKEN`, which other users cannot read
    #[arg(long, value_name = "TOKEN", global = true, help_heading = "Network")]
    token: Option<Token>,

    /// Port to serve the page and the code on when no server is used [default: 9473, or any free one]
    #[arg(long, value_name = "PORT", global = true, help_heading = "Network")]
    port: Option<u16>,

    /// STUN server for finding a path between two networks; may be repeated
    #[arg(long, value_name = "URL", value_delimiter = ',', global = true, help_heading = "Network")]
    stun: Vec<StunUrl>,

    /// Reach the other side through a relay only, so that it learns no address of this machine
    #[arg(long, conflicts_with = "no_relay", global = true, help_heading = "Network")]
    relay_only: bool,

    /// Use no relay, not even where there is no direct path
    #[arg(long, global = true, help_heading = "Network")]
    no_relay: bool,

    /// Network interface to use, such as eth0; may be repeated [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',', global = true, help_heading = "Network")]
    interface: Vec<String>,

    /// Reach the other side over IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6", global = true, help_heading = "Network")]
    ipv4: bool,

    /// Reach the other side over IPv6 only
    #[arg(short = '6', long, global = true, help_heading = "Network")]
    ipv6: bool,

    /// Print only what a script needs: the code or link, or the paths of saved files, one per line
    #[arg(short, long, global = true, help_heading = "Output")]
    quiet: bool,

    /// Print one JSON object per line on standard output, for programs
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,

    /// Log to standard error what happens; repeat for more
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = "Output")]
    verbose: u8,

    /// Configuration file [default: send/config.toml in the user's configuration directory]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Send these files and directories; there is at least one.
    Send(Vec<PathBuf>),
    /// Receive with this code or link.
    Receive(CodeSource),
    /// Look at everything that a transfer needs.
    Doctor,
    /// Run a rendezvous.
    Serve,
    /// Print the script that completes commands in this shell.
    Completions(Shell),
    /// Print the manual page.
    Manual,
}

/// Where the code to receive with comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeSource {
    /// The command line, which other users of the machine can read.
    Argument(Secret),
    /// `SEND_CODE`.
    Environment(Secret),
    /// Nobody gave it yet: ask for it.
    Prompt,
}

impl Args {
    /// What the flags say.
    pub fn layer(&self) -> Layer {
        let Flags { output, yes, restart, overwrite, digits, words, link_only, no_qr, symlinks, .. } =
            &self.flags;
        let Flags { server, token, port, stun, quiet, json, verbose, config: _, .. } = &self.flags;
        let Flags { relay_only, no_relay, interface, ipv4, ipv6, .. } = &self.flags;
        let listen = match &self.subcommand {
            Some(Subcommand::Serve { listen }) => *listen,
            Some(
                Subcommand::Receive { .. }
                | Subcommand::Doctor
                | Subcommand::Completions { .. }
                | Subcommand::Man,
            )
            | None => None,
        };
        let given = |flag: &bool| flag.then_some(true);
        Layer {
            output: output.clone(),
            server: server.clone(),
            token: token.clone(),
            digits: *digits,
            words: *words,
            link_only: given(link_only),
            yes: given(yes),
            restart: given(restart),
            overwrite: given(overwrite),
            symlinks: given(symlinks),
            no_qr: given(no_qr),
            quiet: given(quiet),
            json: given(json),
            verbose: (*verbose > 0).then_some(*verbose),
            port: *port,
            stun: (!stun.is_empty()).then(|| stun.clone()),
            relay_only: given(relay_only),
            no_relay: given(no_relay),
            interface: (!interface.is_empty()).then(|| interface.clone()),
            ipv4: given(ipv4),
            ipv6: given(ipv6),
            listen,
        }
    }

    /// The configuration file named by `--config`.
    pub fn config_file(&self) -> Option<&Path> {
        self.flags.config.as_deref()
    }

    /// Decides between sending and receiving.
    ///
    /// A single argument that reads as a code or a link receives, unless `exists` says that there is such a file. `var`
    /// looks up an environment variable.
    ///
    /// # Errors
    /// A usage error, ready to be printed: nothing to send, standard input or output named as `-`, or paths before a
    /// subcommand.
    pub fn into_command(
        self,
        exists: impl Fn(&Path) -> bool,
        var: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Command, clap::Error> {
        if self.flags.output.as_deref() == Some(Path::new("-")) {
            return Err(usage("received files cannot be written to standard output: name a directory"));
        }
        match (self.subcommand, self.paths.as_slice()) {
            (None, []) => Err(usage("nothing to send: name a file or a directory")),
            (None, [only]) if !exists(only) && only.to_str().is_some_and(reads_as_code) => {
                let text = only.to_str().unwrap_or_default();
                Ok(Command::Receive(CodeSource::Argument(Secret::new(text))))
            }
            (None, paths) if paths.iter().any(|path| path == Path::new("-")) => Err(usage(
                "standard input cannot be sent: write it to a file first, or name the file `-` as ./-",
            )),
            (None, _) => Ok(Command::Send(self.paths)),
            (Some(_), [_, ..]) => Err(usage(
                "paths and a subcommand exclude each other: a file named like one is sent as ./receive",
            )),
            (Some(Subcommand::Serve { .. }), []) => Ok(Command::Serve),
            (Some(Subcommand::Doctor), []) => Ok(Command::Doctor),
            (Some(Subcommand::Completions { shell }), []) => Ok(Command::Completions(shell)),
            (Some(Subcommand::Man), []) => Ok(Command::Manual),
            (Some(Subcommand::Receive { code }), []) => Ok(Command::Receive(code_source(code, var))),
        }
    }
}

fn code_source(code: Option<String>, var: &dyn Fn(&str) -> Option<OsString>) -> CodeSource {
    match code {
        Some(text) if text == "-" => CodeSource::Prompt,
        Some(text) => CodeSource::Argument(Secret::new(text)),
        None => match var("SEND_CODE").and_then(|value| value.into_string().ok()) {
            Some(text) if !text.trim().is_empty() => CodeSource::Environment(Secret::new(text)),
            _ => CodeSource::Prompt,
        },
    }
}

/// Whether somebody who typed this meant a code or a link. Digits alone always do, so that a code without its dash is told
/// so and not reported as a missing file.
fn reads_as_code(text: &str) -> bool {
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b' ');
    let link = (text.starts_with("https://") || text.starts_with("http://")) && text.contains('#');
    (digits && plain) || link || text.parse::<Code>().is_ok()
}

fn usage(message: &str) -> clap::Error {
    Args::command().error(ErrorKind::InvalidValue, message)
}

const EXAMPLES: &str = "\
Examples:
  send holiday.mp4                     show a code and a QR code for one file
  send photos/ notes.txt               several files and directories at once
  send receive                         receive: asks for the code
  send receive 48-2093 -o ~/Downloads  receive into a directory
  send 48-2093                         the short form of `send receive 48-2093`
  send --server drop.example.org a.iso meet through a server, across networks
  send --json a.iso                    one JSON object per event, for programs
  send doctor                          whether all that works here, and what to do if not
  send serve --listen 0.0.0.0:8080     run a server for the whole office

Every long option can be set in the environment (--link-only as SEND_LINK_ONLY=1) and, without the
dashes, in the configuration file (link-only = true).

Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused or cancelled by the other side, 4 wrong or
expired code, 5 no way to the other side or the server, 6 local file or disk error, 7 the data that
arrived is not what was sent, 130 interrupted.";

#[cfg(test)]
mod tests;
