//! `serve` and clients that are clumsy, slow or hostile.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::chain::regtest_chain;
use crate::support::measure::peak_memory;
use crate::support::peer::ScriptedPeer;
use crate::support::rpc::RpcClient;
use crate::support::run::Finished;
use crate::support::script::Script;
use crate::support::serve::Serving;
use crate::support::served::SharedChain;
use crate::support::sync::light_client;
use crate::support::wait::{PATIENCE, poll_for};
use lightclient::primitives::{HEADER_LEN, Network};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const HEIGHT: u32 = 2500;

/// A server that has caught up with a scripted peer.
fn serving(more: &[&str]) -> (Serving, ScriptedPeer) {
    let headers = regtest_chain(HEIGHT, 1, 600);
    let peer = Script::honest().start(&SharedChain::new(Network::Regtest, &headers));
    let serving = Serving::start(BINARY, peer.address(), more);
    if more.is_empty() {
        serving.wait_for_tip(&headers.last().unwrap().hash().to_string());
    }
    serving.running.wait_for_stderr("caught up at height 2,500: following", PATIENCE);
    (serving, peer)
}

fn end(mut serving: Serving) -> Finished {
    let asked = Instant::now();
    serving.running.signal(Signal::TERM);
    let ended = serving.running.wait(PATIENCE).expect_code(143);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    ended
}

fn height(rpc: &RpcClient) -> Value {
    rpc.call("getblockcount", &json!([])).unwrap()
}

/// How many heaps the C library may keep for a server, as its environment says.
fn heaps(serving: &Serving) -> Option<String> {
    let variables = fs::read(format!("/proc/{}/environ", serving.running.id())).unwrap();
    let variables = String::from_utf8(variables).unwrap();
    let heaps = variables.split('\0').find_map(|one| one.strip_prefix("MALLOC_ARENA_MAX="));
    heaps.map(str::to_owned)
}

#[test]
fn all_threads_share_two_heaps_unless_the_user_wants_another_number() {
    let (serving, peer) = serving(&[]);
    assert_eq!(heaps(&serving).as_deref(), Some("2"));
    let program = light_client(BINARY, Network::Regtest).env("MALLOC_ARENA_MAX", "3");
    let serving = Serving::start_in(program, peer.address(), &[]);
    assert_eq!(heaps(&serving).as_deref(), Some("3"));
}

#[test]
fn a_server_ends_within_two_seconds_and_takes_its_cookie_with_it() {
    let (serving, _peer) = serving(&[]);
    let cookie = serving.program.data_dir().join("regtest/.cookie");
    assert_eq!(fs::metadata(&cookie).unwrap().permissions().mode() & 0o777, 0o600);
    // Some connections are idle, some wait for a tip that does not come, some have sent half a request.
    let idle: Vec<TcpStream> =
        (0..300).map(|_| TcpStream::connect(serving.rpc.address).unwrap()).collect();
    for (at, mut stream) in idle.iter().enumerate() {
        if at % 3 == 1 {
            stream.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\n").unwrap();
        }
    }
    let rpc = serving.rpc.clone();
    let waiting = std::thread::spawn(move || rpc.call("waitfornewblock", &json!([])));
    poll_for("the call", PATIENCE, || {
        let (_, text) = serving.rpc.get("/metrics").unwrap();
        text.contains("lightclient_tip_height 2500").then_some(())
    });
    end(serving);
    assert!(!cookie.exists());
    drop(waiting.join().unwrap());
}

#[test]
fn stop_ends_the_program_and_is_no_failure() {
    let (serving, _peer) = serving(&[]);
    assert_eq!(serving.rpc.call("stop", &json!([])).unwrap(), "lightclient stopping");
    serving.running.wait(PATIENCE).expect_code(0);
}

