//! The findings taken together.

use super::super::Error;
use crate::report::{Check, Event, Finding, Reporter, Verdict};

/// Tells findings and remembers what they come to.
pub(super) struct Diagnosis<'a> {
    reporter: &'a dyn Reporter,
    warnings: usize,
    /// The exit status of each problem.
    problems: Vec<u8>,
}

impl<'a> Diagnosis<'a> {
    /// Nothing is found yet.
    pub(super) fn new(reporter: &'a dyn Reporter) -> Self {
        Self { reporter, warnings: 0, problems: Vec::new() }
    }

    pub(super) fn tell(&mut self, finding: Finding) {
        match finding.verdict {
            Verdict::Good | Verdict::Note => {}
            Verdict::Warning => self.warnings += 1,
            Verdict::Problem { exit_code } => self.problems.push(exit_code),
        }
        self.reporter.report(Event::Found(finding));
    }

    pub(super) fn tell_all(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            self.tell(finding);
        }
    }

    /// How many warnings there were.
    ///
    /// # Errors
    /// [`Error::Unfit`] when there was a problem.
    pub(super) fn conclude(self) -> Result<usize, Error> {
        match self.problems.first() {
            Some(&exit_code) => Err(Error::Unfit { problems: self.problems.len(), exit_code }),
            None => Ok(self.warnings),
        }
    }
}

/// A failure of a command that would come to the same, as a finding.
pub(super) fn problem(check: Check, error: &Error) -> Finding {
    let verdict = Verdict::Problem { exit_code: error.exit_code() };
    let mut message = capitalised(&error.to_string());
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let text = next.to_string();
        if !repeats(&message, &text) {
            message = format!("{message}: {text}");
        }
        cause = next.source();
    }
    let finding = Finding::new(check, verdict, error.name(), format!("{message}."));
    match error.hint() {
        Some(hint) => finding.advise(hint),
        None => finding,
    }
}

/// Whether `cause` has no word that is not in `message`.
fn repeats(message: &str, cause: &str) -> bool {
    let message = message.to_lowercase();
    cause.to_lowercase().split_whitespace().all(|word| message.split_whitespace().any(|known| known == word))
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<usize>);

    impl Reporter for Heard {
        fn report(&self, event: Event) {
            assert!(matches!(event, Event::Found(_)), "{event:?}");
            *self.0.lock().unwrap() += 1;
        }
    }

    fn output() -> Error {
        Error::Output { path: PathBuf::from("in"), source: io::Error::other("no such directory") }
    }

    #[test]
    fn warnings_are_counted_and_the_first_problem_decides() {
        let heard = Heard::default();
        let mut diagnosis = Diagnosis::new(&heard);
        diagnosis.tell(Finding::good(Check::State, "remembered", ""));
        diagnosis.tell(Finding::note(Check::Turn, "not_offered", ""));
        diagnosis.tell(Finding::warning(Check::Udp, "blocked", ""));
        assert_eq!(diagnosis.conclude().unwrap(), 1);
        let mut bad = Diagnosis::new(&heard);
        bad.tell_all(vec![problem(Check::Disk, &output()), problem(Check::Server, &Error::NoPath)]);
        let error = bad.conclude().unwrap_err();
        assert!(matches!(error, Error::Unfit { problems: 2, exit_code: 6 }), "{error:?}");
        assert_eq!(*heard.0.lock().unwrap(), 5);
    }

    #[test]
    fn a_problem_says_what_its_error_says_and_why() {
        let found = problem(Check::Disk, &output());
        assert_eq!(found.message, "Cannot save to `in`: no such directory.");
        assert_eq!((found.outcome, found.verdict), ("output", Verdict::Problem { exit_code: 6 }));
        assert!(found.advice.unwrap().contains("--output"));
    }

    #[test]
    fn what_a_cause_repeats_is_not_said_twice() {
        let refused = io::Error::other("connection refused");
        let source = crate::signaling::ConnectError::Unreachable(refused).into();
        let error = Error::ServerUnreachable { server: "http://a".to_owned(), source };
        let found = problem(Check::Server, &error);
        assert_eq!(found.message, "The server http://a cannot be reached: connection refused.");
    }
}
