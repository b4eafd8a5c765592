use std::cell::RefCell;
use std::collections::BTreeSet;

use super::*;
use crate::config::{Config, Format, Typed};

fn parse(arguments: &[&str]) -> Args {
    Args::try_parse_from(std::iter::once(&"send").chain(arguments)).unwrap()
}

fn command(arguments: &[&str], files: &[&str]) -> Result<Command, String> {
    let exists = |path: &Path| files.iter().any(|file| path == Path::new(file));
    let parsed = Args::try_parse_from(std::iter::once(&"send").chain(arguments));
    parsed.and_then(|args| args.into_command(exists, &|_| None)).map_err(|error| error.to_string())
}

fn receive(code: &str) -> Command {
    Command::Receive(CodeSource::Argument(Secret::new(code)))
}

#[test]
fn the_definition_of_the_command_line_is_consistent() {
    Args::command().debug_assert();
}

#[test]
fn paths_are_sent() {
    let paths = vec![PathBuf::from("a.txt"), PathBuf::from("receive")];
    assert_eq!(command(&["a.txt", "receive"], &[]), Ok(Command::Send(paths)));
    let path = vec![PathBuf::from("./receive")];
    assert_eq!(command(&["./receive"], &[]), Ok(Command::Send(path)));
}

#[test]
fn every_name_of_receive_receives() {
    for name in ["receive", "recv", "rx", "get"] {
        assert_eq!(command(&[name, "48-2093"], &[]), Ok(receive("48-2093")));
        assert_eq!(command(&[name], &[]), Ok(Command::Receive(CodeSource::Prompt)));
    }
}

#[test]
fn the_doctor_looks_with_the_settings_of_a_transfer() {
    assert_eq!(command(&["doctor", "--server", "drop.example.org"], &[]), Ok(Command::Doctor));
    assert_eq!(command(&["./doctor"], &[]), Ok(Command::Send(vec![PathBuf::from("./doctor")])));
}

#[test]
fn a_single_code_receives_unless_a_file_has_that_name() {
    for code in ["48-2093", "482093", "48 2093", "https://drop.example.org/#k2v"] {
        assert_eq!(command(&[code], &[]), Ok(receive(code)));
        assert_eq!(command(&[code], &[code]), Ok(Command::Send(vec![PathBuf::from(code)])));
    }
    let both = vec![PathBuf::from("48-2093"), PathBuf::from("48-2094")];
    assert_eq!(command(&["48-2093", "48-2094"], &[]), Ok(Command::Send(both)));
}

#[test]
fn digits_without_the_dash_count_as_a_code_and_misspelt_files_do_not() {
    assert_eq!(command(&["4812093"], &[]), Ok(receive("4812093")));
    for path in ["2024-report", "notes.txt", "https://drop.example.org/"] {
        assert_eq!(command(&[path], &[]), Ok(Command::Send(vec![PathBuf::from(path)])));
    }
}

#[test]
fn flags_work_before_and_after_the_subcommand() {
    for arguments in [
        ["--yes", "-o", "in", "receive", "48-2093", "--json"],
        ["--json", "receive", "48-2093", "-y", "--output", "in"],
    ] {
        let args = parse(&arguments);
        let config = Config::resolve(args.layer(), Layer::default(), Layer::default()).unwrap();
        assert!(config.yes);
        assert_eq!(config.output, Path::new("in"));
        assert_eq!(config.format, Format::Json);
    }
}

#[test]
fn standard_input_and_output_are_refused_in_words() {
    let refused = command(&["-"], &[]).unwrap_err();
    assert!(refused.contains("standard input") && refused.contains("./-"), "{refused}");
    let output = command(&["receive", "-o", "-"], &[]).unwrap_err();
    assert!(output.contains("standard output"), "{output}");
}

#[test]
fn a_dash_reads_the_code_from_standard_input() {
    assert_eq!(command(&["receive", "-"], &[]), Ok(Command::Receive(CodeSource::Prompt)));
}

#[test]
fn the_environment_gives_the_code_when_the_command_line_does_not() {
    let var = |name: &str| (name == "SEND_CODE").then(|| OsString::from("48-2093"));
    let command = |arguments: &[&str]| parse(arguments).into_command(|_| false, &var).unwrap();
    let from_environment = CodeSource::Environment(Secret::new("48-2093"));
    assert_eq!(command(&["receive"]), Command::Receive(from_environment));
    assert_eq!(command(&["receive", "50-1111"]), receive("50-1111"));
}

#[test]
fn nothing_to_send_says_so() {
    let refused = command(&["--quiet"], &[]).unwrap_err();
    assert!(refused.contains("nothing to send"), "{refused}");
    let both = command(&["a.txt", "--quiet", "receive"], &[]).unwrap_err();
    assert!(both.contains("./receive"), "{both}");
}

#[test]
fn every_long_flag_has_a_variable_and_every_variable_a_flag() {
    let asked = RefCell::new(BTreeSet::from(["SEND_CONFIG".to_owned()]));
    let lookup = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        None
    };
    Layer::from_environment(&lookup).unwrap();
    let command = Args::command();
    let subcommands = command.get_subcommands().flat_map(clap::Command::get_arguments);
    let expected: BTreeSet<String> = command
        .get_arguments()
        .chain(subcommands)
        .filter_map(clap::Arg::get_long)
        .map(|long| format!("SEND_{}", long.to_uppercase().replace('-', "_")))
        .collect();
    assert_eq!(asked.into_inner(), expected);
}

#[test]
fn flags_reach_the_configuration() {
    let args = parse(&["-vv", "--words", "3", "--stun", "a.example,b.example", "--no-qr", "x"]);
    let config = Config::resolve(args.layer(), Layer::default(), Layer::default()).unwrap();
    assert_eq!((config.verbosity, config.typed, config.qr), (2, Typed::Words(3), false));
    assert_eq!(config.stun.len(), 2);
}

#[test]
fn debug_output_of_the_arguments_shows_no_code() {
    for arguments in [&["48-2093"][..], &["receive", "48-2093"]] {
        assert!(!format!("{:?}", parse(arguments)).contains("2093"));
    }
}