#[test]
fn passwords_are_checked_and_wrong_ones_take_time() {
    let hash = "e2b0b3d1c5e6ab9a3a2ed2d3c7ebe7a2f1ba5bd6a8ea8c4de30d2e0b5bc0b9b7";
    let auth = format!("bob:salt${hash}");
    let args = ["--rpc-user", "me", "--rpc-password", "secret", "--rpc-auth", &auth];
    let (serving, _peer) = serving(&args);
    let as_user = |credentials: &str| RpcClient {
        credentials: credentials.to_owned(),
        ..serving.rpc.clone()
    };
    assert_eq!(height(&as_user("me:secret")), HEIGHT);
    assert!(!serving.program.data_dir().join("regtest/.cookie").exists());
    for wrong in ["me:Secret", "me:", "", ":secret", "bob:secret"] {
        let began = Instant::now();
        let (head, body) = as_user(wrong).post_text(r#"{"method":"getblockcount"}"#).unwrap();
        assert!(head.starts_with("HTTP/1.1 401 Unauthorized"), "{head}");
        assert!(head.contains("www-authenticate: Basic realm=\"jsonrpc\""), "{head}");
        assert_eq!(body, "");
        assert!(began.elapsed() >= Duration::from_millis(250));
    }
}

#[test]
fn requests_of_pages_from_elsewhere_are_refused() {
    let (serving, _peer) = serving(&["--rpc-allow-host", "node.example"]);
    let status = |headers: &str| {
        let request = format!("GET /healthz HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        let (head, _) = serving.rpc.send(request.as_bytes()).unwrap();
        head.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(status("Host: 127.0.0.1\r\n"), "200");
    assert_eq!(status("Host: node.example:8332\r\n"), "200");
    assert_eq!(status("Host: evil.example\r\n"), "403");
    assert_eq!(status("Host: localhost\r\nOrigin: https://evil.example\r\n"), "403");
    assert_eq!(status("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n"), "403");
    let answer = |request: &str| {
        let rest = "Host: bitcoind\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        let (head, _) =
            serving.rpc.send(format!("{request} HTTP/1.1\r\n{rest}").as_bytes()).unwrap();
        head.to_lowercase()
    };
    // Some clients send their credentials only when they are asked for them.
    for call in ["POST /", "POST /?wallet", "POST http://bitcoind/"] {
        let head = answer(call);
        assert!(head.starts_with("http/1.1 401 ") && head.contains("www-authenticate"), "{head}");
    }
    for other in ["GET /", "PUT /", "POST /healthz", "POST //"] {
        let head = answer(other);
        assert!(head.starts_with("http/1.1 403 "), "{other}: {head}");
    }
}

#[test]
fn what_is_too_long_is_refused_and_others_are_answered_meanwhile() {
    let (serving, _peer) = serving(&[]);
    let head = |length: u64| {
        call_head(&serving, &format!("Connection: close\r\nContent-Length: {length}"))
    };
    let (status, _) = serving.rpc.send(head(0x0200_0001).as_bytes()).unwrap();
    assert!(status.starts_with("HTTP/1.1 413"), "{status}");
    let chunked = head(0).replace("Content-Length: 0", "Transfer-Encoding: chunked") + "no length";
    let (status, _) = serving.rpc.send(chunked.as_bytes()).unwrap();
    assert!(status.starts_with("HTTP/1.1 400"), "{status}");
    // Slow bodies of the greatest length take their share of memory, and small calls go on.
    let slow: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(serving.rpc.address).unwrap();
            stream.write_all(head(0x0200_0000).as_bytes()).unwrap();
            stream.write_all(b"[").unwrap();
            stream
        })
        .collect();
    let began = Instant::now();
    assert_eq!(height(&serving.rpc), HEIGHT);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    drop(slow);
    let batch = vec![json!({"method": "getblockcount", "id": 1}); 10_001];
    let (status, body) = serving.rpc.post_text(&json!(batch).to_string()).unwrap();
    assert!(status.starts_with("HTTP/1.1 400"), "{status}");
    assert!(body.contains("10000 calls at most, not 10001"), "{body}");
    let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    let (_, body) = serving.rpc.post_text(&deep).unwrap();
    assert!(body.contains("Invalid Request object") || body.contains("Parse error"), "{body}");
}

/// The head of a call with good credentials.
fn call_head(serving: &Serving, more: &str) -> String {
    let credentials = data_encoding::BASE64.encode(serving.rpc.credentials.as_bytes());
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\n{more}\r\n\r\n"
    )
}

