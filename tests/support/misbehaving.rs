//! Scripted peers for every [`Misbehaviour`], and the chains that they lie about.

use super::chain::{fork_chain, now, regtest_chain_until};
use super::deaf::{Deaf, Refusing};
pub use super::misbehaviour::Misbehaviour;
use super::peer::ScriptedPeer;
use super::script::{Opening, Script, Then};
use super::served::{ServedChain, SharedChain};
use super::wrong::{Wrong, with_wrong};
use lightclient::chain::params;
use lightclient::primitives::{Hash256, Header, Network, sha256d};
use lightclient::wire::{
    AddrEntry, Command, Endpoint, GetHeaders, HeadersMessage, Inventory, InventoryKind, Message,
    ServiceFlags,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const REGTEST: Network = Network::Regtest;
/// The height at which most other branches leave the honest chain, and the height of the wrong headers.
const FORK: u32 = 2_500;
/// The height of the last hint in a world that has hints.
pub const LAST_HINT: u32 = 60_479;
/// The work of 75,000 regtest headers: less than that of the long honest chain, and more than that of the chain of
/// [`Misbehaviour::LowWork`].
const MIN_WORK: &str = "0x249f0";

/// What the honest peer has, and how the client is started.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// The honest chain, whose last block is some minutes old.
    pub headers: &'static [Header],
    /// The value of `--min-chain-work`.
    pub min_work: &'static str,
    /// Whether every 2016th header up to [`LAST_HINT`] is a hint.
    pub has_hints: bool,
}

impl World {
    /// Returns the world in which a misbehaviour can do harm.
    pub fn of(misbehaviour: Misbehaviour) -> Self {
        static SHORT: OnceLock<Vec<Header>> = OnceLock::new();
        static LONG: OnceLock<Vec<Header>> = OnceLock::new();
        let short = || SHORT.get_or_init(|| regtest_chain_until(7_000, 1, 600, now() - 900));
        let long = || LONG.get_or_init(|| regtest_chain_until(80_000, 2, 100, now() - 900));
        match misbehaviour {
            Misbehaviour::ClosesBeforeWork | Misbehaviour::LowWork => {
                Self { headers: long(), min_work: MIN_WORK, has_hints: false }
            }
            Misbehaviour::BeyondHints => Self { headers: long(), min_work: "0", has_hints: true },
            _ => Self { headers: short(), min_work: "0", has_hints: false },
        }
    }

    fn served(&self) -> SharedChain {
        SharedChain::new(REGTEST, self.headers)
    }
}

/// A peer that misbehaves, and stops when dropped.
#[derive(Debug)]
pub enum Liar {
    /// A peer that accepts connections.
    Peer(ScriptedPeer),
    /// An address that does not accept connections.
    Deaf(Deaf),
    /// An address that refuses connections.
    Refusing(Refusing),
}

impl Liar {
    /// Starts a peer that misbehaves in this way.
    pub fn start(misbehaviour: Misbehaviour) -> Self {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        match misbehaviour {
            Misbehaviour::NotThere => Self::Refusing(Refusing::at(anywhere)),
            Misbehaviour::Deaf => Self::Deaf(Deaf::at(anywhere)),
            _ => Self::Peer(script(misbehaviour).start(&chain(misbehaviour))),
        }
    }

    /// Returns the peer's address.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Peer(peer) => peer.address(),
            Self::Deaf(deaf) => deaf.address(),
            Self::Refusing(refusing) => refusing.address(),
        }
    }
}

/// Returns the chain that the peer serves.
fn chain(misbehaviour: Misbehaviour) -> SharedChain {
    let world = World::of(misbehaviour);
    let headers = world.headers;
    let wrong = |kind| SharedChain::new(REGTEST, &with_wrong(REGTEST, headers, FORK, kind));
    let fork = |at, count| SharedChain::new(REGTEST, &fork_chain(headers, at, count, 3));
    match misbehaviour {
        Misbehaviour::ClaimsAndHasNone | Misbehaviour::CriesWolf => {
            SharedChain::new(REGTEST, &headers[..1])
        }
        Misbehaviour::OldBranch => fork(FORK, 3_000),
        Misbehaviour::LowWork => SharedChain::new(REGTEST, &low_work(headers)),
        Misbehaviour::BeyondHints => fork(LAST_HINT, 19_000),
        Misbehaviour::OtherChain => {
            SharedChain::from(ServedChain::new(REGTEST, headers).with_foreign(FORK, 4_000))
        }
        Misbehaviour::WrongWork => wrong(Wrong::Work),
        Misbehaviour::WrongBits => wrong(Wrong::Bits),
        Misbehaviour::WrongLink => wrong(Wrong::Link),
        Misbehaviour::OldTime => wrong(Wrong::OldTime),
        Misbehaviour::FutureTime => wrong(Wrong::FutureTime),
        Misbehaviour::WrongVersion => wrong(Wrong::Version),
        Misbehaviour::ForeignHeader => wrong(Wrong::OtherNetwork),
        _ => world.served(),
    }
}

