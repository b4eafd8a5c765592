//! What README.md says in tables is what the code does.

use std::collections::BTreeSet;

use clap::CommandFactory;

use super::source::{name, read};

/// What stands in backticks in the first cell of each row between the heading `## …section` and the next heading.
fn first_cells(document: &str, section: &str) -> BTreeSet<String> {
    rows(document, section).into_iter().map(|(first, _)| first).collect()
}

/// First cell without backticks, and second cell, of each row of a section whose first cell is in backticks.
fn rows(document: &str, section: &str) -> Vec<(String, String)> {
    let starts = |line: &str| line.starts_with('#') && line.trim_start_matches('#').trim() == section;
    let lines = document.lines().skip_while(|line| !starts(line)).skip(1);
    let inside = lines.take_while(|line| !line.starts_with('#'));
    inside
        .filter_map(|line| {
            let (first, rest) = line.strip_prefix("| `")?.split_once("` |")?;
            Some((first.to_owned(), rest.split('|').next().unwrap_or_default().trim().to_owned()))
        })
        .collect()
}

/// The names of the events that `ui::json` writes: `("name", fields)` for an event, `object("name", …)` for an error.
fn json_events(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let events = code.split("let (name, fields) = match event {").nth(1).unwrap_or_default();
    let events = events.split("object(name, fields)").next().unwrap_or_default();
    let starts = events.split("(\"").skip(1).chain(code.split("object(\"").skip(1));
    starts.map(|text| name(text).to_owned()).collect()
}

/// The long flags of the command line, subcommands included, but not those every program has.
fn flags(command: &clap::Command) -> BTreeSet<String> {
    let own = command
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .filter(|flag| *flag != "help" && *flag != "version");
    let own = own.map(|flag| format!("--{flag}"));
    own.chain(command.get_subcommands().flat_map(flags)).collect()
}

/// Name and documented default of each limit and time of the rendezvous, as `limits.sockets`.
fn settings(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (table, definition) in [("times", "pub struct Times {"), ("limits", "pub struct Limits {")] {
        let fields =
            source.split(definition).nth(1).and_then(|rest| rest.split("\n}").next()).unwrap_or_default();
        let mut docs = String::new();
        for line in fields.lines().map(str::trim) {
            if let Some(doc) = line.strip_prefix("///") {
                docs.push_str(doc);
            } else if let Some(field) = line.strip_prefix("pub ") {
                found.push((format!("{table}.{}", name(field)), std::mem::take(&mut docs)));
            }
        }
    }
    found
}

#[test]
fn every_json_event_has_a_row_and_every_row_an_event() {
    let events = json_events(&read("crates/send/src/ui/json.rs"));
    assert!(events.contains("code") && events.contains("error") && events.len() > 10, "{events:?}");
    assert_eq!(first_cells(&read("README.md"), "JSON events"), events);
}

#[test]
fn every_flag_has_a_row_and_every_row_a_flag() {
    let flags = flags(&send::cli::Args::command());
    assert!(flags.contains("--output") && flags.contains("--listen"), "{flags:?}");
    let listed = first_cells(&read("README.md"), "Flags");
    let listed: BTreeSet<String> = listed
        .iter()
        .filter_map(|cell| cell.split([' ', ',']).find(|word| word.starts_with("--")))
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, flags);
}

#[test]
fn every_limit_of_the_rendezvous_has_a_row_with_its_default() {
    let settings = settings(&read("crates/rendezvous/src/config.rs"));
    let rows = rows(&read("README.md"), "Limits of the rendezvous");
    let names =
        |table: &[(String, String)]| table.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
    assert!(settings.len() > 15);
    assert_eq!(names(&rows), names(&settings));
    for (name, default) in rows {
        let (_, docs) = settings.iter().find(|(setting, _)| *setting == name).unwrap();
        assert!(
            docs.contains(&format!("Default {default}")),
            "{name}: README.md says {default}, the code {docs}"
        );
    }
}

#[test]
fn a_table_that_differs_is_found() {
    let document = "## JSON events\n| event | says |\n|---|---|\n| `code` | x |\n| `gone` | y |\n## Flags\n| `other` | z |\n";
    assert_eq!(first_cells(document, "JSON events"), ["code", "gone"].map(str::to_owned).into());
    let source = "let (name, fields) = match event { A => (\"code\", json!({ \"size\": 1 })), };\nobject(name, fields)\n\
                  object(\"error\", f)\n#[cfg(test)] object(\"test\", f)";
    assert_eq!(json_events(source), ["code", "error"].map(str::to_owned).into());
    let config =
        "pub struct Times {\n    /// Life. Default 5 min.\n    #[serde(x)]\n    pub code_ttl: Duration,\n}\n";
    assert_eq!(settings(config), [("times.code_ttl".to_owned(), " Life. Default 5 min.".to_owned())]);
}
