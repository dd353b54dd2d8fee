//! Parameters of the five networks, and of custom signets.
//!
//! Source: Bitcoin Core `src/kernel/chainparams.cpp`; minimum chain work and seeds of release 31.

use crate::primitives::{BlockHash, Header, MerkleRoot, Network, Target, Work, hex, sha256d_parts};

/// A network's parameters for the rules and the wire.
#[derive(Debug, PartialEq, Eq)]
pub struct Params {
    /// Which network this is.
    pub network: Network,
    /// The four bytes that start each P2P message, in wire order.
    pub magic: [u8; 4],
    /// TCP port of the P2P protocol.
    pub port: u16,
    /// TCP port on which Bitcoin Core answers RPC.
    pub rpc_port: u16,
    /// The first header; valid by definition.
    pub genesis: Header,
    /// No target may be above this.
    pub pow_limit: Target,
    /// Compact form of `pow_limit`.
    pub pow_limit_bits: u32,
    /// Seconds that a period of `interval` blocks should take.
    pub timespan: u32,
    /// Blocks from one retarget to the next.
    pub interval: u32,
    /// Whether a header more than 20 minutes after its parent must have the minimum difficulty, except at a boundary.
    pub min_difficulty: bool,
    /// Whether BIP94 is in force: retargets start from the old period's first bits, and a timewarp at a boundary is
    /// refused.
    pub bip94: bool,
    /// Whether the bits never change.
    pub no_retarget: bool,
    /// From this height on, versions below 2 are refused.
    pub bip34_height: u32,
    /// From this height on, versions below 3 are refused.
    pub bip66_height: u32,
    /// From this height on, versions below 4 are refused.
    pub bip65_height: u32,
    /// From this height on, a block with witnesses has to commit to them (BIP141).
    pub segwit_height: u32,
    /// Host names that answer with addresses of peers; a subdomain selects peers with certain services. Regtest's name
    /// resolves only on a DNS server that the user has set up for it.
    pub dns_seeds: &'static [&'static str],
    /// The script that the signature of a signet's block has to satisfy, in hex digits; empty for other networks.
    pub signet_challenge: &'static str,
    /// The minimum chain work, little-endian.
    min_chain_work: [u8; 32],
}

/// Seconds between blocks that the retarget aims at, on every network.
pub const SPACING: u32 = 600;

impl Params {
    /// Returns the minimum chain work (Bitcoin Core `nMinimumChainWork`): a chain with less is never reported as
    /// synced.
    pub fn min_chain_work(&self) -> Work {
        let mut bytes = self.min_chain_work;
        bytes.reverse();
        Work::from_be_bytes(&bytes)
    }

    /// Returns the parameters of the signet with this challenge script. They are those of the default signet, but with
    /// the signet's own magic and challenge, and without seeds and minimum chain work. For the default signet's
    /// challenge, returns the default signet's own parameters.
    ///
    /// The magic is the first four bytes of the double SHA-256 of the challenge's length (CompactSize) and the
    /// challenge. Source: BIP325.
    pub fn signet(challenge: &[u8]) -> Self {
        let length = compact_size(challenge.len());
        let hash = sha256d_parts(&[&length, challenge]);
        let magic = [hash[0], hash[1], hash[2], hash[3]];
        if magic == SIGNET.magic {
            return Self { ..SIGNET };
        }
        // The string is leaked: parameters live until the program ends, and a program follows few signets.
        let signet_challenge = hex::encode(challenge).leak();
        Self { magic, signet_challenge, dns_seeds: &[], min_chain_work: [0; 32], ..SIGNET }
    }

    /// Returns whether this is a signet other than the default one. The program ships neither hints nor seeds for such
    /// a signet.
    pub fn is_custom_signet(&self) -> bool {
        self.network == Network::Signet && self.magic != SIGNET.magic
    }

    /// Returns the name of the network's subfolder of the data folder: the network's name, to which a custom signet
    /// adds its magic, such as `signet-7ec653a5`.
    pub fn folder_name(&self) -> String {
        let name = self.network.name();
        if self.is_custom_signet() {
            format!("{name}-{}", hex::encode(&self.magic))
        } else {
            name.to_owned()
        }
    }

    /// Returns the height of the first block of the period that `height` belongs to.
    pub fn period_start(&self, height: u32) -> u32 {
        height - height % self.interval
    }

    /// Returns whether a period begins at this height.
    pub fn is_boundary(&self, height: u32) -> bool {
        height.is_multiple_of(self.interval)
    }
}

/// Returns the parameters of a network.
pub fn params(network: Network) -> &'static Params {
    match network {
        Network::Mainnet => &MAINNET,
        Network::Testnet3 => &TESTNET3,
        Network::Testnet4 => &TESTNET4,
        Network::Signet => &SIGNET,
        Network::Regtest => &REGTEST,
    }
}