/// Makes a chain that differs from genesis on, and whose last header has the time of the honest chain's last header.
fn low_work(headers: &[Header]) -> Vec<Header> {
    let end = headers.last().expect("a chain has a genesis").time;
    regtest_chain_until(70_000, 3, 100, end)
}

/// Returns the script of the peer.
fn script(misbehaviour: Misbehaviour) -> Script {
    use Misbehaviour as M;
    let honest = Script::honest();
    let served = || World::of(misbehaviour).served();
    match misbehaviour {
        M::HangsUp => honest.opening(Opening::HangUp),
        M::Mute => honest.opening(Opening::Mute),
        M::EchoNonce => honest.opening(Opening::EchoNonce),
        M::Http => honest.opening(Opening::Garbage),
        M::Tls => honest.opening(Opening::Says(&[0x15, 3, 3, 0, 2, 2, 70])),
        M::Ssh => honest.opening(Opening::Says(b"SSH-2.0-OpenSSH_9.2\r\n")),
        M::Electrum => honest.opening(Opening::Says(b"{\"jsonrpc\": \"2.0\", \"error\": {}}\n")),
        M::Encrypted => honest.opening(Opening::Says(&[0xc7; 64])),
        M::OversizedVersion => honest.opening(Opening::Oversized),
        M::OtherNetwork => honest.magic(params(Network::Testnet4).magic),
        M::Obsolete => honest.protocol(31_799),
        M::OtherClock => honest.clock_ahead(8 * 3600),
        M::NoPongs => honest.without_pongs(),
        M::Garbage => honest.after(1, Then::Garbage),
        M::BadChecksum => honest.after(1, Then::BadChecksum),
        M::OversizedHeaders => honest.after(1, Then::Oversized),
        M::Closes => honest.after(0, Then::Close),
        M::ClosesLater => honest.after(2, Then::Close),
        // The delay is long enough for the answers to be stored before the client notices the end of the connection.
        M::ClosesBeforeWork => honest.round_trip(Duration::from_millis(60)).after(4, Then::Close),
        M::Stalls => honest.after(2, Then::Stall),
        M::Silent => honest.after(2, Then::Silence),
        M::Trickles => honest.after(2, Then::Trickle(300.0)),
        M::Slow => slow(Duration::from_millis(4_500)),
        M::SilentAtEnd => silent_at_end(served()),
        M::Empty => honest.after(2, Then::Empty),
        M::Behind => honest.serves_up_to(3_000),
        M::ClaimsMore => honest.claims_height(1_000_000),
        M::ClaimsAndHasNone => honest.claims_height(20_000),
        M::CriesWolf => crier(),
        _ => answering(misbehaviour, honest),
    }
}

/// Returns the script of a peer that misbehaves in its answers to `getheaders`.
fn answering(misbehaviour: Misbehaviour, honest: Script) -> Script {
    use Misbehaviour as M;
    let headers = World::of(misbehaviour).headers;
    let flood = |messages| flooding(World::of(misbehaviour).served(), messages);
    match misbehaviour {
        M::TooManyHeaders => {
            let many = Message::Headers(HeadersMessage::plain(headers[1..=2_001].to_vec()));
            honest.answering(on_getheaders(move |_| vec![many.clone()]))
        }
        M::Repeats => alternating(&[headers]),
        M::RepeatsOnce => alternating(&[headers]).after(1, Then::Stall),
        M::Alternates => alternating(&[headers, &fork_chain(headers, 0, 2_000, 6)]),
        M::FloodsHeaders => {
            // No peer has the parent of this header.
            let orphan = fork_chain(headers, 6_000, 2, 9).split_off(6_002);
            flood(vec![Message::Headers(HeadersMessage::plain(orphan)); 300])
        }
        M::FloodsInv => flood((0..10).map(transactions).collect()),
        M::FloodsAddresses => flood((0..100).map(addresses).collect()),
        M::FloodsPings => flood((0..20_000).map(|nonce| Message::Ping(Some(nonce))).collect()),
        M::FloodsUnknown => {
            let unknown = Message::Unknown { command: UNKNOWN, payload: vec![0xa5; 2_000_000] };
            flood(vec![unknown; 20])
        }
        _ => honest,
    }
}

