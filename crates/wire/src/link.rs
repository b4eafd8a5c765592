//! The share link, which a phone scans: `https://drop.example.org/#` and a 128-bit password.
//!
//! Browsers never send what follows the `#`, so the server that the link names does not learn the password. What
//! stands before it is kept as text: this module knows enough of URLs to refuse what is not a plain address, no more.

use core::fmt;
use core::net::Ipv6Addr;
use core::str::FromStr;

use base64ct::{Base64UrlUnpadded, Encoding};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::code::Password;

/// Where to meet and the password to meet with: `origin "/#" base64url(password)`.
#[derive(Clone, PartialEq, Eq)]
pub struct ShareLink {
    origin: String,
    password: Password,
}

impl ShareLink {
    /// Longest link in bytes. A QR code of this length still fits a terminal of 80 columns.
    pub const MAX_LEN: usize = 512;

    /// A link to the rendezvous at `origin` with this password. A `/` at the end of `origin` is dropped.
    ///
    /// # Errors
    /// The [`ParseLinkError`] of an origin that no link can have.
    pub fn new(origin: &str, password: [u8; Password::LINK_LEN]) -> Result<Self, ParseLinkError> {
        let origin = parse_origin(origin.strip_suffix('/').unwrap_or(origin))?;
        let len = origin.len() + 2 + SECRET_LEN;
        if len > Self::MAX_LEN {
            return Err(ParseLinkError::TooLong { len });
        }
        Ok(Self { origin, password: Password::from_link(password) })
    }

    /// The address of the rendezvous: scheme, host, port if any, path if any, no `/` at the end.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The password, which keys the handshake.
    pub fn password(&self) -> &Password {
        &self.password
    }

    /// The link as text, password included: for the eyes of the user only.
    pub fn expose(&self) -> Zeroizing<String> {
        let secret = Zeroizing::new(Base64UrlUnpadded::encode_string(self.password.as_bytes()));
        Zeroizing::new(format!("{}/#{}", self.origin, *secret))
    }
}

impl fmt::Debug for ShareLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShareLink").field("origin", &self.origin).field("password", &self.password).finish()
    }
}

impl FromStr for ShareLink {
    type Err = ParseLinkError;

    /// Parses a link as it was scanned or pasted (PROTOCOL.md §3.2). White space around it does not count.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.len() > Self::MAX_LEN {
            return Err(ParseLinkError::TooLong { len: text.len() });
        }
        let (address, fragment) = text.split_once('#').unwrap_or((text, ""));
        let origin = parse_origin(address.strip_suffix('/').unwrap_or(address))?;
        if fragment.is_empty() {
            return Err(ParseLinkError::NoPassword);
        }
        if !address.ends_with('/') {
            return Err(ParseLinkError::Path);
        }
        Ok(Self { origin, password: parse_password(fragment)? })
    }
}

/// Why a text is not a link. No variant repeats the text.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseLinkError {
    /// It does not begin with `http://` or `https://`.
    #[error("this is not a link: a link begins with http:// or https://")]
    NotALink,
    /// More than [`ShareLink::MAX_LEN`] bytes.
    #[error("the link is {len} bytes, at most {} are allowed", ShareLink::MAX_LEN)]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A user name or a password before the host.
    #[error("the link names a user before the host")]
    Credentials,
    /// A query: what follows a `?` is sent to the server, so no link of ours has one.
    #[error("the link has a `?`, which links of this program do not")]
    Query,
    /// No host, or one that is neither an ASCII name nor an address.
    #[error("the link has no valid host")]
    Host,
    /// A port that is not 1 to 65,535.
    #[error("the port of the link is not 1 to 65535")]
    Port,
    /// A path that has `.`, `..` or empty names or unusual characters, or does not end in `/`.
    #[error("the path of the link is not valid")]
    Path,
    /// Nothing after the `#`, or no `#`.
    #[error("the link has no part after `#`: copy the whole link")]
    NoPassword,
    /// A password whose end is missing.
    #[error("the part of the link after `#` is cut off: copy the whole link")]
    PasswordTooShort,
    /// A fragment of a form that this version does not know.
    #[error(
        "the part of the link after `#` is of an unknown form: a newer version of send may understand it"
    )]
    UnknownForm,
}

/// Checks `scheme://host[:port][/path]` and returns it with scheme and host in lower case.
fn parse_origin(text: &str) -> Result<String, ParseLinkError> {
    let (scheme, rest) = text.split_once("://").ok_or(ParseLinkError::NotALink)?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return Err(ParseLinkError::NotALink);
    }
    if rest.contains('?') {
        return Err(ParseLinkError::Query);
    }
    let (authority, path) = rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err(ParseLinkError::Credentials);
    }
    check_authority(authority)?;
    if !path.split('/').skip(1).all(is_path_segment) {
        return Err(ParseLinkError::Path);
    }
    Ok(format!("{scheme}://{}{path}", authority.to_ascii_lowercase()))
}

