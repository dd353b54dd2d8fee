//! The front page.

use super::PageFrame;
use super::bars::{share, strip};
use super::text::{age, date, hash, interval, milliseconds, version_words};
use crate::chain::Params;
use crate::charts::ChartName;
use crate::format;
use crate::node::PeerStatus;
use crate::output::plot::{Embedding, svg};
use crate::server::page::chart::PageChart;
use crate::server::page::front_data::{FrontData, ListedHeader, Retarget};
use crate::wire::safe_text;
use maud::{Markup, PreEscaped, html};

/// The ranges that a chart can show: the name of each, and how many blocks it has. 0 means the whole chain.
const RANGES: [(&str, u32); 4] = [("1M", 4_383), ("1Y", 52_596), ("5Y", 262_980), ("all", 0)];

/// Returns the front page.
pub(crate) fn front(params: &Params, data: &FrontData, chart: &PageChart) -> Markup {
    let contents = html! {
        (tip(data))
        div.middle {
            (chart_section(chart))
            aside #aside data-swap { (retarget(data)) (signals(data)) }
        }
        div.lower { (latest(data)) (peers(data)) }
    };
    let title = format::count(data.tip.height);
    let icon = data.report.status().key();
    PageFrame { params, title: &title, icon, now: data.now, live: true }.wrap(&contents)
}

fn tip(data: &FrontData) -> Markup {
    let status = data.report.status();
    let time = data.report.tip_time;
    let is_syncing = status.key() == "syncing";
    html! {
        section.tip #tip data-swap data-state=(status.key()) {
            div.figure {
                h1 { a #height href={ "/header/" (data.tip.height) } { (format::count(data.tip.height)) } }
                p.tip-hash { (hash(&data.tip.hash.to_string())) }
            }
            div.state role="status" {
                p { span.word #word { (status.word()) } " " span.age { (age(time, data.now)) } }
                p.sentence #sentence { (data.report.sentence()) }
                @if is_syncing {
                    progress #progress max="1" value=[data.report.share()] {}
                }
                p.company { (peers_and_branches(data)) }
                @for warning in data.report.warnings.iter().rev().take(2) {
                    p.warning { (warning) }
                }
            }
            figure.day {
                (strip(&data.intervals))
                figcaption { "last " (data.intervals.len()) " intervals" }
            }
        }
    }
}

/// Returns a line with the hash rate, how many peers are at least at the tip's height, and how far the best side branch
/// is behind.
fn peers_and_branches(data: &FrontData) -> String {
    let (agreeing, peers) = data.report.agreeing();
    let peers = match (agreeing, peers) {
        (_, 0) => "no peers".to_owned(),
        (1, 1) => "1 peer, which agrees".to_owned(),
        (agreeing, peers) if agreeing == peers => format!("{peers} peers, all agree"),
        (agreeing, peers) => format!("{agreeing} of {peers} peers are at this height"),
    };
    let rate = data.hash_rate.map(|rate| format!("{} · ", format::metric(rate, "H/s")));
    let beside = match data.lead {
        None => "no other branch".to_owned(),
        Some(lead) => {
            format!("the next branch is {} behind", format::counted(u64::from(lead), "block"))
        }
    };
    format!("{}{peers} · {beside}", rate.unwrap_or_default())
}

fn chart_section(chart: &PageChart) -> Markup {
    let request = chart.request;
    let heights = format!("from={}&to={}", request.from, request.to);
    let log = u8::from(request.log);
    let is_whole = request.from == 0 && request.to == chart.tip;
    let kept = if is_whole { String::new() } else { format!("&{heights}") };
    html! {
        section.chart #chart data-from=(request.from) data-to=(request.to)
            data-link={ "/?chart=" (request.name) "&log=" (log) } {
            h2.hidden { "Charts" }
            nav aria-label="Charts" {
                @for name in ChartName::ALL {
                    a href={ "/?chart=" (name) (kept) "#chart" }
                        aria-current=[(name == request.name).then_some("true")] { (name.title()) }
                }
                span.gap {}
                @for (range, blocks) in RANGES {
                    a href=(range_link(chart, blocks)) aria-current=[is_range(chart, blocks).then_some("true")] { (range) }
                }
                @if request.name != ChartName::Versions {
                    a href={ "/?chart=" (request.name) (kept) "&log=" (1 - log) "#chart" }
                        role="switch" aria-checked=(request.log) { "log" }
                }
            }
            div.drawing { (PreEscaped(svg(&chart.plot, Embedding::Page))) }
            p.note {
                span #reading { (chart.plot.title) }
                " "
                a.file href={ "/chart/" (request.name) ".svg?" (heights) "&log=" (log) } { "SVG" }
                " "
                a.file href={ "/chart/" (request.name) ".png?" (heights) "&log=" (log) } { "PNG" }
            }
        }
    }
}

fn range_link(chart: &PageChart, blocks: u32) -> String {
    let (name, log) = (chart.request.name, u8::from(chart.request.log));
    match blocks {
        0 => format!("/?chart={name}&log={log}#chart"),
        blocks => format!("/?chart={name}&from=-{blocks}&log={log}#chart"),
    }
}

fn is_range(chart: &PageChart, blocks: u32) -> bool {
    let first = if blocks == 0 { 0 } else { (chart.tip + 1).saturating_sub(blocks) };
    let is_shorter = blocks == 0 || blocks <= chart.tip;
    is_shorter && chart.request.to == chart.tip && chart.request.from == first
}

fn retarget(data: &FrontData) -> Markup {
    let Some(Retarget { next, interval, expected }) = &data.retarget else {
        return html! { section { h2 { "next retarget" } p { "never on this network" } } };
    };
    let mined = data.period_count;
    html! {
        section {
            h2 { "next retarget" }
            @match next.estimated_change_percent {
                Some(change) => p.large { (signed(change)) },
                None => p { "too early to say by how much" },
            }
            (share(mined, *interval))
            p { "in " (format::counted(u64::from(next.blocks_left), "block")) ", about " (date(*expected)) }
            p.faint { (format::count(mined)) " of " (format::count(*interval)) " mined" }
        }
    }
}

fn signed(percent: f64) -> String {
    let sign = if percent < -0.05 { "−" } else { "+" };
    format!("{sign}{:.1} %", percent.abs())
}

fn signals(data: &FrontData) -> Markup {
    html! {
        section {
            h2 { "versions of this period" }
            table.signals {
                caption.hidden { "Share of the period's headers by version" }
                @for (group, count) in &data.signals {
                    tr {
                        th scope="row" { (group) }
                        td { (share(*count, data.period_count)) }
                        td.number { (format!("{:.0} %", f64::from(*count) * 100.0 / f64::from(data.period_count.max(1)))) }
                    }
                }
            }
        }
    }
}

fn latest(data: &FrontData) -> Markup {
    html! {
        section.latest #latest data-swap {
            h2 { "latest headers" }
            table {
                caption.hidden { "The newest headers" }
                thead { tr { th scope="col" { "height" } th scope="col" { "age" } th.wide scope="col" { "hash" }
                    th.wide scope="col" { "version" } th scope="col" { "interval" } } }
                tbody { @for header in &data.latest { (row(header, data.now)) } }
            }
        }
    }
}