/// Returns a length as a CompactSize.
fn compact_size(length: usize) -> Vec<u8> {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..0xfd), _) => vec![short],
        (_, Ok(middle)) => [&[0xfd][..], &middle.to_le_bytes()].concat(),
        _ => [&[0xfe][..], &u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()].concat(),
    }
}

const SATOSHIS_MERKLE_ROOT: &str =
    "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b";

const fn genesis(merkle_root: &str, time: u32, bits: u32, nonce: u32) -> Header {
    Header {
        version: 1,
        prev: BlockHash::ZERO,
        merkle_root: MerkleRoot(hex::reversed_literal(merkle_root)),
        time,
        bits,
        nonce,
    }
}

/// Returns the target whose lowest `ones` bytes are 0xff and whose next byte is `top`. All higher bytes are zero.
const fn limit(ones: usize, top: u8) -> Target {
    let mut bytes = [0; 32];
    let mut i = 0;
    while i < ones {
        bytes[i] = 0xff;
        i += 1;
    }
    bytes[ones] = top;
    Target::from_le_bytes(bytes)
}

const TWO_WEEKS: u32 = 1_209_600;

static MAINNET: Params = Params {
    network: Network::Mainnet,
    magic: [0xf9, 0xbe, 0xb4, 0xd9],
    port: 8333,
    rpc_port: 8332,
    genesis: genesis(SATOSHIS_MERKLE_ROOT, 1_231_006_505, 0x1d00_ffff, 2_083_236_893),
    pow_limit: limit(28, 0),
    pow_limit_bits: 0x1d00_ffff,
    timespan: TWO_WEEKS,
    interval: TWO_WEEKS / SPACING,
    min_difficulty: false,
    bip94: false,
    no_retarget: false,
    bip34_height: 227_931,
    bip66_height: 363_725,
    bip65_height: 388_381,
    segwit_height: 481_824,
    dns_seeds: &[
        "seed.bitcoin.sipa.be",
        "dnsseed.bluematt.me",
        "seed.bitcoin.jonasschnelli.ch",
        "seed.btc.petertodd.net",
        "seed.bitcoin.sprovoost.nl",
        "dnsseed.emzy.de",
        "seed.bitcoin.wiz.biz",
        "seed.mainnet.achownodes.xyz",
    ],
    signet_challenge: "",
    min_chain_work: hex::reversed_literal(
        "0000000000000000000000000000000000000001128750f82f4c366153a3a030",
    ),
};

static TESTNET3: Params = Params {
    network: Network::Testnet3,
    magic: [0x0b, 0x11, 0x09, 0x07],
    port: 18333,
    rpc_port: 18332,
    genesis: genesis(SATOSHIS_MERKLE_ROOT, 1_296_688_602, 0x1d00_ffff, 414_098_458),
    min_difficulty: true,
    bip34_height: 21_111,
    bip66_height: 330_776,
    bip65_height: 581_885,
    segwit_height: 834_624,
    dns_seeds: &[
        "testnet-seed.bitcoin.jonasschnelli.ch",
        "seed.tbtc.petertodd.net",
        "seed.testnet.bitcoin.sprovoost.nl",
        "testnet-seed.bluematt.me",
        "seed.testnet.achownodes.xyz",
    ],
    min_chain_work: hex::reversed_literal(
        "0000000000000000000000000000000000000000000017dde1c649f3708d14b6",
    ),
    ..MAINNET
};

static TESTNET4: Params = Params {
    network: Network::Testnet4,
    magic: [0x1c, 0x16, 0x3f, 0x28],
    port: 48333,
    rpc_port: 48332,
    genesis: genesis(
        "7aa0a7ae1e223414cb807e40cd57e667b718e42aaf9306db9102fe28912b7b4e",
        1_714_777_860,
        0x1d00_ffff,
        393_743_547,
    ),
    bip94: true,
    bip34_height: 1,
    bip66_height: 1,
    bip65_height: 1,
    segwit_height: 1,
    dns_seeds: &["seed.testnet4.bitcoin.sprovoost.nl", "seed.testnet4.wiz.biz"],
    min_chain_work: hex::reversed_literal(
        "0000000000000000000000000000000000000000000009a0fe15d0177d086304",
    ),
    ..TESTNET3
};