/// Checks `host`, `host:port`, `[address]` or `[address]:port`.
fn check_authority(authority: &str) -> Result<(), ParseLinkError> {
    let port = if let Some(bracketed) = authority.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']').ok_or(ParseLinkError::Host)?;
        address.parse::<Ipv6Addr>().map_err(|_| ParseLinkError::Host)?;
        port
    } else {
        let (host, port) =
            authority.find(':').and_then(|at| authority.split_at_checked(at)).unwrap_or((authority, ""));
        if !host.split('.').all(is_host_label) {
            return Err(ParseLinkError::Host);
        }
        port
    };
    if port.is_empty() {
        return Ok(());
    }
    let digits = port.strip_prefix(':').ok_or(ParseLinkError::Host)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if is_number && digits.parse::<u16>().is_ok() { Ok(()) } else { Err(ParseLinkError::Port) }
}

fn is_host_label(label: &str) -> bool {
    let is_plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    is_plain && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
}

fn is_path_segment(segment: &str) -> bool {
    let is_plain =
        segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~'));
    is_plain && !matches!(segment, "" | "." | "..")
}

fn parse_password(fragment: &str) -> Result<Password, ParseLinkError> {
    let is_base64url =
        fragment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_base64url && fragment.len() < SECRET_LEN {
        return Err(ParseLinkError::PasswordTooShort);
    }
    let bytes = Base64UrlUnpadded::decode_vec(fragment).map_err(|_| ParseLinkError::UnknownForm)?;
    let bytes = Zeroizing::new(bytes);
    let password = bytes.as_slice().try_into().map_err(|_| ParseLinkError::UnknownForm)?;
    Ok(Password::from_link(password))
}

