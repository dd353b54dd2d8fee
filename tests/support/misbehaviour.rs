//! The misbehaviours of peers, each with one name and one description: for scripted peers, for the simulator of `sync`
//! and for `docs/faults.md`. This file uses no other module, so that the crate's own tests can include it.
#![allow(unreachable_pub, reason = "two crates include this file")]

macro_rules! misbehaviours {
    ($($variant:ident $name:literal $does:literal)*) => {
        /// What a peer does wrong, through malice, a fault or bad luck.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Misbehaviour {
            $(#[doc = $does] $variant,)*
        }

        impl Misbehaviour {
            /// All misbehaviours.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns the name of the misbehaviour.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns what the peer does, in a sentence without a subject.
            pub fn does(self) -> &'static str {
                match self { $(Self::$variant => $does,)* }
            }
        }
    };
}

misbehaviours! {
    NotThere "not-there" "Refuses connections."
    Deaf "deaf" "Neither accepts nor refuses a connection."
    HangsUp "hangs-up" "Accepts a connection, and closes it at once."
    Mute "mute" "Accepts a connection, and never sends anything."
    EchoNonce "echo-nonce" "Sends our own nonce back, as a connection to oneself does."
    Http "http" "Answers as a web server."
    Tls "tls" "Answers with a TLS alert."
    Ssh "ssh" "Greets as an SSH server."
    Electrum "electrum" "Answers JSON, as an Electrum server."
    Encrypted "encrypted" "Sends 64 bytes that look random, as BIP324 begins."
    OversizedVersion "oversized-version" "Begins a `version` of 4 GiB."
    OtherNetwork "other-network" "Is on testnet4."
    Obsolete "obsolete" "Has protocol version 31,799."
    OtherClock "other-clock" "Has a clock eight hours ahead."
    NoPongs "no-pongs" "Never answers a ping."
    Garbage "garbage" "Sends bytes that are no message in place of the second answer."
    BadChecksum "bad-checksum" "Sends the second answer with a wrong checksum."
    OversizedHeaders "oversized-headers" "Begins `headers` of 4 GiB in place of the second answer."
    TooManyHeaders "too-many-headers" "Sends 2,001 headers in one message."
    Closes "closes" "Closes the connection at the first request."
    ClosesLater "closes-later" "Closes the connection after two answers."
    ClosesBeforeWork "closes-before-work" "Closes the connection again and again before its chain has shown the minimum work."
    Stalls "stalls" "Answers two requests, and from then on only pings."
    Silent "silent" "Answers two requests, and then nothing at all."
    Trickles "trickles" "Sends 300 bytes a second from the third answer on."
    Slow "slow" "Takes 4.5 s for each answer."
    SilentAtEnd "silent-at-end" "Sends nothing when nothing follows, as bcoin and mako do."
    Empty "empty" "Answers that nothing follows from the third request on."
    Behind "behind" "Has only the first 3,000 headers."
    ClaimsMore "claims-more" "Claims height 1,000,000, and has no more than others."
    ClaimsAndHasNone "claims-and-has-none" "Claims height 20,000, and has no header."
    Repeats "repeats" "Answers every request with the same first 2,000 headers."
    RepeatsOnce "repeats-once" "Sends the first 2,000 headers, and then nothing."
    Alternates "alternates" "Answers with the first 2,000 headers of two valid branches in turn."
    CriesWolf "cries-wolf" "Has no header, and announces with each answer a block that nobody has."
    OldBranch "old-branch" "Has another valid branch, with less work."
    LowWork "low-work" "Has a chain of 70,000 headers below the minimum chain work."
    BeyondHints "beyond-hints" "Leaves the chain at the last hint, with less work."
    OtherChain "other-chain" "Is on the chain that split off in August 2026, from height 2,500."
    WrongWork "wrong-work" "Sends a header without its proof of work."
    WrongBits "wrong-bits" "Sends a header with the wrong difficulty."
    WrongLink "wrong-link" "Sends a header whose parent is not the one before it."
    OldTime "old-time" "Sends a header that is not later than the median of eleven."
    FutureTime "future-time" "Sends a header that is three hours ahead."
    WrongVersion "wrong-version" "Sends a header with a retired version."
    ForeignHeader "foreign-header" "Sends mainnet's first header in the middle of regtest's chain."
    FloodsHeaders "floods-headers" "Sends 300 headers that nobody asked for with each answer."
    FloodsInv "floods-inv" "Announces 500,000 transactions with each answer."
    FloodsAddresses "floods-addresses" "Sends 100,000 addresses with each answer."
    FloodsPings "floods-pings" "Sends 20,000 pings with each answer."
    FloodsUnknown "floods-unknown" "Sends 40 MB of unknown messages with each answer."
}
