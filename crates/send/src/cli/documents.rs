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
    let mut command = Args::command();
    // What is said of the flags of all of them is said once.
    command.build();
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    for subcommand in command.get_subcommands().filter(|one| one.get_name() != "help") {
        let name = subcommand.get_name().to_uppercase();
        let man = Man::new(subcommand.clone());
        page.extend(format!(".SH SEND {name}\n").bytes());
        for (heading, render) in SECTIONS {
            page.extend(format!(".SS {heading}\n").bytes());
            let mut section = Vec::new();
            render(&man, &mut section)?;
            // Each begins with a heading of its own.
            let body = section.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            page.extend(section.get(body..).unwrap_or_default());
        }
    }
    Ok(page)
}

/// How one section of a page is written.
type Render = fn(&Man, &mut dyn io::Write) -> io::Result<()>;

/// Of a subcommand.
const SECTIONS: [(&str, Render); 2] = [
    ("Synopsis", |man, out| man.render_synopsis_section(out)),
    ("Description", |man, out| man.render_description_section(out)),
];

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
        assert_eq!(page.matches(".SH SEND RECEIVE").count(), 1);
    }
}
