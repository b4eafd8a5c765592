//! What the user sees. This is the only module that writes to standard output and standard error.
//!
//! Standard output carries what a script wants: with `--quiet` the code and the paths of saved files, with `--json` one
//! object per event, else nothing. Everything else goes to standard error, with colours, bars and QR codes where that is a
//! terminal and one plain line per stage where it is not.

mod consent;
mod finding;
mod json;
mod keyboard;
mod progress;
mod qr;
mod sanitize;
mod style;
mod terminal;

use std::error::Error as _;
use std::fmt::{self, Write as _};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use indicatif::ProgressDrawTarget;

use crate::commands::Error;
use crate::config::{Config, Format};
use crate::report::{Ask, AskError, Consent, Event, Offer, Progress, Reporter, Secret};
use keyboard::{Keyboard, TypedAhead};
use progress::{Bar, Throttle};
use sanitize::escape;
use style::Style;
use terminal::Lines;

/// Shows events and asks questions, as the configuration and the streams at hand allow.
pub struct Ui {
    format: Format,
    yes: bool,
    can_ask: bool,
    bars: bool,
    lines: Lines,
    keyboard: Keyboard,
    screen: Mutex<Screen>,
}

/// Where a [`Ui`] writes to and reads from.
pub struct Streams {
    /// Standard output.
    pub out: Box<dyn Write + Send>,
    /// Whether a person sees it.
    pub out_is_terminal: bool,
    /// Standard error.
    pub err: Box<dyn Write + Send>,
    /// Whether a person sees it.
    pub err_is_terminal: bool,
    /// Standard input.
    pub input: Box<dyn BufRead + Send>,
    /// Whether a person types it.
    pub input_is_terminal: bool,
}

impl Streams {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self {
            out: Box::new(io::stdout()),
            out_is_terminal: io::stdout().is_terminal(),
            err: Box::new(io::stderr()),
            err_is_terminal: io::stderr().is_terminal(),
            input: Box::new(BufReader::new(io::stdin())),
            input_is_terminal: io::stdin().is_terminal(),
        }
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}

impl fmt::Debug for Ui {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ui").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Ui {
    /// A user interface on `streams`. Colours follow `NO_COLOR` and `TERM`.
    pub fn new(config: &Config, streams: Streams) -> Self {
        let human = config.format == Format::Human;
        let style = if streams.err_is_terminal {
            Style::of_terminal(&|name| std::env::var_os(name))
        } else {
            Style::plain()
        };
        let qr = human && streams.err_is_terminal && config.qr;
        let home = directories::BaseDirs::new().map(|directories| directories.home_dir().to_owned());
        Self {
            format: config.format,
            yes: config.yes,
            can_ask: streams.input_is_terminal && streams.err_is_terminal,
            // Log lines and a bar on one terminal would overwrite each other.
            bars: human && streams.err_is_terminal && config.verbosity == 0,
            lines: Lines { style, qr_columns: qr.then_some(COLUMNS), home },
            keyboard: Keyboard::new(streams.input),
            screen: Mutex::new(Screen {
                out: streams.out,
                out_is_terminal: streams.out_is_terminal,
                err: streams.err,
                bar: None,
                throttle: Throttle::new(JSON_PROGRESS),
            }),
        }
    }