/// Characters of base64url without padding that 16 bytes make: `⌈16 · 8 / 6⌉`.
const SECRET_LEN: usize = 22;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::code::{Code, Mode};

    const SECRET: &str = "AAECAwQFBgcICQoLDA0ODw";

    fn parse(text: &str) -> Result<String, ParseLinkError> {
        text.parse::<ShareLink>().map(|link| link.origin().to_owned())
    }

    #[test]
    fn a_link_is_origin_and_password() {
        let bytes = core::array::from_fn(|index| u8::try_from(index).unwrap());
        let link = ShareLink::new("https://drop.example.org", bytes).unwrap();
        assert_eq!(*link.expose(), format!("https://drop.example.org/#{SECRET}"));
        assert_eq!(link.expose().parse(), Ok(link.clone()));
        assert_eq!(link.password().mode(), Mode::Link);
        assert_eq!(link.password().as_bytes(), bytes);
    }

    #[test]
    fn every_plain_address_makes_a_link() {
        let origins = [
            "https://drop.example.org",
            "http://192.168.1.5:9473",
            "http://192.168.1.5:9473/base",
            "https://example.org/a/b-c_d.e~f",
            "http://[fe80::1]:8080",
            "http://[::1]",
            "http://localhost:1",
            "https://xn--bcher-kva.example:65535",
        ];
        for origin in origins {
            assert_eq!(parse(&format!("{origin}/#{SECRET}")).as_deref(), Ok(origin));
            assert_eq!(ShareLink::new(origin, [0; 16]).unwrap().origin(), origin);
            assert_eq!(ShareLink::new(&format!("{origin}/"), [0; 16]).unwrap().origin(), origin);
        }
    }

    #[test]
    fn case_of_scheme_and_host_and_white_space_around_do_not_count() {
        let text = format!(" HTTPS://Drop.Example.ORG/Base/#{SECRET}\n");
        assert_eq!(parse(&text).as_deref(), Ok("https://drop.example.org/Base"));
    }

    #[test]
    fn other_schemes_are_no_links() {
        for text in [
            "javascript:alert(1)",
            "ftp://h/#x",
            "file:///etc/passwd",
            "//h/#x",
            "drop.example.org/#x",
            "",
            "https:/h/",
        ] {
            assert_eq!(parse(text), Err(ParseLinkError::NotALink), "{text}");
        }
    }

    #[test]
    fn an_address_that_is_not_plain_is_refused() {
        let cases = [
            ("https://user@h/", ParseLinkError::Credentials),
            ("https://drop.example.org:x@evil.example/", ParseLinkError::Credentials),
            ("https://h/?a=b", ParseLinkError::Query),
            ("https://h?/", ParseLinkError::Query),
            ("https:///", ParseLinkError::Host),
            ("https://:80/", ParseLinkError::Host),
            ("https://a..b/", ParseLinkError::Host),
            ("https://-a/", ParseLinkError::Host),
            ("https://ex ample.org/", ParseLinkError::Host),
            ("https://exa\u{7f}mple.org/", ParseLinkError::Host),
            ("https://exämple.org/", ParseLinkError::Host),
            ("https://h\\evil/", ParseLinkError::Host),
            ("https://h%2eevil/", ParseLinkError::Host),
            ("https://[::1/", ParseLinkError::Host),
            ("https://[::g]/", ParseLinkError::Host),
            ("https://[::1]80/", ParseLinkError::Host),
            ("https://h:/", ParseLinkError::Port),
            ("https://h:0/", ParseLinkError::Port),
            ("https://h:080/", ParseLinkError::Port),
            ("https://h:65536/", ParseLinkError::Port),
            ("https://h:+80/", ParseLinkError::Port),
            ("https://::1/", ParseLinkError::Host),
            ("https://h//", ParseLinkError::Path),
            ("https://h/../x/", ParseLinkError::Path),
            ("https://h/a b/", ParseLinkError::Path),
            ("https://h/a\tb/", ParseLinkError::Path),
            ("https://h/%0a/", ParseLinkError::Path),
            ("https://h/\u{1b}[2J/", ParseLinkError::Path),
            ("https://h/index.html", ParseLinkError::Path),
            ("https://h", ParseLinkError::Path),
        ];
        for (address, error) in cases {
            assert_eq!(parse(&format!("{address}#{SECRET}")), Err(error), "{address:?}");
        }
    }

    #[test]
    fn a_link_without_its_password_asks_for_the_whole_link() {
        for text in ["https://h", "https://h/", "https://h/#"] {
            assert_eq!(parse(text), Err(ParseLinkError::NoPassword), "{text}");
        }
        for len in 1..SECRET.len() {
            let text = format!("https://h/#{}", &SECRET[..len]);
            assert_eq!(parse(&text), Err(ParseLinkError::PasswordTooShort), "{len}");
        }
    }

    #[test]
    fn a_fragment_of_another_form_asks_for_a_newer_version() {
        let fragments = [
            "AAECAwQFBgcICQoLDA0ODwA",
            "AAECAwQFBgcICQoLDA0ODx",
            "AAECAwQFBgcICQoLDA0ODw==",
            "AAECAwQFBgcICQoLDA0OD+",
            "AAECAwQFBgcICQoLDA0OD#",
            "v2.AAECAwQFBgcICQoLDA0ODw",
            "AAECAwQFBgc CQoLDA0ODw",
            "48-2093?",
        ];
        for fragment in fragments {
            assert_eq!(
                parse(&format!("https://h/#{fragment}")),
                Err(ParseLinkError::UnknownForm),
                "{fragment}"
            );
        }
    }

    #[test]
    fn a_link_of_more_than_512_bytes_is_refused() {
        let long = format!("https://h/{}", "a".repeat(480));
        let len = long.len() + 2 + SECRET_LEN;
        assert_eq!(parse(&format!("{long}/#{SECRET}")), Err(ParseLinkError::TooLong { len }));
        assert_eq!(ShareLink::new(&long, [0; 16]), Err(ParseLinkError::TooLong { len }));
    }

    #[test]
    fn a_code_is_no_link_and_a_link_is_no_code() {
        for code in ["48-2093", "482093", "48-able-acid"] {
            assert_eq!(parse(code), Err(ParseLinkError::NotALink), "{code}");
        }
        assert!(format!("https://drop.example.org/#{SECRET}").parse::<Code>().is_err());
        assert!(SECRET.parse::<Code>().is_err());
    }

    #[test]
    fn debug_output_shows_nothing_of_the_password() {
        let link: ShareLink = format!("https://h/#{SECRET}").parse().unwrap();
        let shown = format!("{link:?}");
        assert!(
            shown.contains("https://h") && !shown.contains(SECRET) && !shown.contains("[0, 1"),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn what_is_shown_parses_to_the_same_link(
            origin in "https?://[a-z]{1,10}(\\.[a-z]{1,10}){0,3}(:[1-9][0-9]{0,3})?(/[a-z]{1,9}){0,2}",
            bytes in any::<[u8; 16]>(),
        ) {
            let link = ShareLink::new(&origin, bytes).unwrap();
            prop_assert_eq!(link.expose().parse(), Ok(link));
        }

        #[test]
        fn arbitrary_text_never_panics(text in "(https?://)?\\PC{0,40}(/#)?\\PC{0,30}") {
            if let Ok(link) = text.parse::<ShareLink>() {
                prop_assert_eq!(link.expose().parse(), Ok(link));
            }
        }
    }
}
