//! A header's page.

use super::PageFrame;
use super::bars::cells;
use super::text::{age, hash, interval, scientific, utc, version_words};
use crate::chain::Params;
use crate::format;
use crate::primitives::{HEADER_LEN, hex};
use crate::server::page::commands::Commands;
use crate::server::page::header_data::HeaderData;
use maud::{Markup, html};
use std::ops::Range;

/// The fields of a header, and the positions of their bytes.
const FIELDS: [(&str, Range<usize>); 6] = [
    ("version", 0..4),
    ("prev", 4..36),
    ("merkle", 36..68),
    ("time", 68..72),
    ("bits", 72..76),
    ("nonce", 76..80),
];

/// Returns the page of a header.
pub(crate) fn header(params: &Params, commands: &Commands, data: &HeaderData) -> Markup {
    let info = &data.info;
    let height = format::count(info.height);
    let contents = html! {
        article.header {
            (heading(data))
            (work(data))
            div.fields {
                (fields(data))
                (bytes(data))
            }
            (in_chain(params, data))
            (elsewhere(commands, data))
        }
    };
    PageFrame { params, title: &height, icon: "current", now: data.now, live: false }
        .wrap(&contents)
}

fn heading(data: &HeaderData) -> Markup {
    let info = &data.info;
    let place = match info.confirmations {
        ..=0 => "on a branch beside the chain".to_owned(),
        1 => "the tip".to_owned(),
        more => format::counted(more.unsigned_abs(), "confirmation"),
    };
    html! {
        nav.neighbours aria-label="Neighbours" {
            @if let Some(previous) = &info.previousblockhash {
                a #previous rel="prev" href={ "/header/" (previous) } { "← " (format::count(info.height.saturating_sub(1))) }
            } @else { span {} }
            a href="/" { "tip" }
            @if let Some(next) = &info.nextblockhash {
                a #next rel="next" href={ "/header/" (next) } { (format::count(info.height + 1)) " →" }
            } @else { span {} }
        }
        h1 { (format::count(info.height)) }
        p.tip-hash { (hash(&info.hash)) }
        p.place { (place) " · " (utc(info.time)) " · " (age(info.time, data.now)) }
        @if let Some(time) = data.searched_time {
            @let what = if info.height == 0 { "Only genesis is" } else { "This is the last block" };
            p.place { (what) " at or before " (utc(time)) "." }
        }
    }
}

fn work(data: &HeaderData) -> Markup {
    let (hash_bits, target_bits) = data.zero_bits;
    let (needed, found) = data.hashes;
    html! {
        section.work {
            h2 { "hash against target" }
            dl {
                dt { "target" } dd { (cells("target", target_bits)) }
                dt { "hash" } dd { (cells("hash", hash_bits)) }
            }
            p { "One in " (scientific(needed)) " hashes meets the target; one in " (scientific(found)) " is as low as this one." }
            p.faint { "One cell for each bit from the highest set bit down: each cell fewer doubles the work." }
        }
    }
}

fn fields(data: &HeaderData) -> Markup {
    let info = &data.info;
    let rows: [(&str, &str, Markup); 6] = [
        (
            "version",
            "version",
            html! { (info.version_hex) " " span.faint { (version_words(info.version)) } },
        ),
        ("prev", "previous hash", hash(&data.header.prev.to_string())),
        ("merkle", "merkle root", html! { code { (info.merkleroot) } }),
        ("time", "time", html! { (info.time) " " span.faint { (utc(info.time)) } }),
        (
            "bits",
            "bits",
            html! { (info.bits) " " span.faint { "difficulty " (format::decimal(info.difficulty)) } },
        ),
        (
            "nonce",
            "nonce",
            html! { (format::count(info.nonce)) " " span.faint { (format!("{:08x}", info.nonce)) } },
        ),
    ];
    html! {
        section {
            h2 { "fields" }
            table.rows {
                caption.hidden { "The fields of the header" }
                @for (class, name, value) in rows {
                    tr.(class) tabindex="0" { th scope="row" { (name) } td { (value) } }
                }
            }
        }
    }
}

/// Shows the header's 80 bytes. The page highlights the bytes of the field that the user points at.
fn bytes(data: &HeaderData) -> Markup {
    let raw: [u8; HEADER_LEN] = data.header.encode();
    html! {
        section {
            h2 { "80 bytes" }
            p.raw { code {
                @for (class, range) in FIELDS {
                    span.(class) title=(class) { (spaced(&raw[range])) } " "
                }
            } }
        }
    }
}

/// Returns bytes as hex digits, in groups of four bytes.
fn spaced(bytes: &[u8]) -> String {
    bytes.chunks(4).map(hex::encode).collect::<Vec<_>>().join(" ")
}

fn in_chain(params: &Params, data: &HeaderData) -> Markup {
    let info = &data.info;
    let (start, length) = data.period;
    let (number, place) = (start / length, info.height - start + 1);
    let last = start.saturating_add(length - 1).min(data.tip);
    html! {
        section {
            h2 { "in the chain" }
            table.rows {
                caption.hidden { "What follows from other headers" }
                tr { th scope="row" { "interval" } td { @if let Some(seconds) = data.interval { (interval(seconds)) " after its parent" } @else { "none: it is the first" } } }
                tr { th scope="row" { "median time past" } td { (info.mediantime) " " span.faint { (utc(info.mediantime)) } } }
                tr { th scope="row" { "period" } td {
                    (format::count(number)) ", header " (format::count(place)) " of " (format::count(length)) " "
                    span.faint { a href={ "/header/" (start) } { (format::count(start)) } " to " a href={ "/header/" (last) } { (format::count(last)) } }
                } }
                tr { th scope="row" { "target" } td { (hash(&info.target)) } }
                tr { th scope="row" { "work of the chain" } td { (hash(&info.chainwork)) } }
                tr { th scope="row" { "other branches" } td { (branches(data)) } }
                @if let Some(count) = halvings(params, info.height) { tr { th scope="row" { "halvings" } td { (count) } } }
            }
        }
    }
}

fn branches(data: &HeaderData) -> Markup {
    html! {
        @if data.sides.is_empty() && data.best.is_none() { span.faint { "none at this height" } }
        @if let Some(best) = &data.best {
            p { a href={ "/header/" (best) } { "the best chain" } ", with " (hash(&best.to_string())) " at this height" }
        }
        @for side in &data.sides {
            p {
                a href={ "/header/" (side.hash) } { (format::counted(u64::from(side.length), "header")) }
                " from height " (format::count(side.fork_height + 1)) " on, up to " (hash(&side.hash.to_string()))
            }
        }
    }
}

/// Returns how often the subsidy has halved up to a height; `None` on regtest, where it halves every 150 blocks.
fn halvings(params: &Params, height: u32) -> Option<String> {
    (!params.no_retarget).then(|| format::count(height / 210_000))
}

fn elsewhere(commands: &Commands, data: &HeaderData) -> Markup {
    html! {
        section {
            h2 { "the same on a command line" }
            @for command in commands.of_header(&data.info.hash) { pre { code { (command) } } }
        }
    }
}