    /// Tells why the command failed and what to do next.
    pub fn fail(&self, error: &Error) {
        let mut screen = self.screen();
        screen.clear_bar();
        if self.format == Format::Json {
            screen.print(&json::error_line(error));
        } else {
            // Apart from the table above it.
            let gap =
                if matches!(error, Error::Unfit { .. }) && self.format == Format::Human { "\n" } else { "" };
            screen.say(&format!("{gap}{}", failure(error, self.lines.style)));
        }
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report_to_script(&self, event: &Event) {
        let mut screen = self.screen();
        match event {
            Event::CodeReady(invitation) => match (&invitation.code, &invitation.link) {
                (Some(code), _) => screen.print(&code.expose()),
                (None, Some(link)) => screen.print(link.expose()),
                (None, None) => {}
            },
            Event::Listening { address } => screen.print(&format!("http://{address}")),
            Event::Saved { path, .. } => screen.print_path(path),
            // A guess at the code concerns whoever runs the script.
            Event::AttemptFailed(_) => screen.say(&self.lines.of(event)),
            Event::Offering(_)
            | Event::PeerKnocked
            | Event::Paired
            | Event::Connected { .. }
            | Event::AwaitingConsent
            | Event::Offered(_)
            | Event::Progress(_)
            | Event::Reconnecting(_)
            | Event::Checking { .. }
            | Event::Resumed { .. }
            | Event::Warning(_)
            | Event::Finished(_)
            | Event::Found(_)
            | Event::Diagnosed { .. } => {}
        }
    }

    fn report_to_program(&self, event: &Event) {
        let mut screen = self.screen();
        let moves = matches!(event, Event::Progress(Progress { done, total, .. }) | Event::Checking { done, total } if done < total);
        if moves && !screen.throttle.passes(Instant::now()) {
            return;
        }
        screen.print(&json::line(event));
    }

    fn report_to_person(&self, event: &Event) {
        let mut screen = self.screen();
        if let Event::Progress(progress) = event
            && self.bars
        {
            screen.show_progress(progress);
            return;
        }
        if let Event::Checking { done, total } = *event
            && self.bars
            && done < total
        {
            let (name, index, file_count) = (Arc::from("Checking what is here"), 0, 1);
            screen.show_progress(&Progress { name, index, file_count, done, total });
            return;
        }
        if matches!(event, Event::Reconnecting(_) | Event::Checking { .. } | Event::Finished(_)) {
            screen.clear_bar();
        }
        screen.say(&self.lines.of(event));
    }

    /// Puts a question to a person and reads answers until `parse` understands one.
    async fn ask<T>(
        &self,
        question: &str,
        parse: impl Fn(&str) -> Option<T> + Send + Sync,
    ) -> Result<T, AskError> {
        let mut ahead = TypedAhead::Discard;
        loop {
            let mut open = OpenQuestion { ui: self, answered: false };
            let answer = self.keyboard.ask(ahead, || self.screen().say(question)).await?;
            ahead = TypedAhead::Keep;
            open.answered = true;
            if let Some(parsed) = parse(&answer) {
                return Ok(parsed);
            }
        }
    }
}

impl Reporter for Ui {
    fn report(&self, event: Event) {
        match self.format {
            Format::Human => self.report_to_person(&event),
            Format::Quiet => self.report_to_script(&event),
            Format::Json => self.report_to_program(&event),
        }
    }
}

#[async_trait]
impl Ask for Ui {
    async fn code(&self) -> Result<Secret, AskError> {
        let typed = |line: &str| Some(line.trim()).filter(|text| !text.is_empty()).map(Secret::new);
        if self.can_ask {
            return self.ask("Code: ", typed).await;
        }
        let line = self.keyboard.ask(TypedAhead::Keep, || ()).await?;
        typed(&line).ok_or(AskError::Closed)
    }

    async fn consent(&self, offer: &Offer) -> Result<Consent, AskError> {
        if self.yes {
            if self.format == Format::Human {
                self.screen().say(&consent::notice(offer, self.lines.home.as_deref()));
            }
            return Ok(Consent::Accept);
        }
        if !self.can_ask {
            return Err(AskError::NoTerminal);
        }
        self.screen().say(&consent::screen(offer, self.lines.style));
        let question = consent::question(offer, self.lines.home.as_deref());
        self.ask(&question, |answer| consent::parse(answer, offer)).await
    }

