//! The hints and fixed seeds that ship inside the program. `data/README.md` says where they come from and how they were
//! checked.

use crate::chain::{Hints, HintsError, Params};
use crate::primitives::Network;

/// Returns the shipped hints of a network. There are none for regtest and custom signets.
///
/// # Errors
/// The shipped file is malformed, which a test rules out.
pub(crate) fn hints(params: &Params) -> Result<Hints, HintsError> {
    Hints::parse(match params.network {
        _ if params.is_custom_signet() => "",
        Network::Mainnet => include_str!("../../data/mainnet-hints.txt"),
        Network::Testnet3 => include_str!("../../data/testnet3-hints.txt"),
        Network::Testnet4 => include_str!("../../data/testnet4-hints.txt"),
        Network::Signet => include_str!("../../data/signet-hints.txt"),
        Network::Regtest => "",
    })
}

/// Returns the addresses (`ip:port`) of long-running nodes, which are used if DNS is off, gives too few addresses, or
/// does not lead to enough peers. There are none for regtest and custom signets.
pub(crate) fn fixed_seeds(params: &Params) -> Vec<String> {
    let text = match params.network {
        _ if params.is_custom_signet() => "",
        Network::Mainnet => include_str!("../../data/mainnet-fixed-seeds.txt"),
        Network::Testnet3 => include_str!("../../data/testnet3-fixed-seeds.txt"),
        Network::Testnet4 => include_str!("../../data/testnet4-fixed-seeds.txt"),
        Network::Signet => include_str!("../../data/signet-fixed-seeds.txt"),
        Network::Regtest => "",
    };
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{fixed_seeds, hints};
    use crate::chain::params;
    use crate::primitives::Network;
    use std::net::SocketAddr;

    #[test]
    fn shipped_hints_cover_every_period_up_to_the_last_hint() {
        for network in Network::ALL {
            for (point, period) in hints(params(network)).unwrap().points().iter().zip(1..) {
                assert_eq!(point.height, params(network).interval * period - 1, "{network}");
            }
        }
        assert_eq!(
            hints(params(Network::Mainnet)).unwrap().points().last().unwrap().height,
            953_567
        );
    }

    #[test]
    fn shipped_seeds_are_addresses_with_ports() {
        for network in Network::ALL {
            let seeds = fixed_seeds(params(network));
            assert_eq!(seeds.is_empty(), network == Network::Regtest, "{network}");
            for seed in seeds {
                assert!(seed.parse::<SocketAddr>().is_ok(), "{network}: {seed}");
            }
        }
    }
}
