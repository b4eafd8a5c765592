//! The page inside somebody else's page, and where nobody sends headers with it.

use serde_json::json;

use super::{BOTH, has_browsers, page, start};
use crate::chromium;

#[test]
fn a_page_in_a_frame_refuses_whoever_serves_it() {
    if !has_browsers() {
        return;
    }
    let (server, _) = start();
    for kind in BOTH {
        let address = page(&server);
        let argument = json!({ "kind": kind.name(), "executable": kind.program(), "address": address });
        let told = chromium::run("frames.mjs", &argument);
        assert_eq!(told["alone"]["heading"], "Receive files", "{kind:?}: it is there at any host");
        assert_eq!(told["alone"]["complaints"], json!([]), "{kind:?}");
        assert_eq!(told["alone"]["referrers"], json!([]), "{kind:?}");
        assert_eq!(
            told["refused"],
            json!([address]),
            "{kind:?}: the browser takes the page and shows nothing of it"
        );
        assert_eq!(
            told["shown"],
            json!({ "heading": ["Open this page by itself"], "controls": [] }),
            "{kind:?}"
        );
    }
}
