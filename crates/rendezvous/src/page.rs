//! The page that receives in a browser, out of the binary itself: there is no directory to find or to leave.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../../web-static"]
struct Assets;

/// Answers a request for a file of the page; everything else is not found.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let Some(file) = Assets::get(path) else { return StatusCode::NOT_FOUND.into_response() };
    let tag = format!("\"{}\"", HEXLOWER.encode(&file.metadata.sha256_hash()));
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|tags| names(tags, &tag));
    let validators = [(header::ETAG, tag), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if known {
        return (StatusCode::NOT_MODIFIED, validators).into_response();
    }
    (validators, [(header::CONTENT_TYPE, media_type(path))], Body::from(file.data)).into_response()
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
    use super::*;

    async fn get(path: &str, if_none_match: Option<&str>) -> Response {
        let mut headers = HeaderMap::new();
        if let Some(tags) = if_none_match {
            headers.insert(header::IF_NONE_MATCH, tags.parse().unwrap());
        }
        serve(Method::GET, path.parse().unwrap(), headers).await
    }

    #[tokio::test]
    async fn the_page_is_revalidated_and_not_sent_twice() {
        let first = get("/", None).await;
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(first.headers()[header::CACHE_CONTROL], "no-cache");
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        for list in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            assert_eq!(get("/", Some(&list)).await.status(), StatusCode::NOT_MODIFIED, "{list}");
        }
        assert_eq!(get("/", Some("\"other\"")).await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn nothing_outside_the_page_is_served() {
        for path in
            ["/../Cargo.toml", "/..%2fCargo.toml", "/%2e%2e/Cargo.toml", "//etc/passwd", "/.git/config"]
        {
            assert_eq!(get(path, None).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn every_file_of_the_page_has_a_media_type() {
        for path in Assets::iter() {
            assert_ne!(media_type(&path), "application/octet-stream", "{path}");
        }
    }
}