    async fn which(&self, senders: &[String]) -> Result<usize, AskError> {
        if !self.can_ask {
            return Err(AskError::NoTerminal);
        }
        let mut text = String::from("Several senders on this network use this code:\n");
        for (index, sender) in senders.iter().enumerate() {
            let _ = writeln!(text, "  {}  {}", index + 1, escape(sender, SENDER_LEN));
        }
        self.screen().say(&text);
        let choose = |answer: &str| {
            let number: usize = answer.trim().parse().ok()?;
            number.checked_sub(1).filter(|index| *index < senders.len())
        };
        self.ask(&format!("Which one? [1-{}] ", senders.len()), choose).await
    }
}

/// Ends the line of a question that is withdrawn, so that what is said next begins on a line of its own.
struct OpenQuestion<'a> {
    ui: &'a Ui,
    answered: bool,
}

impl Drop for OpenQuestion<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.ui.screen().say("\n");
        }
    }
}

/// The two output streams and what stands on them. Nobody is left to tell when writing to them fails.
struct Screen {
    out: Box<dyn Write + Send>,
    out_is_terminal: bool,
    err: Box<dyn Write + Send>,
    bar: Option<Bar>,
    throttle: Throttle,
}

impl Screen {
    /// Writes to standard error, above the bar if there is one.
    fn say(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let err = &mut self.err;
        let mut write = || {
            let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Writes one line to standard output, at once.
    fn print(&mut self, line: &str) {
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }

    /// Writes a path to standard output: as it is for a script, escaped for a person.
    fn print_path(&mut self, path: &Path) {
        if self.out_is_terminal {
            let text = escape(&path.display().to_string(), PATH_LEN);
            self.print(&text);
        } else {
            let mut line = path.as_os_str().as_encoded_bytes().to_vec();
            line.push(b'\n');
            let _ = self.out.write_all(&line).and_then(|()| self.out.flush());
        }
    }

    fn show_progress(&mut self, progress: &Progress) {
        match &mut self.bar {
            Some(bar) => bar.update(progress),
            None => self.bar = Some(Bar::start(progress, ProgressDrawTarget::stderr())),
        }
    }

    fn clear_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.clear();
        }
    }
}

/// `error: …`, its causes and `hint: …`, each on a line.
fn failure(error: &Error, style: Style) -> String {
    let shown = |text: &dyn fmt::Display| escape(&text.to_string(), ERROR_LEN);
    let mut text = format!("{} {}\n", style.bad("error:"), shown(error));
    let mut cause = error.source();
    while let Some(next) = cause {
        let _ = writeln!(text, "  caused by: {}", shown(next));
        cause = next.source();
    }
    if let Some(hint) = error.hint() {
        let _ = writeln!(text, "{} {hint}", style.good("hint:"));
    }
    text
}

