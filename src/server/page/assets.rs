//! The files of the page, which are part of the program, and the HTTP headers that let the page load nothing else.

use super::status::ChainStatus;
use axum::extract::{Path, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// The style sheets of the page and of the charts, as one file.
const STYLE: &str = concat!(
    include_str!("../../../data/page/page.css"),
    include_str!("../../../data/plot/plot.css")
);

/// The page's script.
const SCRIPT: &str = include_str!("../../../data/page/page.js");

/// The icon in black (`#000000`), which [`icon`] replaces with the color of a state.
const ICON: &str = include_str!("../../../data/page/icon.svg");

/// Keeps the page from loading anything from other servers, from having scripts or styles in its HTML, and from being
/// shown in a frame.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Answers with the file of this name.
pub(super) async fn file(Path(name): Path<String>) -> Response {
    let (kind, text, age) = match name.as_str() {
        "page.css" => ("text/css; charset=utf-8", STYLE.to_owned(), "max-age=60"),
        "page.js" => ("text/javascript; charset=utf-8", SCRIPT.to_owned(), "max-age=60"),
        name => match icon(name) {
            // Browsers have to keep the icon that says that the server is gone: they cannot load it then.
            Some(icon) => ("image/svg+xml", icon, "max-age=604800"),
            None => return StatusCode::NOT_FOUND.into_response(),
        },
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, age)];
    (headers, text).into_response()
}

/// Returns the icon of a state by its file name, such as `icon-current.svg`.
fn icon(name: &str) -> Option<String> {
    let key = name.strip_prefix("icon-")?.strip_suffix(".svg")?;
    let status = ChainStatus::ALL.into_iter().find(|status| status.key() == key)?;
    let color = match status {
        ChainStatus::Current => "#2f7d4f",
        ChainStatus::Syncing | ChainStatus::Behind => "#c46a1b",
        ChainStatus::NoPeers => "#77746c",
        ChainStatus::WrongClock => "#7a5aa6",
        ChainStatus::Damaged | ChainStatus::FullDisk | ChainStatus::Stopped => "#b3261e",
    };
    Some(ICON.replace("#000000", color))
}

/// Adds the HTTP headers that every answer of the page has. An answer that sets one of them itself keeps its own.
pub(super) async fn add_security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(header::CACHE_CONTROL, "no-store");
    response
}

#[cfg(test)]
mod tests {
    use super::{SCRIPT, STYLE, icon};
    use crate::server::page::status::ChainStatus;

    #[test]
    fn files_name_no_other_server_and_are_small() {
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("http://") && !text.contains("https://"), "{text}");
            assert!(!text.contains("@import") && !text.contains("eval("), "{text}");
        }
        assert!(STYLE.len() + SCRIPT.len() < 24_000, "{} + {}", STYLE.len(), SCRIPT.len());
    }

    #[test]
    fn each_state_has_an_icon() {
        for status in ChainStatus::ALL {
            let icon = icon(&format!("icon-{}.svg", status.key())).unwrap();
            assert!(!icon.contains("#000000") && icon.contains("fill=\"#"), "{icon}");
        }
        assert_eq!(icon("icon-other.svg"), None);
    }
}
