//! The page, compiled in.

use axum::{http::header, response::IntoResponse};
use service::{Access::Open, Routes, routes::get};

const PAGE: &str = include_str!("../../../web/index.html");
const SCRIPT: &str = include_str!("../../../web/player.js");
const STYLE: &str = include_str!("../../../web/style.css");

/// `/` and what it loads.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .route("/", get(Open, async || file("text/html; charset=utf-8", PAGE)))
        .route("/player.js", get(Open, async || file("text/javascript; charset=utf-8", SCRIPT)))
        .route("/style.css", get(Open, async || file("text/css; charset=utf-8", STYLE)))
}

fn file(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    // Names come from the tags of files that others made: the page runs its own script only, sends
    // nothing elsewhere, and no other page shows it in a frame.
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                  media-src 'self' blob:; base-uri 'none'; form-action 'none'; \
                  frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    (headers, text)
}