fn row(listed: &ListedHeader, now: u32) -> Markup {
    let (version, hash_text) = (listed.header.version, listed.hash.to_string());
    html! {
        tr data-hash=(hash_text) {
            td { a href={ "/header/" (listed.hash) } { (format::count(listed.height)) } }
            td { (age(listed.header.time, now)) }
            td.wide { (hash(&hash_text)) }
            td.wide title=(format!("{version:08x}")) { (version_words(version)) }
            td.number { @if let Some(seconds) = listed.interval { (interval(seconds)) } }
        }
    }
}

fn peers(data: &FrontData) -> Markup {
    let connections = &data.report.live.connections;
    html! {
        section.peers #peers data-swap {
            h2 { "peers" }
            @if connections.is_empty() { p.faint { "none is connected" } }
            @else {
                table {
                    caption.hidden { "Connected peers" }
                    thead { tr { th scope="col" { "software" } th scope="col" { "height" } th scope="col" { "ms" }
                        th.wide scope="col" { "bytes" } th scope="col" { "since" } } }
                    tbody {
                        @for peer in connections.iter() { (peer_row(peer, data.now)) }
                    }
                }
            }
        }
    }
}

fn peer_row(peer: &PeerStatus, now: u32) -> Markup {
    let traffic = peer.traffic.totals();
    // A peer may announce a height below zero, which says nothing.
    let height = peer.tip.or_else(|| u32::try_from(peer.start_height).ok());
    let software = safe_text(&peer.user_agent);
    let software = software.trim_matches('/');
    html! {
        tr data-peer=(peer.address) {
            td title={ (software) " at " (peer.address) } { (software) }
            td.number { @if let Some(height) = height { (format::count(height)) } }
            td.number { (milliseconds(peer.rtt.last)) }
            td.number.bytes.wide { (format::size(traffic.received + traffic.sent)) }
            td { (age(u32::try_from(peer.connected_since).unwrap_or(now), now)) }
        }
    }
}
