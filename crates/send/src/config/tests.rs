use std::ffi::OsString;

use super::*;

fn environment(variables: &[(&str, &str)]) -> Result<Layer, ConfigError> {
    let lookup = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    };
    Layer::from_environment(&lookup)
}

fn file(text: &str) -> Result<Layer, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    Layer::read(&path)
}

fn server(text: &str) -> ServerUrl {
    text.parse().unwrap()
}

#[test]
fn a_flag_wins_over_the_environment_which_wins_over_the_file() {
    let resolve = |flag: Option<&str>, variable: &str, key: &str| {
        let flags = Layer { server: flag.map(server), ..Layer::default() };
        let environment = environment(&[("SEND_SERVER", variable)]).unwrap();
        Config::resolve(flags, environment, file(key).unwrap()).unwrap().server
    };
    let key = "server = 'https://file.example'";
    assert_eq!(resolve(Some("flag.example"), "env.example", key), Some(server("flag.example")));
    assert_eq!(resolve(None, "env.example", key), Some(server("env.example")));
    assert_eq!(resolve(None, "", key), Some(server("file.example")));
    assert_eq!(resolve(None, "", ""), None);
}

#[test]
fn the_defaults_are_safe_ones() {
    let config = Config::resolve(Layer::default(), Layer::default(), Layer::default()).unwrap();
    assert_eq!(config.typed, Typed::Digits(4));
    assert_eq!(config.existing, Existing::KeepBoth);
    assert_eq!(config.symlinks, Symlinks::Skip);
    assert!(!config.yes);
    assert_eq!(config.stun, []);
}

#[test]
fn an_unknown_key_in_the_file_is_an_error_that_names_it_and_its_line() {
    let error = file("yes = true\nsever = 'https://drop.example.org'\n").unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("`sever`"), "{error}");
}

#[test]
fn a_value_of_the_wrong_kind_is_an_error_that_names_its_line() {
    let port = file("\n\nport = 'high'\n").unwrap_err().to_string();
    assert!(port.contains("line 3"), "{port}");
    let server = file("server = 'ftp://drop.example.org'").unwrap_err().to_string();
    assert!(server.contains("https://"), "{server}");
}

#[test]
fn a_named_file_must_exist() {
    let missing = Path::new("/nonexistent/config.toml");
    let by_variable = |name: &str| (name == "SEND_CONFIG").then(|| OsString::from(missing));
    for result in [
        Config::load(Layer::default(), Some(missing), &|_| None),
        Config::load(Layer::default(), None, &by_variable),
    ] {
        assert!(matches!(result, Err(ConfigError::Unreadable { .. })), "{result:?}");
    }
}

#[test]
fn a_switch_in_the_environment_can_be_turned_off() {
    let file = file("yes = true").unwrap();
    let config = Config::resolve(Layer::default(), environment(&[("SEND_YES", "0")]).unwrap(), file);
    assert!(!config.unwrap().yes);
    let error = environment(&[("SEND_YES", "maybe")]).unwrap_err().to_string();
    assert!(error.contains("SEND_YES"), "{error}");
}

#[test]
fn a_code_of_less_than_four_digits_or_two_words_cannot_be_asked_for() {
    let three_digits = Layer { digits: Some(3), ..Layer::default() };
    let one_word = environment(&[("SEND_WORDS", "1")]).unwrap();
    let refused =
        |flags, environment| Config::resolve(flags, environment, Layer::default()).unwrap_err().to_string();
    assert_eq!(refused(three_digits, Layer::default()), "--digits must be 4 to 12, not 3");
    assert_eq!(refused(Layer::default(), one_word), "SEND_WORDS must be 2 to 8, not 1");
}

#[test]
fn words_asked_for_by_flag_win_over_digits_of_the_file_but_not_beside_them() {
    let words = Layer { words: Some(3), ..Layer::default() };
    let config = Config::resolve(words, Layer::default(), file("digits = 6").unwrap());
    assert_eq!(config.unwrap().typed, Typed::Words(3));
    let both = file("digits = 6\nwords = 3").unwrap();
    let error = Config::resolve(Layer::default(), Layer::default(), both).unwrap_err().to_string();
    assert_eq!(
        error,
        "`digits` in the configuration file and `words` in the configuration file exclude each other"
    );
}

#[test]
fn json_by_flag_wins_over_quiet_of_the_environment() {
    let json = Layer { json: Some(true), ..Layer::default() };
    let quiet = environment(&[("SEND_QUIET", "1")]).unwrap();
    assert_eq!(Config::resolve(json, quiet, Layer::default()).unwrap().format, Format::Json);
}

#[test]
fn server_addresses_are_completed_and_others_refused() {
    let cases = [
        ("drop.example.org", Some("https://drop.example.org/")),
        ("http://192.168.1.7:8080", Some("http://192.168.1.7:8080/")),
        ("https://example.org/send", Some("https://example.org/send/")),
        ("wss://drop.example.org", None),
        ("https://me:secret@drop.example.org", None),
        ("https://drop.example.org/#k2v", None),
        ("", None),
    ];
    for (text, expected) in cases {
        let parsed = text.parse::<ServerUrl>().ok();
        assert_eq!(parsed.as_ref().map(|server| server.as_url().as_str()), expected, "{text}");
    }
}

#[test]
fn several_stun_servers_fit_into_one_variable() {
    let layer = environment(&[("SEND_STUN", "stun:a.example:3478, b.example")]).unwrap();
    let urls: Vec<_> = layer.stun.iter().flatten().map(StunUrl::as_str).collect();
    assert_eq!(urls, ["stun:a.example:3478", "stun:b.example"]);
    assert!(environment(&[("SEND_STUN", "https://a.example/")]).is_err());
}
