//! Makes the HTML of the pages.

mod bars;
mod front;
mod header;
mod text;

pub(super) use front::front;
pub(super) use header::header;

use crate::chain::Params;
use maud::{DOCTYPE, Markup, html};

/// The parts around the contents of a page.
struct PageFrame<'a> {
    params: &'a Params,
    title: &'a str,
    /// The key of the state that the icon shows.
    icon: &'a str,
    /// This computer's time in Unix seconds; 0 if the page shows no ages.
    now: u32,
    /// Whether the script keeps the page up to date.
    live: bool,
}

impl PageFrame<'_> {
    /// Returns the whole page with these contents.
    fn wrap(&self, contents: &Markup) -> Markup {
        let icon = format!("/page/icon-{}.svg", self.icon);
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · lightclient" }
                    link rel="icon" type="image/svg+xml" href=(icon);
                    link rel="stylesheet" href="/page/page.css";
                    script src="/page/page.js" defer {}
                }
                body data-now=(self.now) data-live[self.live] {
                    header.top {
                        a.name href="/" { "lightclient" }
                        span.network { (self.params.network) }
                        form.search action="/search" role="search" {
                            input type="search" name="q" aria-label="Height, hash or date"
                                placeholder="height, hash or date" autocomplete="off"
                                spellcheck="false" maxlength="100";
                            kbd aria-hidden="true" { "/" }
                        }
                    }
                    main { (contents) }
                }
            }
        }
    }
}

/// Returns a page that says why the requested one cannot be shown. `title` names the HTTP status.
pub(super) fn failure(params: &Params, title: &str, reason: &str) -> Markup {
    let contents = html! {
        section.failure {
            h1 { (title) }
            p { (reason) }
            p { a href="/" { "To the tip" } }
        }
    };
    let frame = PageFrame { params, title, icon: "alone", now: 0, live: false };
    frame.wrap(&contents)
}
