//! Runs requests to peers: to get a block or a transaction, or to broadcast a transaction.

use super::block_id::BlockId;
use super::network_args::peer_options;
use super::no_peer::no_peer;
use super::runtime::{block_on, endings};
use super::stored::ShownHeader;
use super::{CliError, CommandContext};
use crate::config::AppConfig;
use crate::node::{FetchError, FetchOptions, FetchTraffic, FetchedBlock, WantedBlock, fetch_block};
use crate::output::waiting;
use std::future::Future;

/// Returns the options of a request from the settings. `height` is the height of the stored tip, which is sent to
/// peers; 0 if the command does not read the stored chain.
///
/// # Errors
/// A named peer needs a proxy, and none is set.
pub(super) fn fetch_options(config: &AppConfig, height: u32) -> Result<FetchOptions, CliError> {
    Ok(FetchOptions {
        traffic: FetchTraffic::default(),
        peers: peer_options(config)?,
        folder: config.folder(),
        height,
        timeout: config.timeout,
        deadline: None,
    })
}

/// Runs a request until it ends or the process gets a signal. Meanwhile, a line on the terminal shows `what`.
///
/// # Errors
/// The request failed, or the process got a signal.
pub(super) fn request<T>(
    context: &CommandContext,
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

/// A downloaded block, checked against its stored header.
pub(super) struct Downloaded {
    /// The stored header.
    pub(super) stored: ShownHeader,
    /// The block as a peer sent it.
    pub(super) fetched: FetchedBlock,
}

/// Downloads a block whose header is stored.
///
/// The stored chain is closed before the download, so that other commands can use it meanwhile.
///
/// # Errors
/// The header is not stored, reading failed, no peer delivered the block, or the process got a signal.
pub(super) fn download(which: BlockId, context: &CommandContext) -> Result<Downloaded, CliError> {
    let config = &context.config;
    let (stored, tip) = {
        let mut reader = context.open_chain()?;
        let tip = reader.tip()?.height;
        (which.find(&mut reader, tip)?, tip)
    };
    let wanted = WantedBlock { hash: stored.header.hash(), height: stored.info.height };
    let options = fetch_options(config, tip)?;
    let what = format!("downloading block {}", wanted.height);
    let fetched = request(context, what, fetch_block(options, wanted))?;
    Ok(Downloaded { stored, fetched })
}
