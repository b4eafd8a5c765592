//! The page that receives in a browser, out of the binary itself: there is no directory to find or to leave.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

// `VERSION`, one hash over the page, and `FILES`, sorted by path.
include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// A file of the page.
struct File {
    path: &'static str,
    /// A hash of its content.
    tag: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
    brotli: &'static [u8],
}

/// Answers a request for a file of the page; everything else is not found.
///
/// Below the version of this page everything stays as it is for good; elsewhere, a browser asks again.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let asked = uri.path().trim_start_matches('/');
    let (version, path) = split_version(asked);
    let path = if path.is_empty() && version.is_none() { "index.html" } else { path };
    let Ok(index) = FILES.binary_search_by(|file| file.path.cmp(path)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some(file) = FILES.get(index) else { return StatusCode::NOT_FOUND.into_response() };
    let caching = if version == Some(VERSION) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let (coding, content) = file.form(&headers);
    let tag = format!("\"{}{}\"", file.tag, coding.unwrap_or_default());
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|tags| names(tags, &tag));
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { body(path, content) };
    let mut set = |name: HeaderName, value: &str| {
        response.headers_mut().extend(HeaderValue::try_from(value).map(|value| (name, value)));
    };
    set(header::ETAG, &tag);
    set(header::CACHE_CONTROL, caching);
    set(header::VARY, "accept-encoding");
    if let Some(coding) = coding.filter(|_| !known) {
        set(header::CONTENT_ENCODING, coding);
    }
    response
}

impl File {
    /// The shortest form that the client takes, and the name of its coding.
    fn form(&self, headers: &HeaderMap) -> (Option<&'static str>, &'static [u8]) {
        let forms = [("br", self.brotli), ("gzip", self.gzip)];
        let taken = forms.into_iter().filter(|(coding, _)| accepts(headers, coding));
        let shortest = taken.min_by_key(|(_, form)| form.len());
        match shortest.filter(|(_, form)| form.len() < self.plain.len()) {
            Some((coding, form)) => (Some(coding), form),
            None => (None, self.plain),
        }
    }
}

fn body(path: &str, content: &'static [u8]) -> Response {
    ([(header::CONTENT_TYPE, media_type(path))], Body::from(Bytes::from_static(content))).into_response()
}

/// The version that a path begins with, `~` in front, and what follows it.
fn split_version(path: &str) -> (Option<&str>, &str) {
    let versioned = path.strip_prefix('~').and_then(|rest| rest.split_once('/'));
    versioned.map_or((None, path), |(version, rest)| (Some(version), rest))
}

/// Whether `Accept-Encoding` names `coding` and does not refuse it (RFC 9110 §12.5.3).
fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|element| {
        let (name, weight) = element.split_once(';').unwrap_or((element, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        name.trim().eq_ignore_ascii_case(coding) && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// Whether an `If-None-Match` list names `tag` (RFC 9110 §13.1.2: compared weakly).
fn names(list: &HeaderValue, tag: &str) -> bool {
    let tags = list.to_str().unwrap_or_default();
    tags.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

/// With `nosniff` a script or a module of the wrong type does not run, so the types are few and exact.
fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use http_body_util::BodyExt;

    use super::*;

    async fn get(path: &str, with: &[(HeaderName, &str)]) -> Response {
        let headers = with.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        serve(Method::GET, path.parse().unwrap(), headers).await
    }

    async fn bytes(response: Response) -> Vec<u8> {
        response.into_body().collect().await.unwrap().to_bytes().to_vec()
    }

    fn value(response: &Response, name: HeaderName) -> &str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[tokio::test]
    async fn the_page_is_revalidated_and_not_sent_twice() {
        let first = get("/", &[]).await;
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(value(&first, header::CONTENT_TYPE), "text/html; charset=utf-8");
        assert_eq!(value(&first, header::CACHE_CONTROL), "no-cache");
        let tag = value(&first, header::ETAG).to_owned();
        for list in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let again = get("/", &[(header::IF_NONE_MATCH, &list)]).await;
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{list}");
        }
        assert_eq!(get("/", &[(header::IF_NONE_MATCH, "\"other\"")]).await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn what_the_page_loads_is_kept_for_good_under_its_version() {
        let page = String::from_utf8(bytes(get("/", &[]).await).await).unwrap();
        let script = format!("src=\"~{VERSION}/app.js\"");
        assert!(page.contains(&script), "{page}");
        let versioned = get(&format!("/~{VERSION}/app.js"), &[]).await;
        assert_eq!(value(&versioned, header::CACHE_CONTROL), "public, max-age=31536000, immutable");
        for path in ["/app.js", "/~0123456789abcdef/app.js"] {
            let response = get(path, &[]).await;
            assert_eq!(
                (response.status(), value(&response, header::CACHE_CONTROL)),
                (StatusCode::OK, "no-cache")
            );
        }
        assert_eq!(get(&format!("/~{VERSION}/"), &[]).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(get(&format!("/~{VERSION}/none.js"), &[]).await.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn a_file_is_compressed_for_those_who_take_it_so() {
        let path = "/wire/wire_bg.wasm";
        let plain = get(path, &[]).await;
        assert_eq!(value(&plain, header::CONTENT_ENCODING), "");
        let plain = bytes(plain).await;
        for (accepted, coding) in [
            ("gzip, deflate", "gzip"),
            ("gzip, deflate, br, zstd", "br"),
            ("br;q=0, gzip;q=0.5", "gzip"),
            ("identity", ""),
            ("gzip;q=0", ""),
            ("*", ""),
        ] {
            let response = get(path, &[(header::ACCEPT_ENCODING, accepted)]).await;
            assert_eq!(value(&response, header::CONTENT_ENCODING), coding, "{accepted}");
            assert_eq!(value(&response, header::VARY), "accept-encoding");
            assert_eq!(value(&response, header::CONTENT_TYPE), "application/wasm");
            let content = bytes(response).await;
            let mut unpacked = Vec::new();
            match coding {
                "gzip" => flate2::read::GzDecoder::new(&*content).read_to_end(&mut unpacked).unwrap(),
                "br" => brotli::Decompressor::new(&*content, 4096).read_to_end(&mut unpacked).unwrap(),
                _ => (&*content).read_to_end(&mut unpacked).unwrap(),
            };
            assert!(unpacked == plain, "{accepted}");
        }
    }

    #[tokio::test]
    async fn nothing_outside_the_page_is_served() {
        for path in [
            "/../Cargo.toml",
            "/..%2fCargo.toml",
            "/%2e%2e/Cargo.toml",
            "//etc/passwd",
            "/.git/config",
            "/~/",
            "/~x/../y",
        ] {
            assert_eq!(get(path, &[]).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn every_file_of_the_page_has_a_media_type() {
        for file in FILES {
            assert_ne!(media_type(file.path), "application/octet-stream", "{}", file.path);
        }
    }
}
