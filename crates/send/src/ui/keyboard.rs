//! Lines typed by a person, read without blocking anyone else.

use std::io::{self, BufRead, Read};

use tokio::sync::{Mutex, mpsc};

use crate::report::AskError;

/// Reads lines on a thread of its own, because reading a terminal cannot be cancelled: a question that is withdrawn leaves
/// the thread waiting, and the end of the process ends it.
pub(super) struct Keyboard {
    state: Mutex<State>,
}

enum State {
    /// Nobody asked yet; nothing is read.
    Idle(Option<Box<dyn BufRead + Send>>),
    /// The thread reads ahead.
    Reading(mpsc::Receiver<io::Result<String>>),
}

/// What becomes of lines that were typed before the question was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TypedAhead {
    /// They were meant for something else: a second Enter must not answer the next question.
    Discard,
    /// They are the answer: a script wrote them.
    Keep,
}

impl Keyboard {
    /// Reads from `input`, from the first question on.
    pub(super) fn new(input: Box<dyn BufRead + Send>) -> Self {
        Self { state: Mutex::new(State::Idle(Some(input))) }
    }

    /// Shows a question by `show` and waits for a line. Dropping the future withdraws the question.
    pub(super) async fn ask(
        &self,
        ahead: TypedAhead,
        show: impl FnOnce() + Send,
    ) -> Result<String, AskError> {
        let mut state = self.state.lock().await;
        if let State::Idle(input) = &mut *state {
            let Some(input) = input.take() else { return Err(AskError::Closed) };
            *state = State::Reading(start(input).map_err(AskError::Read)?);
        }
        let State::Reading(lines) = &mut *state else { return Err(AskError::Closed) };
        if ahead == TypedAhead::Discard {
            while lines.try_recv().is_ok() {}
        }
        show();
        match lines.recv().await {
            Some(line) => line.map_err(AskError::Read),
            None => Err(AskError::Closed),
        }
    }
}

fn start(mut input: Box<dyn BufRead + Send>) -> io::Result<mpsc::Receiver<io::Result<String>>> {
    let (sender, receiver) = mpsc::channel(16);
    let read = move || {
        loop {
            let mut line = String::new();
            let answer = match input.by_ref().take(LINE_LEN).read_line(&mut line) {
                Ok(0) => return,
                Ok(_) => Ok(line),
                Err(error) => Err(error),
            };
            let failed = answer.is_err();
            if sender.blocking_send(answer).is_err() || failed {
                return;
            }
        }
    };
    std::thread::Builder::new().name("keyboard".to_owned()).spawn(read)?;
    Ok(receiver)
}

/// Longest line, in bytes; links are shorter.
const LINE_LEN: u64 = 4_096;

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};

    use super::*;

    fn keyboard() -> (Keyboard, io::PipeWriter) {
        let (reader, writer) = io::pipe().unwrap();
        (Keyboard::new(Box::new(BufReader::new(reader))), writer)
    }

    #[tokio::test]
    async fn a_line_answers_the_question() {
        let (keyboard, mut typist) = keyboard();
        let answer = keyboard.ask(TypedAhead::Discard, || typist.write_all(b"48-2093\n").unwrap()).await;
        assert_eq!(answer.unwrap(), "48-2093\n");
    }

    #[tokio::test]
    async fn a_withdrawn_question_leaves_the_next_one_answerable() {
        let (keyboard, mut typist) = keyboard();
        {
            let mut withdrawn = Box::pin(keyboard.ask(TypedAhead::Discard, || ()));
            assert!(futures_util::poll!(&mut withdrawn).is_pending());
        }
        let answer = keyboard.ask(TypedAhead::Discard, || typist.write_all(b"y\n").unwrap()).await;
        assert_eq!(answer.unwrap(), "y\n");
    }

    #[tokio::test]
    async fn the_end_of_the_input_ends_the_question() {
        let (keyboard, typist) = keyboard();
        let ended = keyboard.ask(TypedAhead::Keep, || drop(typist)).await;
        assert!(matches!(ended, Err(AskError::Closed)), "{ended:?}");
    }

    #[tokio::test]
    async fn what_a_script_wrote_ahead_is_kept() {
        let input: Box<dyn BufRead + Send> = Box::new(io::Cursor::new("48-2093\ny\n"));
        let keyboard = Keyboard::new(input);
        assert_eq!(keyboard.ask(TypedAhead::Keep, || ()).await.unwrap(), "48-2093\n");
        assert_eq!(keyboard.ask(TypedAhead::Keep, || ()).await.unwrap(), "y\n");
    }
}