/// Columns every terminal is taken to have.
const COLUMNS: usize = 80;
/// A program that shows progress needs it twice per second, not for every chunk.
const JSON_PROGRESS: Duration = Duration::from_millis(500);
/// Characters of a sender's name and address.
const SENDER_LEN: usize = 70;
/// Characters of a path.
const PATH_LEN: usize = 4_096;
/// Characters of one line of an error.
const ERROR_LEN: usize = 600;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::commands::Kept;
    use crate::config::Layer;
    use crate::report::{AttemptFailure, EntryKind, Invitation, Warning};

    /// A stream that can be read back.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A user interface with both its outputs and the other end of its input.
    struct Desk {
        ui: Ui,
        out: Paper,
        err: Paper,
        typist: io::PipeWriter,
    }

    fn desk(flags: Layer, terminal: bool) -> Desk {
        let config = Config::resolve(flags, Layer::default(), Layer::default()).unwrap();
        let (reader, typist) = io::pipe().unwrap();
        let (out, err) = (Paper::default(), Paper::default());
        let streams = Streams {
            out: Box::new(out.clone()),
            out_is_terminal: terminal,
            err: Box::new(err.clone()),
            err_is_terminal: terminal,
            input: Box::new(BufReader::new(reader)),
            input_is_terminal: terminal,
        };
        Desk { ui: Ui::new(&config, streams), out, err, typist }
    }

    fn quiet() -> Layer {
        Layer { quiet: Some(true), ..Layer::default() }
    }

    fn json() -> Layer {
        Layer { json: Some(true), ..Layer::default() }
    }

    fn invitation() -> Event {
        Event::CodeReady(Invitation {
            code: "48-2093".parse().ok(),
            link: Some(Secret::new("https://drop.example.org/#k2v")),
            server: None,
            ttl: Duration::from_mins(5),
            codes_left: 2,
            reissued: None,
        })
    }

    fn offer(name: &str) -> Offer {
        let mut offer = Offer::new(PathBuf::from("/in"), None);
        offer.add(name, EntryKind::File, 10, false);
        offer
    }

    fn progress(done: u64) -> Event {
        Event::Progress(Progress { name: "a.txt".into(), index: 0, file_count: 1, done, total: 1_000 })
    }

    #[test]
    fn quiet_prints_the_code_alone_on_a_line_and_nothing_else() {
        let desk = desk(quiet(), false);
        desk.ui.report(invitation());
        desk.ui.report(Event::Warning(Warning::NoNetwork));
        desk.ui.report(progress(1));
        assert_eq!((desk.out.text().as_str(), desk.err.text().as_str()), ("48-2093\n", ""));
    }

    #[test]
    fn quiet_prints_where_files_were_saved_and_says_when_somebody_guessed() {
        let desk = desk(quiet(), false);
        desk.ui.report(Event::Saved { path: PathBuf::from("/in/a b.txt"), size: 1 });
        assert_eq!(desk.out.text(), "/in/a b.txt\n");
        desk.ui.report(Event::AttemptFailed(AttemptFailure::WrongCode));
        assert!(desk.err.text().contains("wrong code"));
    }

    #[test]
    fn a_person_reads_standard_error_and_standard_output_stays_empty() {
        let desk = desk(Layer::default(), false);
        desk.ui.report(invitation());
        desk.ui.report(progress(1));
        desk.ui.fail(&Error::NoSuchCode);
        assert_eq!(desk.out.text(), "");
        let err = desk.err.text();
        assert!(err.contains("48-2093") && err.contains("error: "), "{err}");
        assert!(
            !err.contains('\u{1b}') && !err.contains('▀'),
            "no colours, bars or pictures without a terminal"
        );
    }

    #[test]
    fn no_qr_shows_the_link_without_the_picture() {
        let picture = |no_qr| {
            let desk = desk(Layer { no_qr: Some(no_qr), ..Layer::default() }, true);
            desk.ui.report(invitation());
            assert!(desk.err.text().contains("https://drop.example.org/#k2v"));
            desk.err.text().contains('▀')
        };
        assert!(picture(false));
        assert!(!picture(true));
    }

    #[test]
    fn json_is_one_object_per_line_and_progress_is_thinned() {
        let desk = desk(json(), false);
        desk.ui.report(invitation());
        for done in 1..=1_000 {
            desk.ui.report(progress(done));
        }
        desk.ui.fail(&Error::WrongCode);
        assert_eq!(desk.err.text(), "");
        let out = desk.out.text();
        let lines: Vec<serde_json::Value> =
            out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let names: Vec<_> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
        assert_eq!((names.first(), names.last()), (Some(&"code"), Some(&"error")));
        assert!(lines.len() < 100, "{} lines", lines.len());
        assert_eq!(lines[lines.len() - 2]["done"], 1_000, "the end is always told");
    }

    #[test]
    fn a_failure_is_told_with_its_causes_and_what_to_do() {
        let source = io::Error::new(io::ErrorKind::StorageFull, "disk full\n\u{1b}[2J");
        let kept = Kept { saved: 3, file_count: 5, partial: None };
        let error = Error::Write { path: PathBuf::from("a\r.txt"), source, kept };
        let expected = "error: cannot write `a\\u{d}.txt`; 3 of 5 files were saved\n  \
                        caused by: disk full\\u{a}\\u{1b}[2J\n\
                        hint: make room, or save elsewhere with --output DIR, and run the command again on both sides\n";
        assert_eq!(failure(&error, Style::plain()), expected);
    }

    #[tokio::test]
    async fn consent_is_what_the_person_answers() {
        for (typed, expected) in
            [("y\n", Consent::Accept), ("\n", Consent::Accept), ("n\n", Consent::Decline)]
        {
            let mut desk = desk(Layer::default(), true);
            let offer = offer("a.txt");
            let typing = async { desk.typist.write_all(typed.as_bytes()) };
            let (answer, _) = tokio::join!(biased; desk.ui.consent(&offer), typing);
            assert_eq!(answer.unwrap(), expected, "{typed:?}");
            assert!(desk.err.text().contains("Receive `a.txt` (10 B) into /in? [Y/n] "));
        }
    }

    #[tokio::test]
    async fn an_unclear_answer_is_asked_again() {
        let mut desk = desk(Layer::default(), true);
        let offer = offer("a.txt");
        let typing = async { desk.typist.write_all(b"what?\nn\n") };
        let (answer, _) = tokio::join!(biased; desk.ui.consent(&offer), typing);
        assert_eq!(answer.unwrap(), Consent::Decline);
        assert_eq!(desk.err.text().matches("[Y/n]").count(), 2);
    }

    #[tokio::test]
    async fn without_a_terminal_nothing_is_accepted_unless_the_user_agreed_beforehand() {
        let refused = desk(Layer::default(), false).ui.consent(&offer("a.txt")).await;
        assert!(matches!(refused, Err(AskError::NoTerminal)), "{refused:?}");
        let agreed = desk(Layer { yes: Some(true), ..Layer::default() }, false);
        assert_eq!(agreed.ui.consent(&offer("a.txt")).await.unwrap(), Consent::Accept);
        assert_eq!(agreed.err.text(), "Receiving `a.txt` (10 B) into /in\n");
    }

    #[tokio::test]
    async fn a_withdrawn_question_ends_its_line() {
        let desk = desk(Layer::default(), true);
        let offer = offer("a.txt");
        {
            let mut question = Box::pin(desk.ui.consent(&offer));
            assert!(futures_util::poll!(&mut question).is_pending());
        }
        assert!(desk.err.text().ends_with("[Y/n] \n"));
    }

    #[tokio::test]
    async fn a_code_is_asked_for_at_a_terminal_and_read_silently_from_a_pipe() {
        let mut person = desk(Layer::default(), true);
        let typing = async { person.typist.write_all(b"\n 48-2093 \n") };
        let (code, _) = tokio::join!(biased; person.ui.code(), typing);
        assert_eq!(code.unwrap().expose(), "48-2093");
        assert_eq!(person.err.text(), "Code: Code: ", "an empty line asks again");

        let mut script = desk(Layer::default(), false);
        script.typist.write_all(b"48-2093\n").unwrap();
        assert_eq!(script.ui.code().await.unwrap().expose(), "48-2093");
        assert_eq!(script.err.text(), "");
    }

    #[tokio::test]
    async fn one_of_several_senders_is_chosen_by_its_number() {
        let mut desk = desk(Layer::default(), true);
        let senders = ["laptop".to_owned(), "evil\u{1b}[2J".to_owned()];
        let typing = async { desk.typist.write_all(b"0\n3\n2\n") };
        let (chosen, _) = tokio::join!(biased; desk.ui.which(&senders), typing);
        assert_eq!(chosen.unwrap(), 1);
        assert!(desk.err.text().contains(r"2  evil\u{1b}[2J"));
    }
}
