//! Asking peers for one thing, from the command line.

use super::network_args::peer_options;
use super::no_peer::no_peer;
use super::runtime::{block_on, endings};
use super::stored::ShownHeader;
use super::what::OneBlock;
use super::{CliError, Context};
use crate::config::Config;
use crate::node::{FetchError, FetchOptions, FetchedBlock, WantedBlock, fetch_block};
use crate::output::waiting;
use crate::query::ChainReader;
use std::future::Future;

/// Whom to ask, as the settings say; `height` is that of the stored chain's end.
pub(super) fn fetch_options(config: &Config, height: u32) -> Result<FetchOptions, CliError> {
    Ok(FetchOptions {
        peers: peer_options(config)?,
        folder: config.folder(),
        height,
        timeout: config.timeout,
    })
}

/// Runs a request to its end, or to a signal, while a terminal says what is waited for.
///
/// # Errors
/// The request's own, or a signal came.
pub(super) fn request<T>(
    context: &Context,
    what: String,
    request: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, CliError> {
    let waiting = waiting(&context.bars, what);
    let answer = block_on(async {
        let mut signal = endings()?;
        tokio::select! {
            answer = request => answer.map_err(|error| match error {
                FetchError::NoPeers { reasons } => no_peer(&context.config, &reasons),
                error => error.into(),
            }),
            ending = signal() => Err(CliError::Interrupted(ending)),
        }
    });
    waiting.finish_and_clear();
    answer?
}

/// A stored block with its transactions, which were held to its header.
pub(super) struct Downloaded {
    /// Its header.
    pub(super) stored: ShownHeader,
    /// What a peer sent.
    pub(super) fetched: FetchedBlock,
}

/// Downloads a block whose header is stored.
///
/// The stored chain is read first and let go: others can use it while the block comes.
///
/// # Errors
/// The header is not stored, or no peer delivered the block.
pub(super) fn download(which: OneBlock, context: &Context) -> Result<Downloaded, CliError> {
    let config = &context.config;
    let (stored, tip) = {
        let mut reader = ChainReader::open_folder(&config.folder(), config.network)?;
        let tip = reader.tip()?.height;
        (which.find(&mut reader, tip)?, tip)
    };
    let wanted = WantedBlock { hash: stored.header.hash(), height: stored.info.height };
    let options = fetch_options(config, tip)?;
    let what = format!("downloading block {}", wanted.height);
    let fetched = request(context, what, fetch_block(options, wanted))?;
    Ok(Downloaded { stored, fetched })
}
