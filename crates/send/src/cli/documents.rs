//! What can be made of the definition of the command line: completions for shells, and the manual page.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use super::Args;

/// The script that completes `send` in `shell`.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "send", &mut script);
    script
}

/// The manual page in the form of man(7): `send`, and a section for each of its subcommands.
///
/// # Errors
/// None that a program in working order comes to: it is written into memory.
pub fn manual() -> io::Result<Vec<u8>> {
    let command = Args::command();
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    for subcommand in command.get_subcommands() {
        page.extend(format!(".SH SEND {}\n", subcommand.get_name().to_uppercase()).bytes());
        let mut section = Vec::new();
        Man::new(subcommand.clone()).render_description_section(&mut section)?;
        let lines = section.split_inclusive(|byte| *byte == b'\n');
        page.extend(lines.filter(|line| !is_head(line)).flatten());
    }
    Ok(page)
}

/// Whether a line of a section is what stands before its text: its heading, and definitions that the page has already.
fn is_head(line: &[u8]) -> bool {
    [&b".SH "[..], b".ie ", b".el "].iter().any(|beginning| line.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_completes_subcommands_and_flags() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(completions(*shell)).unwrap();
            for word in ["receive", "doctor", "relay-only"] {
                assert!(script.contains(word), "{word} in {shell}");
            }
        }
    }

    #[test]
    fn the_manual_has_every_subcommand_and_what_follows_the_help() {
        let page = String::from_utf8(manual().unwrap()).unwrap();
        assert!(page.contains(".TH send 1"), "{page}");
        for words in ["SEND RECEIVE", "SEND DOCTOR", "SEND SERVE", "\\-\\-server", "Exit status: 0 done"] {
            assert!(page.contains(words), "{words} in {page}");
        }
        assert_eq!(page.matches(".SH DESCRIPTION").count(), 1, "that of each has a heading of its own");
    }
}