/// Bodies of unknown length, bodies that do not arrive, and bodies of calls that wait.
#[test]
fn bodies_that_are_slow_or_wait_for_their_answer_do_not_delay_others() {
    let (serving, _peer) = serving(&[]);
    let chunks = |call: &Value| {
        let text = call.to_string();
        let head = call_head(&serving, "Connection: close\r\nTransfer-Encoding: chunked");
        format!("{head}{:x}\r\n{text}\r\n0\r\n\r\n", text.len())
    };
    let waiting = chunks(&json!({ "method": "waitfornewblock", "params": [120_000], "id": 1 }));
    let chunked = call_head(&serving, "Transfer-Encoding: chunked") + "10\r\n{";
    let long = call_head(&serving, "Content-Length: 33554432") + "{";
    let _slow: Vec<TcpStream> = [waiting, chunked.clone(), chunked, long.clone(), long]
        .iter()
        .map(|request| {
            let mut stream = TcpStream::connect(serving.rpc.address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    let began = Instant::now();
    let call = json!({ "method": "getblockcount", "id": 1 });
    let (status, body) = serving.rpc.send(chunks(&call).as_bytes()).unwrap();
    assert!(status.starts_with("HTTP/1.1 200") && body.contains("2500"), "{status} {body}");
    let (status, body) = serving.rpc.post_text(&(" ".repeat(100_000) + &call.to_string())).unwrap();
    assert!(status.starts_with("HTTP/1.1 200") && body.contains("2500"), "{status}");
    let empty = call_head(&serving, "Connection: close");
    let (status, _) = serving.rpc.send(empty.as_bytes()).unwrap();
    assert!(status.starts_with("HTTP/1.1 500"), "{status}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn a_connection_goes_on_after_a_refused_call_or_says_that_it_ends() {
    let (serving, _peer) = serving(&[]);
    let mut stream = TcpStream::connect(serving.rpc.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer_to = |head: &str, body: &[u8]| {
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next();
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        head
    };
    let refused = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
    for _ in 0..2 {
        let head = answer_to(refused, &vec![b' '; 1_000_000]);
        assert!(head.starts_with("http/1.1 401") && !head.contains("connection: close"), "{head}");
    }
    let began = Instant::now();
    let mute = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n";
    let (head, _) = serving.rpc.send(mute.as_bytes()).unwrap();
    assert!(head.starts_with("HTTP/1.1 401") && head.contains("connection: close"), "{head}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let call = r#"{"method":"getblockcount","id":1}"#;
    let head = call_head(&serving, &format!("Content-Length: {}", call.len()));
    assert!(answer_to(&head, call.as_bytes()).starts_with("http/1.1 200"));
    let head = answer_to(&call_head(&serving, "Content-Length: 33554433"), b"");
    assert!(head.starts_with("http/1.1 413") && head.contains("connection: close"), "{head}");
}

#[test]
fn thousands_of_idle_connections_keep_nobody_out() {
    let (serving, _peer) = serving(&[]);
    let mut idle = Vec::new();
    for _ in 0..3000 {
        // The test's own limit of descriptors may be lower.
        let Ok(stream) = TcpStream::connect(serving.rpc.address) else { break };
        idle.push(stream);
    }
    assert_eq!(height(&serving.rpc), HEIGHT);
    let peak = peak_memory(serving.running.id()).unwrap_or_default();
    assert!(peak < 96 << 20, "{peak} bytes");
    end(serving);
}

#[test]
fn any_range_of_headers_is_streamed_in_three_formats() {
    let (serving, _peer) = serving(&[]);
    let mut stream = TcpStream::connect(serving.rpc.address).unwrap();
    stream.write_all(b"GET /headers?to=2499 HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let headers = regtest_chain(HEIGHT, 1, 600);
    let expected: Vec<u8> = headers[..2500].iter().flat_map(|header| header.encode()).collect();
    assert_eq!(expected.len(), 2500 * HEADER_LEN);
    assert!(answer[body..] == expected[..]);
    let (_, csv) = serving.rpc.get("/headers?from=2000&format=csv").unwrap();
    assert!(csv.contains("height,hash,version"), "{csv}");
    let (_, jsonl) = serving.rpc.get("/headers?from=2500&to=2500&format=jsonl").unwrap();
    assert!(jsonl.contains(&headers[2500].hash().to_string()), "{jsonl}");
    for wrong in ["from=5&to=4", "to=2501", "from=-1", "format=xls"] {
        let (head, _) = serving.rpc.get(&format!("/headers?{wrong}")).unwrap();
        assert!(head.starts_with("HTTP/1.1 400"), "{wrong}: {head}");
    }
}

#[test]
fn readiness_and_commands_follow_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tips");
    let command = format!("echo %s >> {}", file.display());
    let (serving, peer) = serving(&["--block-notify", &command]);
    let status = |path: &str| serving.rpc.get(path).unwrap();
    assert!(status("/healthz").0.starts_with("HTTP/1.1 200"));
    // The chain's tip is of 2011: caught up, and not fresh.
    poll_for("the tip's age", PATIENCE, || {
        let (head, body) = status("/readyz");
        assert!(head.starts_with("HTTP/1.1 503"), "{head} {body}");
        body.contains("the tip is").then_some(())
    });
    let headers = regtest_chain(HEIGHT, 1, 600);
    let more = crate::support::chain::extend_chain(&headers, 1, 7, 600);
    peer.extend(&more[headers.len()..], crate::support::peer::Announce::Headers);
    let hash = more.last().unwrap().hash().to_string();
    poll_for("the command", PATIENCE, || {
        let told = fs::read_to_string(&file).unwrap_or_default();
        (told.trim() == hash).then_some(())
    });
}

#[test]
fn the_log_can_be_json() {
    let (serving, _peer) = serving(&["--log-format", "json"]);
    let log = end(serving).stderr;
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let message = |line: &Value| line["message"].as_str().unwrap().to_owned();
    assert!(
        lines.iter().any(|line| message(line) == "caught up at height 2,500: following"),
        "{log}"
    );
    assert!(lines.iter().all(|line| line["level"] == "info" && line["time"].is_string()), "{log}");
    let program = light_client(BINARY, Network::Regtest);
    let failed = program.run(&["sync", "--connect", "127.0.0.1:1", "--log-format", "json"]);
    let log = failed.expect_code(3).stderr;
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert!(last["level"] == "error" && message(&last).starts_with("no peer could"), "{log}");
}
