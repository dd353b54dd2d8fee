//! Answers `getheaders` from the stored chain. The functions block while they read the store.

use crate::chain::Ancestors;
use crate::primitives::{BlockHash, Work};
use crate::store::{HeaderEntries, HeaderStore, SledStore, StoreError};
use crate::wire::{
    GetHeaders, HeadersMessage, MAX_HEADERS, Message, encode_frame, encode_headers_frame,
};

/// How many attempts there are to read an answer. An attempt fails if the chain is reorganised between the search for
/// the fork and the reading of the headers.
const ATTEMPTS: u32 = 3;

/// An answer to `getheaders`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PeerAnswer {
    /// The encoded `headers` message.
    pub(super) frame: Vec<u8>,
    /// The height up to which the peer has our chain once it has read the message; `None` if that is not known.
    pub(super) up_to: Option<u32>,
    /// The hash of the last header if the message is full and the chain goes on: the peer will then ask for the headers
    /// after it. Otherwise `None`.
    pub(super) continues_after: Option<BlockHash>,
}

/// Returns the answer that Bitcoin Core would give to a request for headers; `None` if Core would not answer.
///
/// Source: Bitcoin Core `PeerManagerImpl::ProcessMessage`, `NetMsgType::GETHEADERS`. The headers start after the first
/// hash of the locator that is on the chain, or after genesis. They end with the stop hash, the 2000th header, or the
/// tip. An empty locator asks for the header of the stop hash alone. While the chain is below the minimum chain work,
/// the answer has no headers, since the peer could not use them.
///
/// # Errors
/// The store could not be read.
pub(super) fn answer(
    store: &SledStore,
    request: &GetHeaders,
    min_chain_work: &Work,
    magic: [u8; 4],
) -> Result<Option<PeerAnswer>, StoreError> {
    let empty = || PeerAnswer {
        frame: encode_headers_frame(magic, &[]),
        up_to: None,
        continues_after: None,
    };
    if store.tip().chainwork < *min_chain_work {
        return Ok(Some(empty()));
    }
    if request.locator.is_empty() {
        return single(store, &request.stop, magic);
    }
    let limit = u32::try_from(MAX_HEADERS).expect("2000 fits in 32 bits");
    for _ in 0..ATTEMPTS {
        let (fork, hash) = find_fork(store, &request.locator)?;
        let found = store.header_entries(fork, limit, &request.stop)?;
        // If the headers do not follow the fork, the chain was reorganised after the fork was found: try again.
        if let Some(entries) = found.filter(|found| hash.is_none_or(|hash| hash == found.parent)) {
            let HeaderEntries { last, at_tip, bytes, .. } = entries;
            let is_full = last.height - fork == limit;
            return Ok(Some(PeerAnswer {
                frame: encode_headers_frame(magic, &bytes),
                up_to: Some(last.height),
                continues_after: (is_full && !at_tip).then_some(last.hash),
            }));
        }
    }
    Ok(Some(empty()))
}

/// Returns the first hash of a locator that is on the chain, and its height. If no hash is on the chain, returns the
/// height of genesis and no hash.
///
/// Source: Bitcoin Core `Chainstate::FindForkInGlobalIndex`.
fn find_fork(
    store: &SledStore,
    locator: &[BlockHash],
) -> Result<(u32, Option<BlockHash>), StoreError> {
    for hash in locator {
        if let Some(height) = store.height_of(hash)? {
            return Ok((height, Some(*hash)));
        }
    }
    Ok((0, None))
}

fn single(
    store: &SledStore,
    hash: &BlockHash,
    magic: [u8; 4],
) -> Result<Option<PeerAnswer>, StoreError> {
    let Some(height) = store.height_of(hash)? else { return Ok(None) };
    let run = store.run(height, 1)?;
    // The chain may have been reorganised since the height was looked up.
    if run.hashes != [*hash] {
        return Ok(None);
    }
    let frame = encode_frame(magic, &Message::Headers(HeadersMessage::plain(run.headers)));
    Ok(Some(PeerAnswer { frame, up_to: Some(height), continues_after: None }))
}
