//! `sync` with name servers and proxies that misbehave.

use super::BINARY;
use super::page::{Cell, Job, Row, Table};
use super::said::said;
use crate::support::chain::{now, regtest_chain_until};
use crate::support::deaf::Refusing;
use crate::support::dns::{DnsServer, Manner, Zones};
use crate::support::measure::UsageWatch;
use crate::support::peer::ScriptedPeer;
use crate::support::run::{Finished, Program};
use crate::support::script::{Opening, Script};
use crate::support::served::SharedChain;
use crate::support::socks::{Access, SocksProxy, scripted};
use crate::support::sync::{kept, light_client};
use crate::support::wait::PATIENCE;
use lightclient::primitives::{Header, Network};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::OnceLock;

const REGTEST: Network = Network::Regtest;
/// Regtest's port, which addresses from DNS have.
const PORT: u16 = 18_444;
/// A name server that must not be asked: with a proxy, the seed's name goes to that.
const NO_SERVER: &str = "127.0.0.1:1";
/// Regtest's DNS seed.
const SEED: &str = "dummySeed.invalid";

fn headers() -> &'static [Header] {
    static HEADERS: OnceLock<Vec<Header>> = OnceLock::new();
    HEADERS.get_or_init(|| regtest_chain_until(500, 1, 600, now() - 900))
}

fn honest() -> ScriptedPeer {
    Script::honest().start(&SharedChain::new(REGTEST, headers()))
}

/// A sync that has ended, and the peak of its memory.
struct Sync {
    ended: Finished,
    peak: u64,
}

impl Sync {
    fn run(program: &Program, more: &[&str]) -> Self {
        let args = ["sync", "--json", "--timeout", "15", "--min-chain-work", "0"];
        let running = program.start(&[&args[..], more].concat());
        let watch = UsageWatch::start(running.id());
        let ended = running.wait(PATIENCE);
        Self { ended, peak: watch.stop().0 }
    }

    /// Returns the cells for what it said, how it ended, in what time, and its peak.
    fn cells(&self, names: &[(&str, &str)]) -> Vec<Cell> {
        let stopped = match self.ended.stdout.trim() {
            "" => "-".to_owned(),
            _ => self.ended.json()["stopped"].as_str().expect("a reason").to_owned(),
        };
        let code = self.ended.code.expect("no signal");
        vec![
            Cell::Text(said(&self.ended.stderr, names)),
            Cell::Text(format!("`{stopped}`, {code}")),
            Cell::Time(self.ended.elapsed),
            Cell::Memory(self.peak),
        ]
    }

    /// Checks that it has everything that the honest peer has, and returns how long it took.
    fn whole(&self, name: &str, program: &Program) -> Cell {
        assert_eq!(self.ended.code, Some(0), "{name}: {}", self.ended.stderr);
        assert_eq!(self.ended.json()["stopped"], "caught-up", "{name}: {}", self.ended.stderr);
        kept(program, REGTEST).assert_is(headers());
        Cell::Time(self.ended.elapsed)
    }
}

/// A name, a description, how it answers, and with which addresses.
type NameServer = (&'static str, &'static str, Manner, fn() -> Vec<IpAddr>);

const NAME_SERVERS: [NameServer; 10] = [
    ("silent", "Never answers.", Manner::Silent, Vec::new),
    ("fails", "Answers with a failure.", Manner::Fails, Vec::new),
    ("garbage", "Answers with bytes that are no message.", Manner::Garbage, Vec::new),
    ("loops", "Answers with a name that points to itself.", Manner::Loops, Vec::new),
    ("overstates", "Claims 65,535 records, and sends none.", Manner::Overstates, Vec::new),
    ("knows-nothing", "Knows no name.", Manner::Plain, Vec::new),
    (
        "loses-first",
        "Answers the second query for each name, with a peer's address.",
        Manner::LosesFirst,
        || vec![Ipv4Addr::new(127, 90, 1, 1).into()],
    ),
    (
        "forged-first",
        "Others forge four answers before its own, which has a peer's address.",
        Manner::ForgedFirst,
        || vec![Ipv4Addr::new(127, 90, 1, 2).into()],
    ),
    ("names-nobody", "Names eight addresses where nobody is.", Manner::Plain, || {
        (1..=8).map(|host| Ipv4Addr::new(127, 90, 2, host).into()).collect()
    }),
    ("names-others", "Names eight web servers.", Manner::Plain, || {
        (1..=8).map(|range| Ipv4Addr::new(127, 90, 100 + range, 1).into()).collect()
    }),
];

pub(super) fn of_dns() -> Table {
    Table {
        title: "Name servers",
        text: "`sync --dns-server` with each, and `--timeout 15`: alone, and with `--add-peer` for an honest peer besides. The \
               second sync always ends with `caught-up`, exit code 0, and all that the peer has.",
        columns: &[
            "name server",
            "what it does",
            "alone: says",
            "ends",
            "in",
            "memory",
            "beside: in",
        ],
        jobs: NAME_SERVERS
            .into_iter()
            .map(|server| Box::new(move || name_server(server)) as _)
            .collect(),
    }
}

