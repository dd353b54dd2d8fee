//! The page of `serve`, as a browser without a script gets it, and its events.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::chain::{extend_chain, fixture, fork_chain, regtest_chain};
use crate::support::peer::{Announce, ScriptedPeer};
use crate::support::script::Script;
use crate::support::serve::Serving;
use crate::support::served::SharedChain;
use crate::support::sync::light_client;
use crate::support::wait::{PATIENCE, poll_for};
use lightclient::primitives::{Header, Network, hex};
use rustix::process::Signal;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const HEIGHT: u32 = 2500;

/// A server that follows a scripted peer.
struct Page {
    serving: Serving,
    peer: ScriptedPeer,
    headers: Vec<Header>,
}

impl Page {
    fn start(more: &[&str]) -> Self {
        let headers = regtest_chain(HEIGHT, 1, 600);
        let peer = Script::honest().start(&SharedChain::new(Network::Regtest, &headers));
        let serving = Serving::start(BINARY, peer.address(), more);
        serving.running.wait_for_stderr("caught up at height 2,500: following", PATIENCE);
        serving.wait_until_caught_up();
        peer.record()
            .wait_for("sendheaders", PATIENCE, |seen| seen.has("sendheaders").then_some(()));
        Self { serving, peer, headers }
    }

    /// The status, the rest of the head in lower case, and the body.
    fn get(&self, path: &str) -> (u16, String, String) {
        let (head, body) = self.serving.rpc.get(path).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), body)
    }

    fn hash(&self, height: usize) -> String {
        self.headers[height].hash().to_string()
    }

    /// A stream of events.
    fn listen(&self) -> BufReader<TcpStream> {
        let address = self.serving.rpc.address;
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
        BufReader::new(stream)
    }
}

/// The data of the next event with this name.
fn next_event(stream: &mut BufReader<TcpStream>, name: &str) -> Value {
    let mut line = String::new();
    let mut is_it = false;
    loop {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the stream ended");
        match line.trim_end().split_once(": ") {
            Some(("event", event)) => is_it = event == name,
            Some(("data", data)) if is_it => return serde_json::from_str(data).unwrap(),
            _ => {}
        }
    }
}

