//! How much a phone loads before somebody can type a code.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use super::{Kind, has_browsers, page, port, run, start, text};

/// Bytes of content, compressed as any browser takes it, and requests.
const MAX_LEN: usize = 70_000;
const MAX_REQUESTS: usize = 12;

#[test]
fn the_page_is_small_and_asks_nobody_else() {
    if !has_browsers() {
        return;
    }
    let (server, _) = start();
    for kind in [Kind::Chromium, Kind::Firefox] {
        // Whatever is typed, the requests before it are those that the page makes by itself.
        let told = &run(kind, &[json!({ "link": format!("{}#not-a-secret", page(&server)) })])[0];
        let requests = told["requestsBeforeTap"].as_array().unwrap().iter().map(text);
        // What an address itself contains is asked of nobody: the icon of the page.
        let requests: Vec<String> = requests.filter(|request| !request.starts_with("data:")).collect();
        assert!(requests.len() <= MAX_REQUESTS, "{requests:#?}");
        let lens = requests
            .iter()
            .map(|request| (len(port(&server), request.split_at(page(&server).len()).1), request));
        let lens: Vec<_> = lens.collect();
        let total: usize = lens.iter().map(|(len, _)| len).sum();
        assert!(total > 5_000, "nothing was measured: {lens:#?}");
        assert!(total <= MAX_LEN, "{total} bytes: {lens:#?}");
    }
}

/// The length of a file of the page as it travels.
fn len(port: &str, path: &str) -> usize {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let head = format!(
        "GET /{path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{path}: {}", String::from_utf8_lossy(&answer));
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    answer.len() - end - 4
}
