//! Clients that ask as fast as they are answered.

use crate::support::measure::cpu_time;
use crate::support::rpc::RpcClient;
use lightclient::primitives::Header;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

/// A server that is asked.
pub(crate) struct Target {
    rpc: RpcClient,
    authorization: String,
    /// The server's process.
    process: u32,
}

impl Target {
    pub(crate) fn new(rpc: RpcClient, process: u32) -> Self {
        let credentials = data_encoding::BASE64.encode(rpc.credentials.as_bytes());
        Self { rpc, authorization: format!("Authorization: Basic {credentials}\r\n"), process }
    }
}

/// Requests, and how many clients send them.
pub(crate) struct Load {
    clients: usize,
    /// How many answers one request brings.
    answers: u32,
    /// Paths that are got, or bodies that are posted.
    requests: Vec<String>,
}

/// What a load found.
pub(crate) struct Figures {
    /// Answers a second.
    pub(crate) rate: f64,
    /// Milliseconds that 99 of 100 requests took at most, with their wait for the clients' thread.
    pub(crate) p99_ms: f64,
    /// Microseconds of processor time that the server took for an answer. The clients' own time is not in it.
    pub(crate) cpu_us: f64,
}

impl Load {
    /// The loads of JSON-RPC, by the names of their cases.
    pub(crate) fn rpc(headers: &[Header]) -> [(&'static str, Self); 2] {
        let step = headers.len() / 1000;
        let hashes: Vec<String> = headers
            .iter()
            .step_by(step)
            .take(1000)
            .map(|header| header.hash().to_string())
            .collect();
        let call = |id: usize, hash: &str| -> Value {
            json!({ "jsonrpc": "2.0", "id": id, "method": "getblockheader", "params": [hash] })
        };
        let single = hashes.iter().map(|hash| call(1, hash).to_string()).collect();
        let batch: Vec<Value> =
            hashes.iter().enumerate().map(|(id, hash)| call(id, hash)).collect();
        [
            ("serve-header", Self { clients: 50, answers: 1, requests: single }),
            (
                "serve-batch",
                Self { clients: 4, answers: 1000, requests: vec![json!(batch).to_string()] },
            ),
        ]
    }

    /// 2,000 headers from each of a thousand heights on.
    pub(crate) fn rest(headers: &[Header]) -> Self {
        let starts = headers.len() - 2000;
        let every = headers[..starts].iter().step_by(starts / 1000);
        let path = |header: &Header| format!("/rest/headers/{}.bin?count=2000", header.hash());
        Self { clients: 4, answers: 1, requests: every.map(path).collect() }
    }

    /// Asks for so long.
    pub(crate) fn run(&self, target: &Target, time: Duration) -> Figures {
        let requests: Arc<[Vec<u8>]> =
            self.requests.iter().map(|what| request(target, what)).collect();
        let (began, cpu_before) = (Instant::now(), cpu_time(target.process));
        let mut times = ask_all(target.rpc.address, &requests, self.clients, began + time);
        let elapsed = began.elapsed().as_secs_f64();
        times.sort_unstable();
        let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
        let count =
            f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX)) * f64::from(self.answers);
        let cpu = cpu_time(target.process).zip(cpu_before).map(|(after, before)| after - before);
        let cpu = cpu.unwrap_or_default().as_secs_f64();
        Figures {
            rate: count / elapsed,
            p99_ms: p99.as_secs_f64() * 1000.0,
            cpu_us: cpu * 1e6 / count,
        }
    }
}

fn request(target: &Target, what: &str) -> Vec<u8> {
    let (address, authorization) = (target.rpc.address, &target.authorization);
    if what.starts_with('/') {
        return format!("GET {what} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes();
    }
    let length = what.len();
    format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\n{authorization}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{what}"
    )
    .into_bytes()
}

/// Asks as so many clients, each over its own connection, and returns how long each request took. One thread for all
/// leaves most of the machine to the server: fifty threads would take as long to be woken as the answers take.
fn ask_all(
    address: SocketAddr,
    requests: &Arc<[Vec<u8>]>,
    clients: usize,
    until: Instant,
) -> Vec<Duration> {
    let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
    runtime.block_on(async {
        let ask = |client| ask(address, Arc::clone(requests), client * 17, until);
        let asking: JoinSet<Vec<Duration>> = (0..clients).map(ask).collect();
        asking.join_all().await.concat()
    })
}

/// Asks one request after another over one connection, and returns how long each took.
async fn ask(
    address: SocketAddr,
    requests: Arc<[Vec<u8>]>,
    first: usize,
    until: Instant,
) -> Vec<Duration> {
    let stream = TcpStream::connect(address).await.expect("it listens");
    stream.set_nodelay(true).expect("an option of TCP");
    let mut stream = BufReader::with_capacity(1 << 16, stream);
    let (mut times, mut body) = (Vec::new(), Vec::new());
    for request in requests.iter().cycle().skip(first) {
        let began = Instant::now();
        if began > until {
            break;
        }
        stream.write_all(request).await.expect("it is taken");
        body.resize(head(&mut stream).await, 0);
        stream.read_exact(&mut body).await.expect("an answer");
        times.push(began.elapsed());
    }
    times
}

/// Reads the head of an answer, and returns the length of its body.
async fn head(answers: &mut BufReader<TcpStream>) -> usize {
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        answers.read_line(&mut line).await.expect("a head");
        assert!(!line.starts_with("HTTP/1.1 4") && !line.starts_with("HTTP/1.1 5"), "{line}");
        let Some((name, value)) = line.split_once(':') else {
            if line.trim().is_empty() {
                return length;
            }
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().expect("a length");
        }
    }
}

/// Gets a path to the end of the connection, and returns how many bytes came.
pub(crate) fn download(address: SocketAddr, path: &str) -> u64 {
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it is taken");
    let (mut bytes, mut buffer) = (0, vec![0; 1 << 18]);
    loop {
        match stream.read(&mut buffer).expect("an answer") {
            0 => return bytes,
            read => bytes += u64::try_from(read).expect("a length"),
        }
    }
}
