//! Names of the networks; their parameters are in `chain::params`.

use std::fmt;
use std::str::FromStr;

/// One of the five Bitcoin networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Network {
    /// The main network, whose coins have value.
    Mainnet,
    /// The old test network, with the 20-minute minimum-difficulty rule.
    Testnet3,
    /// The current test network (BIP94).
    Testnet4,
    /// A signed test network (BIP325): the default signet or a custom one.
    Signet,
    /// A private network for tests: trivial work, no retarget.
    Regtest,
}

impl Network {
    /// All networks, in the order in which they are listed to users.
    pub const ALL: [Self; 5] =
        [Self::Mainnet, Self::Testnet3, Self::Testnet4, Self::Signet, Self::Regtest];

    /// Returns the name in flags, folders and output. The name of a custom signet's folder has a suffix.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Testnet3 => "testnet3",
            Self::Testnet4 => "testnet4",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that is not the name of a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown network {0:?}: expected mainnet, testnet3, testnet4, signet or regtest")]
pub struct UnknownNetwork(pub String);

impl FromStr for Network {
    type Err = UnknownNetwork;

    /// Accepts the five names in any case, and Bitcoin Core's `main`, `test` and `testnet` for the first two.
    fn from_str(text: &str) -> Result<Self, UnknownNetwork> {
        match text.to_ascii_lowercase().as_str() {
            "mainnet" | "main" => Ok(Self::Mainnet),
            "testnet3" | "test" | "testnet" => Ok(Self::Testnet3),
            "testnet4" => Ok(Self::Testnet4),
            "signet" => Ok(Self::Signet),
            "regtest" => Ok(Self::Regtest),
            _ => Err(UnknownNetwork(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn names_of_bitcoin_core_and_any_case_are_understood() {
        for (text, network) in [
            ("main", Network::Mainnet),
            ("MAINNET", Network::Mainnet),
            ("test", Network::Testnet3),
            ("testnet", Network::Testnet3),
            ("TestNet4", Network::Testnet4),
            ("Signet", Network::Signet),
            ("REGTEST", Network::Regtest),
        ] {
            assert_eq!(text.parse(), Ok(network), "{text}");
        }
        assert!("bitcoin".parse::<Network>().is_err());
    }
}