#[test]
fn the_front_page_says_all_without_a_script_and_is_small() {
    let page = Page::start(&[]);
    // What peers have shown is looked at once a second.
    let body = poll_for("the peer's tip", PATIENCE, || {
        let (status, head, body) = page.get("/");
        assert_eq!(status, 200, "{head}");
        body.contains("1 peer, which agrees").then_some(body)
    });
    assert!(body.contains("<title>2,500 · lightclient</title>"), "{body}");
    for part in [
        "id=\"height\" href=\"/header/2500\">2,500</a>",
        "last 144 intervals",
        "<title id=\"plot-title\">Difficulty, regtest</title>",
        "Heights 0 to 2,500, ",
        "never on this network",
        " years old.",
        "no other branch",
        "no bits",
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    assert_eq!(body.matches("<tr data-hash=").count(), 24);
    let files = ["/page/page.css", "/page/page.js", "/page/icon-current.svg"];
    let size: usize = files.iter().map(|file| page.get(file).2.len()).sum();
    assert!(size + body.len() < 60_000, "{size} + {}", body.len());
    for chart in ["hashrate", "interval", "versions"] {
        let (_, _, body) = page.get(&format!("/?chart={chart}"));
        assert!(size + body.len() < 60_000, "{chart}: {size} + {}", body.len());
    }
}

#[test]
fn no_page_lets_anything_in_from_elsewhere() {
    let page = Page::start(&[]);
    let paths = [
        "/",
        "/header/7",
        "/search?q=x",
        "/header/nonsense",
        "/page/page.js",
        "/chart/interval.svg",
    ];
    for path in paths {
        let (_, head, body) = page.get(path);
        for line in ["x-content-type-options: nosniff", "referrer-policy: no-referrer"] {
            assert!(head.contains(line), "{path}: {head}");
        }
        let policy = head.lines().find(|line| line.starts_with("content-security-policy: "));
        let policy = policy.unwrap_or_else(|| panic!("{path}: {head}"));
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(!body.contains(" style=\"") && !body.contains(" onclick"), "{path}");
        let others =
            body.matches("://").count() - body.matches("http://www.w3.org/2000/svg").count();
        assert_eq!(others, 0, "{path}: {body}");
    }
    let (status, ..) = page.get("/page/../../etc/passwd");
    assert_eq!(status, 404);
}

#[test]
fn a_header_has_a_page_by_height_and_by_hash() {
    let page = Page::start(&[]);
    let hash = page.hash(2000);
    for what in ["2000", "2,000", "tip-500", &hash, &format!("0x{hash}"), &hash.to_uppercase()] {
        let (status, _, body) = page.get(&format!("/header/{what}"));
        assert_eq!(status, 200, "{what}: {body}");
        assert!(body.contains("<title>2,000 · lightclient</title>"), "{what}: {body}");
    }
    let (.., body) = page.get("/header/2000");
    let header = page.headers[2000];
    let raw = hex::encode(&header.encode());
    for part in [
        &format!("/header/{}\">← 1,999", page.hash(1999)),
        &format!("/header/{}\">2,001 →", page.hash(2001)),
        &header.merkle_root.to_string(),
        &header.time.to_string(),
        &raw[..8],
        &raw[152..],
        "501 confirmations",
        "10 min after its parent",
        "header 129 of 144",
        "One in 2 hashes meets the target",
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    let (status, _, body) = page.get("/header/2501");
    assert!(status == 404 && body.contains("the chain ends at height 2,500"), "{status} {body}");
}

#[test]
fn search_finds_heights_hashes_and_dates() {
    let page = Page::start(&[]);
    let location = |query: &str| {
        let (status, head, _) = page.get(&format!("/search?q={query}"));
        let location = head.lines().find_map(|line| line.strip_prefix("location: "));
        (status, location.map(str::to_owned))
    };
    let to = |place: &str| (303, Some(format!("/header/{place}")));
    assert_eq!(location("2%2C000"), to("2000"));
    assert_eq!(location("tip-500"), to("2000"));
    let hash = page.hash(7);
    assert_eq!(location(&format!("0X{}", hash.to_uppercase())), to(&hash));
    // Header 144 is a day after genesis, of 2011-02-02 23:16:42.
    assert_eq!(location("2011-02-03+23:20"), to("1296775200"));
    assert_eq!(location("1296775200"), to("1296775200"));
    let (_, _, body) = page.get("/header/1296775200");
    assert!(body.contains("<title>144 · lightclient</title>"), "{body}");
    assert!(
        body.contains("This is the last block at or before 2011-02-03 23:20:00 UTC."),
        "{body}"
    );
    let (_, _, body) = page.get("/header/1296688700");
    assert!(body.contains("Only genesis is at or before 2011-02-02 23:18:20 UTC."), "{body}");
    let (status, _, body) = page.get("/search?q=1200000000");
    assert!(status == 404 && body.contains("genesis is from 2011-02-02 23:16:42 UTC"), "{body}");
    for empty in ["", "+", "%09"] {
        assert_eq!(location(empty), (303, Some("/".to_owned())), "{empty}");
    }
    assert_eq!(location("2600").0, 404);
    assert_eq!(location("999999999").0, 404);
    assert_eq!(location("1999-01-01").0, 404);
    assert_eq!(location("%3Cscript%3E").0, 400);
    assert_eq!(location(&"9".repeat(3000)).0, 400);
    let (.., body) = page.get("/search?q=%3Cscript%3E");
    assert!(body.contains("&lt;script&gt;") && !body.contains("<script>"), "{body}");
}

#[test]
fn charts_are_given_as_files_for_any_range() {
    let page = Page::start(&[]);
    for chart in ["difficulty", "hashrate", "interval", "versions"] {
        let (status, head, svg) = page.get(&format!("/chart/{chart}.svg?from=100&to=tip&log=1"));
        assert_eq!(status, 200, "{svg}");
        assert!(head.contains("content-type: image/svg+xml"), "{head}");
        assert!(svg.contains("Heights 100 to 2,500, "), "{svg}");
        let (status, head, _) = page.get(&format!("/chart/{chart}.png"));
        assert!(status == 200 && head.contains("content-type: image/png"), "{head}");
    }
    for (path, expected) in [
        ("/chart/price.svg", 404),
        ("/chart/interval.gif", 404),
        ("/chart/interval.svg?from=9&to=8", 400),
        ("/chart/interval.svg?from=2501", 404),
        ("/chart/interval.svg?from=x", 400),
        ("/?chart=price", 404),
    ] {
        assert_eq!(page.get(path).0, expected, "{path}");
    }
}

#[test]
fn what_happens_is_told_as_events() {
    let mut page = Page::start(&[]);
    let mut stream = page.listen();
    // The state of the sync is published after the line that it has caught up. The scripted chain ends years ago.
    let progress = loop {
        let progress = next_event(&mut stream, "progress");
        if progress["state"] == "behind" {
            break progress;
        }
    };
    assert_eq!((&progress["height"], &progress["height_text"]), (&2500.into(), &"2,500".into()));
    let before = page.headers.len();
    page.headers = extend_chain(&page.headers, 1, 2, 600);
    page.peer.extend(&page.headers[before..], Announce::AsAsked);
    let mut tip = next_event(&mut stream, "tip");
    // To have caught up may be told after a listener has come.
    if tip["height"] == HEIGHT {
        tip = next_event(&mut stream, "tip");
    }
    assert_eq!((&tip["height"], tip["hash"].as_str()), (&2501.into(), Some(&*page.hash(2501))));
    let (.., body) = page.get("/");
    assert!(body.contains("<title>2,501 · lightclient</title>"), "{body}");
    let old = page.hash(2501);
    page.headers = fork_chain(&page.headers, 2499, 3, 3);
    page.peer.chain().replace(&page.headers);
    page.peer.announce(1, Announce::AsAsked);
    let reorganisation = next_event(&mut stream, "reorganisation");
    assert_eq!(
        (&reorganisation["old_hash"], &reorganisation["depth"]),
        (&old.clone().into(), &2.into())
    );
    let (.., body) = page.get(&format!("/header/{old}"));
    assert!(body.contains("on a branch beside the chain"), "{body}");
    let best = page.hash(2501);
    assert!(body.contains(&format!("<a href=\"/header/{best}\">the best chain</a>")), "{body}");
    assert!(!body.contains("from height"), "the branch is no other one than its own: {body}");
    let (.., body) = page.get("/header/2501");
    assert!(
        body.contains(&format!("href=\"/header/{old}\"")),
        "the other branch is linked: {body}"
    );
}

#[test]
fn queries_that_cannot_be_read_are_answered_with_a_page() {
    let page = Page::start(&[]);
    for path in ["/?from=5&from=6", "/search?q=5&q=6", "/header/%ff"] {
        let (status, head, body) = page.get(path);
        assert!(status == 400 && head.contains("content-type: text/html"), "{path}: {head}");
        assert!(body.contains("<h1>Bad Request</h1>"), "{path}: {body}");
    }
}

#[test]
fn the_commands_of_a_header_can_be_pasted() {
    let folder = TempDir::with_prefix("it's ").unwrap();
    let cookie = folder.path().join("cookie");
    let headers = regtest_chain(10, 1, 600);
    let peer = Script::honest().start(&SharedChain::new(Network::Regtest, &headers));
    let options = ["--rpc-cookie-file", cookie.to_str().unwrap()];
    let serving = Serving::start(BINARY, peer.address(), &options);
    serving.running.wait_for_stderr("caught up at height 10", PATIENCE);
    let page = Page { serving, peer, headers };
    let hash = page.hash(7);
    let (.., body) = page.get(&format!("/header/{hash}"));
    let commands: Vec<String> = body
        .split("<pre><code>")
        .skip(1)
        .map(|part| part.split("</code>").next().unwrap().to_owned())
        .collect();
    let address = page.serving.rpc.address;
    assert_eq!(
        commands[1..],
        [
            format!(
                "bitcoin-cli -chain=regtest -rpcport={} '-rpccookiefile={}' getblockheader {hash}",
                address.port(),
                cookie.display().to_string().replace('\'', r"'\''")
            ),
            format!("curl '{address}/rest/headers/{hash}.json?count=1'"),
        ]
    );
    // The tests have a data folder of their own, and name the network.
    let command = commands[0].replace("lightclient ", &format!("{BINARY} "));
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["hash"], hash, "{command}");
}

#[test]
fn the_first_periods_of_mainnet_are_shown_as_they_are() {
    let program = light_client(BINARY, Network::Mainnet);
    let file = fixture("mainnet-0000000-0032259.bin");
    program.run(&["import", "--min-chain-work", "0", file.to_str().unwrap()]).expect_success();
    // Nobody listens there: the chain is served without a peer.
    let nobody = "127.0.0.1:9".parse().unwrap();
    let serving = Serving::start_in(program, nobody, &[]);
    let get = |path: &str| serving.rpc.get(path).unwrap().1;
    let front = get("/");
    assert!(front.contains("4 of 2,016 mined"), "{front}");
    assert!(get("/header/32259").contains("header 4 of 2,016"), "both count alike");
    let axis = get("/chart/interval.svg");
    assert!(axis.contains(">0 min<") && !axis.contains(">-"), "no tick below 0: {axis}");
    let body = get("/header/2009-01-05");
    assert!(body.contains("Only genesis is at or before 2009-01-05 00:00:00 UTC."), "{body}");
}

#[test]
fn what_a_peer_says_of_itself_is_made_safe() {
    let headers = regtest_chain(10, 1, 600);
    let script = Script::honest().user_agent("/Evil\u{1b}[31m<b>'&:1.0/").claims_height(-1);
    let peer = script.start(&SharedChain::new(Network::Regtest, &headers[..1]));
    let serving = Serving::start(BINARY, peer.address(), &[]);
    let page = Page { serving, peer, headers };
    let body = poll_for("the peer", PATIENCE, || {
        let (.., body) = page.get("/");
        body.contains("Evil").then_some(body)
    });
    assert!(body.contains(">Evil31mb:1.0</td>"), "{body}");
    assert!(body.contains("<td class=\"number\"></td>"), "no height instead of 0: {body}");
    assert!(body.contains(" B</td>") || body.contains(" kB</td>"), "its bytes: {body}");
    let mut stream = page.listen();
    let peers = next_event(&mut stream, "peers");
    assert_eq!(peers["peers"][0]["user_agent"], "/Evil31mb:1.0/");
}

#[test]
fn listeners_are_bounded_and_do_not_delay_the_end() {
    let mut page = Page::start(&[]);
    let listeners: Vec<BufReader<TcpStream>> = (0..256)
        .map(|_| {
            let mut stream = page.listen();
            let _ = next_event(&mut stream, "progress");
            stream
        })
        .collect();
    let (status, _, body) = page.get("/events");
    assert_eq!((status, body.trim()), (503, "too many listeners"));
    assert_eq!(page.get("/").0, 200);
    drop(listeners.into_iter().skip(200).collect::<Vec<_>>());
    poll_for("a place for a listener", PATIENCE, || {
        let mut line = String::new();
        page.listen().read_line(&mut line).unwrap();
        line.contains("200").then_some(())
    });
    let asked = Instant::now();
    page.serving.running.signal(Signal::TERM);
    page.serving.running.wait(PATIENCE).expect_code(143);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}

#[test]
fn a_server_without_the_page_has_none() {
    let page = Page::start(&["--page", "off"]);
    let (status, head, _) = page.get("/");
    assert!(status == 405 && head.contains("\r\nallow: post\r\n"), "{head}");
    assert_eq!(page.get("/events").0, 404);
    assert_eq!(page.get("/header/7").0, 404);
}