static SIGNET: Params = Params {
    network: Network::Signet,
    magic: [0x0a, 0x03, 0xcf, 0x40],
    port: 38333,
    rpc_port: 38332,
    genesis: genesis(SATOSHIS_MERKLE_ROOT, 1_598_918_400, 0x1e03_77ae, 52_613_770),
    pow_limit: Target::from_le_bytes(hex::reversed_literal(
        "00000377ae000000000000000000000000000000000000000000000000000000",
    )),
    pow_limit_bits: 0x1e03_77ae,
    bip34_height: 1,
    bip66_height: 1,
    bip65_height: 1,
    segwit_height: 1,
    dns_seeds: &["seed.signet.bitcoin.sprovoost.nl", "seed.signet.achownodes.xyz"],
    signet_challenge: "512103ad5e0edad18cb1f0fc0d28a3d4f1f3e445640337489abb10404f2d1e086be430210359ef5021\
                       964fe22d6f8e05b2463c9540ce96883fe3b278760f048f5189f2e6c452ae",
    min_chain_work: hex::reversed_literal(
        "00000000000000000000000000000000000000000000000000000b463ea0a4b8",
    ),
    ..MAINNET
};

static REGTEST: Params = Params {
    network: Network::Regtest,
    magic: [0xfa, 0xbf, 0xb5, 0xda],
    port: 18444,
    rpc_port: 18443,
    genesis: genesis(SATOSHIS_MERKLE_ROOT, 1_296_688_602, 0x207f_ffff, 2),
    pow_limit: limit(31, 0x7f),
    pow_limit_bits: 0x207f_ffff,
    timespan: 86_400,
    interval: 86_400 / SPACING,
    min_difficulty: true,
    no_retarget: true,
    bip34_height: 1,
    bip66_height: 1,
    bip65_height: 1,
    segwit_height: 0,
    dns_seeds: &["dummySeed.invalid"],
    min_chain_work: [0; 32],
    ..MAINNET
};

#[cfg(test)]
mod tests {
    use super::{Params, compact_size, params};
    use crate::primitives::{Network, Target, Work, hex};

    #[test]
    fn the_five_genesis_hashes_are_those_of_bitcoin_core() {
        let expected = [
            "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
            "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
            "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
            "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
            "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
        ];
        for (network, hash) in Network::ALL.into_iter().zip(expected) {
            let genesis = params(network).genesis;
            assert_eq!(genesis.hash().to_string(), hash, "{network}");
            assert!(Target::from_bits(genesis.bits).unwrap().is_met_by(&genesis.hash()));
        }
    }

    #[test]
    fn the_magic_of_a_signet_is_derived_from_its_challenge() {
        let challenge = params(Network::Signet).signet_challenge;
        let default = Params::signet(&hex::decode(challenge).unwrap());
        assert_eq!(&default, params(Network::Signet));
        assert_eq!(default.folder_name(), "signet");
        // OP_TRUE: anyone may sign. The magic is the one that bitcoind -signetchallenge=51 uses.
        let anyone = Params::signet(&[0x51]);
        assert_eq!(
            (anyone.folder_name().as_str(), anyone.signet_challenge),
            ("signet-54d26fbd", "51")
        );
        assert!(anyone.is_custom_signet() && !default.is_custom_signet());
        assert_eq!((anyone.dns_seeds.len(), anyone.min_chain_work()), (0, Work::default()));
        assert_eq!(anyone.genesis, default.genesis);
        for (length, prefix) in [(252, 1), (253, 3), (65_535, 3), (65_536, 5)] {
            assert_eq!(compact_size(length).len(), prefix, "{length}");
        }
    }

    #[test]
    fn each_limit_has_its_compact_form() {
        for network in Network::ALL {
            let params = params(network);
            assert_eq!(params.pow_limit.to_bits(), params.pow_limit_bits, "{network}");
        }
    }

    #[test]
    fn magic_limit_and_retarget_flags_agree_with_the_bitcoin_crate() {
        for network in Network::ALL {
            let ours = params(network);
            let theirs = match network {
                Network::Mainnet => bitcoin::Network::Bitcoin,
                Network::Testnet3 => bitcoin::Network::Testnet,
                Network::Testnet4 => bitcoin::Network::Testnet4,
                Network::Signet => bitcoin::Network::Signet,
                Network::Regtest => bitcoin::Network::Regtest,
            };
            assert_eq!(ours.magic, theirs.magic().to_bytes(), "{network}");
            let theirs = bitcoin::consensus::Params::new(theirs);
            let limit = theirs.max_attainable_target.to_le_bytes();
            assert_eq!(Target::from_le_bytes(limit).to_bits(), ours.pow_limit_bits, "{network}");
            assert_eq!(theirs.no_pow_retargeting, ours.no_retarget, "{network}");
            assert_eq!(theirs.allow_min_difficulty_blocks, ours.min_difficulty, "{network}");
        }
    }
}