/// Peers at the addresses that a name server gives.
fn peers_at(name: &str, addresses: &[IpAddr]) -> Vec<ScriptedPeer> {
    let script = match name {
        "names-nobody" => return Vec::new(),
        "names-others" => Script::honest().opening(Opening::Garbage),
        _ => Script::honest(),
    };
    let ips = addresses.iter().filter_map(|ip| match ip {
        IpAddr::V4(ip) => Some(*ip),
        IpAddr::V6(_) => None,
    });
    let chain = SharedChain::new(REGTEST, headers());
    ips.map(|ip| script.clone().on(ip).port(PORT).start(&chain)).collect()
}

fn name_server((name, does, manner, addresses): NameServer) -> Row {
    let addresses = addresses();
    let _peers = peers_at(name, &addresses);
    let zones = Zones::default();
    let server: DnsServer = match name {
        "knows-nothing" => zones,
        _ => {
            let sub_domain = format!("x9.{SEED}");
            let zones = zones.with_manner(SEED, addresses.clone(), manner);
            zones.with_manner(&sub_domain, addresses, manner)
        }
    }
    .serve();
    let at = server.address().to_string();
    let alone = Sync::run(&light_client(BINARY, REGTEST), &["--dns-server", &at]);
    let (honest, program) = (honest(), light_client(BINARY, REGTEST));
    let beside = Sync::run(&program, &["--dns-server", &at, "--add-peer", &honest.connect()]);
    let mut cells = vec![Cell::Text(does.to_owned())];
    cells.extend(alone.cells(&[(&at, "SERVER")]));
    cells.push(beside.whole(name, &program));
    Row { name, cells }
}

/// What answers where a proxy should be. It lives as long as this.
enum Proxy {
    Refusing(Refusing),
    Scripted(SocketAddr),
    Socks(SocksProxy),
}

impl Proxy {
    fn address(&self) -> SocketAddr {
        match self {
            Self::Refusing(refusing) => refusing.address(),
            Self::Scripted(address) => *address,
            Self::Socks(socks) => socks.address(),
        }
    }
}

type BadProxy = (&'static str, &'static str, fn() -> Proxy);

/// A greeting that wants no login.
const WELCOME: &[u8] = &[5, 0];

const PROXIES: [BadProxy; 10] = [
    ("not-there", "Refuses connections.", || {
        Proxy::Refusing(Refusing::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))
    }),
    ("mute", "Accepts connections, and never answers.", || Proxy::Scripted(scripted(&[b"", b""]))),
    ("http", "Answers HTTP.", || Proxy::Scripted(scripted(&[b"HTTP/1.1 400 Bad Request\r\n\r\n"]))),
    ("other-version", "Answers as SOCKS4.", || {
        Proxy::Scripted(scripted(&[&[0, 0x5b, 0, 0, 0, 0, 0, 0]]))
    }),
    ("wants-a-login", "Takes only a user name and a password that it was not given.", || {
        Proxy::Socks(SocksProxy::with(Access::Only("alice", "hunter2"), []))
    }),
    ("closes", "Closes the connection instead of answering the request.", || {
        Proxy::Scripted(scripted(&[WELCOME]))
    }),
    ("falls-silent", "Greets, and never answers the request.", || {
        Proxy::Scripted(scripted(&[WELCOME, b"", b""]))
    }),
    ("cut-short", "Answers the request with half of a name of 255 bytes.", || {
        Proxy::Scripted(scripted(&[WELCOME, &[5, 0, 0, 3, 255, b'x', b'x']]))
    }),
    ("reaches-nobody", "Reports every host as unreachable.", || {
        Proxy::Socks(SocksProxy::start([]))
    }),
    ("connects-elsewhere", "Connects everything to a web server.", || {
        const WEB: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        Proxy::Scripted(scripted(&[WELCOME, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0], WEB]))
    }),
];

pub(super) fn of_proxies() -> Table {
    let jobs = PROXIES.into_iter().map(|bad| Box::new(move || proxy(bad)) as Job).collect();
    Table {
        title: "Proxies",
        text: "`sync --proxy` with each, `--timeout 15` and no peer named. Nothing goes around a proxy, so an honest peer \
               cannot help beside it; but a sync without the proxy in the same folder then ends with `caught-up`, exit code 0, and \
               all that its peer has.",
        columns: &["proxy", "what it does", "says", "ends", "in", "memory", "without it, then: in"],
        jobs,
    }
}

fn proxy((name, does, start): BadProxy) -> Row {
    let proxy = start();
    let at = proxy.address().to_string();
    let program = light_client(BINARY, REGTEST);
    let through = Sync::run(&program, &["--proxy", &at, "--dns-server", NO_SERVER]);
    let honest = honest();
    let without = Sync::run(&program, &["--no-dns", "--connect", &honest.connect()]);
    let mut cells = vec![Cell::Text(does.to_owned())];
    cells.extend(through.cells(&[(&at, "PROXY")]));
    cells.push(without.whole(name, &program));
    Row { name, cells }
}
