//! Clients of `serve` that are clumsy, slow or hostile.

use super::rpc::{RpcClient, base64};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::net::TcpStream;
use std::thread;

/// A client that misbehaves.
#[derive(Clone, Copy)]
pub struct WebClient {
    /// The client's name.
    pub name: &'static str,
    /// What the client does, in a sentence without a subject.
    pub does: &'static str,
    act: fn(&RpcClient) -> io::Result<Acted>,
}

/// The result of a misbehaviour.
#[derive(Debug, Default)]
pub struct Acted {
    /// The HTTP status and the error message of the answer; empty if the client did not wait for an answer.
    pub answer: String,
    /// The connections that stay open.
    pub held: Vec<TcpStream>,
}

impl WebClient {
    /// Misbehaves towards a server.
    ///
    /// # Panics
    /// If the connection fails.
    pub fn act(&self, server: &RpcClient) -> Acted {
        (self.act)(server).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// All misbehaving clients.
    pub const ALL: &[Self] = &[
        client("idle", "Opens 2,500 connections, and sends nothing.", |server| {
            hold(server, 2_500, b"")
        }),
        client(
            "half-heads",
            "Opens 500 connections, and sends half of a request's head on each.",
            |server| hold(server, 500, b"POST / HTTP/1.1\r\nHost: localhost\r\n"),
        ),
        client("slow-bodies", "Begins four bodies of the greatest length, 32 MiB.", |server| {
            hold(server, 4, &[&head(server, &length(0x0200_0000))[..], b"["].concat())
        }),
        client(
            "unread-answers",
            "Asks for all headers 20 times on each of 20 connections, and reads nothing.",
            |server| {
                let one = b"GET /headers?format=jsonl HTTP/1.1\r\nHost: localhost\r\n\r\n";
                hold(server, 20, &one.repeat(20))
            },
        ),
        client("long-polls", "Waits for a new block on 300 connections.", |server| {
            let body = r#"{"method":"waitfornewblock","params":[60000]}"#;
            hold(server, 300, &[&head(server, &length(body.len()))[..], body.as_bytes()].concat())
        }),
        client("long-body", "Announces a body of 32 MiB and a byte.", |server| {
            send(server, &head(server, &length(0x0200_0001)))
        }),
        client(
            "chunked-body",
            "Begins four bodies in chunks, of which one claims 4 GiB.",
            |server| {
                let fields = "Transfer-Encoding: chunked\r\n";
                hold(server, 4, &[&head(server, fields)[..], b"ffffffff\r\n["].concat())
            },
        ),
        client(
            "two-lengths",
            "Sends both a length and chunks, as request smuggling does.",
            |server| {
                let fields = format!("{}Transfer-Encoding: chunked\r\n", length(5));
                send(server, &[&head(server, &fields)[..], b"0\r\n\r\n"].concat())
            },
        ),
        client("long-field", "Sends a header field of 64 KiB.", |server| {
            send(server, &get("/healthz", &format!("X-Long: {}\r\n", "x".repeat(1 << 16))))
        }),
        client("many-fields", "Sends 1,000 header fields.", |server| {
            send(server, &get("/healthz", &"A: b\r\n".repeat(1_000)))
        }),
        client("garbage", "Sends bytes that are no request.", |server| {
            send(server, &[&[0xa5; 64][..], b"\r\n\r\n"].concat())
        }),
        client("tls", "Begins a TLS handshake.", |server| send(server, TLS_HELLO)),
        client("http2", "Begins as HTTP/2 does.", |server| {
            send(server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        }),
        client("wrong-method", "Deletes `/`.", |server| {
            send(server, b"DELETE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        }),
        client("path-traversal", "Gets `/rest/../../../etc/passwd`.", |server| {
            send(server, &get("/rest/../../../etc/passwd", ""))
        }),
        client("rest-count", "Asks REST for 4,294,967,296 headers.", |server| {
            let path = format!("/rest/headers/4294967296/{}.bin", "0".repeat(64));
            send(server, &get(&path, ""))
        }),
        client("wrong-host", "Sends another host's name, as DNS rebinding does.", |server| {
            send(
                server,
                b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
            )
        }),
        client("cross-origin", "Is a script of a page of another origin.", |server| {
            send(server, &get("/healthz", "Origin: https://evil.example\r\n"))
        }),
        client("cross-site", "Is an element of a page of another site.", |server| {
            send(server, &get("/healthz", "Sec-Fetch-Site: cross-site\r\n"))
        }),
        client("wrong-passwords", "Tries 50 passwords at the same time.", wrong_passwords),
        client("no-json", "Posts text that is no JSON.", |server| post(server, "getblockcount")),
        client("deep-json", "Posts a million arrays in one another.", |server| {
            post(server, &format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20)))
        }),
        client("huge-batch", "Posts 10,001 calls at once.", |server| {
            post(server, &batch(10_001, &json!({"method": "getblockcount", "id": 1})))
        }),
        client("costly-batch", "Posts 10,000 calls at once that have long answers.", |server| {
            let call = json!({"method": "getblockchaininfo", "id": 1});
            post(server, &batch(10_000, &call))
        }),
        client("huge-numbers", "Asks for the block at height 10^400.", |server| {
            let height = format!("1{}", "0".repeat(400));
            post(server, &format!(r#"{{"method":"getblockhash","params":[{height}],"id":1}}"#))
        }),
    ];
}

/// The beginning of a TLS 1.2 `ClientHello`.
const TLS_HELLO: &[u8] = &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3, 13, 10, 13, 10];

const fn client(
    name: &'static str,
    does: &'static str,
    act: fn(&RpcClient) -> io::Result<Acted>,
) -> WebClient {
    WebClient { name, does, act }
}

fn length(bytes: usize) -> String {
    format!("Content-Length: {bytes}\r\n")
}

/// Returns the head of an RPC request with credentials and these further fields.
fn head(server: &RpcClient, fields: &str) -> Vec<u8> {
    let credentials = base64(server.credentials.as_bytes());
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Basic {credentials}\r\n{fields}\r\n"
    );
    head.into_bytes()
}

fn get(path: &str, fields: &str) -> Vec<u8> {
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}Connection: close\r\n\r\n");
    head.into_bytes()
}

fn batch(count: usize, call: &Value) -> String {
    Value::from(vec![call.clone(); count]).to_string()
}

fn post(server: &RpcClient, body: &str) -> io::Result<Acted> {
    server.post_text(body).map(|answer| told(&answer))
}

/// Sends a request, and reads the answer.
fn send(server: &RpcClient, request: &[u8]) -> io::Result<Acted> {
    match server.send(request) {
        // A server need not read all of a request that it refuses.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            Ok(Acted { answer: "closes the connection".to_owned(), held: Vec::new() })
        }
        answer => answer.map(|answer| told(&answer)),
    }
}

fn told((head, body): &(String, String)) -> Acted {
    let status = head.split(' ').nth(1).unwrap_or("closes the connection");
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let first = if body.is_array() { &body[0] } else { &body };
    let error = first["error"]["message"].as_str().unwrap_or_default();
    let answer = format!("{status} {error}").trim_end().to_owned();
    Acted { answer, held: Vec::new() }
}

/// Opens connections, sends the same bytes on each, and keeps them open.
fn hold(server: &RpcClient, count: usize, bytes: &[u8]) -> io::Result<Acted> {
    let mut held = Vec::new();
    for _ in 0..count {
        // The test's own limit on open files may allow fewer connections.
        let Ok(mut stream) = TcpStream::connect(server.address) else { break };
        stream.set_nonblocking(true)?;
        // The server may have closed the connection, or stopped reading.
        stream.write_all(bytes).ok();
        held.push(stream);
    }
    Ok(Acted { answer: String::new(), held })
}

fn wrong_passwords(server: &RpcClient) -> io::Result<Acted> {
    let tries: Vec<_> = (0..50)
        .map(|number| {
            let wrong = RpcClient { credentials: format!("me:{number}"), ..server.clone() };
            thread::spawn(move || wrong.post_text(r#"{"method":"getblockcount"}"#))
        })
        .collect();
    let answers = tries.into_iter().map(|one| one.join().expect("no panic"));
    let answers: io::Result<Vec<(String, String)>> = answers.collect();
    let mut answers: Vec<String> = answers?.iter().map(|answer| told(answer).answer).collect();
    answers.dedup();
    Ok(Acted { answer: answers.join(", "), held: Vec::new() })
}