const UNKNOWN: Command = Command::new("nonsense");

/// Makes a hook that answers only `getheaders`.
fn on_getheaders(
    answer: impl Fn(&GetHeaders) -> Vec<Message> + Send + Sync + 'static,
) -> impl Fn(&Message) -> Option<Vec<Message>> + Send + Sync + 'static {
    move |message| match message {
        Message::GetHeaders(request) => Some(answer(request)),
        _ => None,
    }
}

/// Returns the script of a peer that answers every request with the first 2,000 headers of these chains in turn.
pub fn alternating(chains: &[&[Header]]) -> Script {
    let firsts: Vec<Vec<Header>> = chains.iter().map(|chain| chain[1..=2000].to_vec()).collect();
    let answers = AtomicUsize::new(0);
    Script::honest().answering(on_getheaders(move |_| {
        let next = answers.fetch_add(1, Ordering::Relaxed) % firsts.len();
        vec![Message::Headers(HeadersMessage::plain(firsts[next].clone()))]
    }))
}

/// Returns the script of a peer that waits for the time `each` before it answers a `getheaders`.
pub fn slow(each: Duration) -> Script {
    Script::honest().answering(move |message| {
        if matches!(message, Message::GetHeaders(_)) {
            thread::sleep(each);
        }
        None
    })
}

/// Returns the script of a peer that sends nothing when no header follows the locator, as bcoin and mako do.
pub fn silent_at_end(served: SharedChain) -> Script {
    Script::honest().answering(move |message| {
        let Message::GetHeaders(request) = message else { return None };
        served.now().answer(request, u32::MAX).is_empty().then(Vec::new)
    })
}

/// Returns the script of a peer that has no headers, and with each answer announces a block that nobody has.
pub fn crier() -> Script {
    let cries = AtomicU64::new(0);
    Script::honest().round_trip(Duration::from_millis(100)).answering(on_getheaders(move |_| {
        let cry = cries.fetch_add(1, Ordering::Relaxed);
        let hash = Hash256(sha256d(&cry.to_le_bytes()));
        let inv = Message::Inv(vec![Inventory { kind: InventoryKind::Block, hash }]);
        vec![Message::Headers(HeadersMessage::default()), inv]
    }))
}

/// Returns the script of a peer that sends these messages before each honest answer.
fn flooding(served: SharedChain, messages: Vec<Message>) -> Script {
    Script::honest().answering(on_getheaders(move |request| {
        let chain = served.now();
        let heights: Range<usize> = chain.answer(request, u32::MAX);
        let headers = heights.map(|height| chain.header(height)).collect();
        let answer = Message::Headers(HeadersMessage::plain(headers));
        messages.iter().cloned().chain([answer]).collect()
    }))
}

/// Makes an `inv` of as many transactions as one message may have.
fn transactions(number: u64) -> Message {
    let hash = |at: u64| Hash256(sha256d(&(number * 50_000 + at).to_le_bytes()));
    let kind = InventoryKind::Tx;
    Message::Inv((0..50_000).map(|at| Inventory { kind, hash: hash(at) }).collect())
}

/// Makes an `addr` of as many addresses as one message may have.
fn addresses(number: u32) -> Message {
    let time = now();
    let entry = |at: u32| {
        let ip = IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + (number * 1_000 + at) * 256));
        let services = ServiceFlags::NETWORK | ServiceFlags::WITNESS;
        AddrEntry { time, endpoint: Endpoint::new(SocketAddr::new(ip, 18_444), services) }
    };
    Message::Addr((0..1_000).map(entry).collect())
}
