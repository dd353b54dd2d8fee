//! The crate as a library: `Client` in programs with a runtime and without one, `ChainReader` beside it.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::blocks::Blocks;
use crate::support::chain::{extend_chain, fork_chain, regtest_chain};
use crate::support::peer::{Announce, ScriptedPeer};
use crate::support::script::Script;
use crate::support::served::SharedChain;
use lightclient::primitives::{Header, Network};
use lightclient::store::StoreError;
use lightclient::{ChainReader, Client, ClientError, Event, Events, Stopped};
use std::path::Path;
use tempfile::{TempDir, tempdir};

const REGTEST: Network = Network::Regtest;

fn client(folder: &Path, peer: &ScriptedPeer) -> Client {
    Client::builder(REGTEST).data_dir(folder).connect(peer.connect()).build().unwrap()
}

/// A client that has caught up with a peer of this chain.
fn caught_up(headers: &[Header]) -> (TempDir, ScriptedPeer, Client, Events) {
    let folder = tempdir().unwrap();
    let peer = Script::honest().start(&SharedChain::new(REGTEST, headers));
    let client = client(folder.path(), &peer);
    let mut events = client.events();
    client.start().unwrap();
    let caught_up = wait_for(&mut events, |event| matches!(event, Event::CaughtUp { .. }));
    let tip = client.tip();
    let time = headers[headers.len() - 1].time;
    assert_eq!(caught_up, Event::CaughtUp { height: tip.height, hash: tip.hash, time });
    (folder, peer, client, events)
}

fn wait_for(events: &mut Events, wanted: impl Fn(&Event) -> bool) -> Event {
    while let Some(event) = events.wait() {
        if wanted(&event) {
            return event;
        }
    }
    panic!("the events have ended");
}

#[test]
fn a_client_catches_up_follows_and_answers_without_a_runtime() {
    let headers = regtest_chain(2500, 1, 600);
    let (folder, peer, client, mut events) = caught_up(&headers);
    assert_eq!((client.tip().height, client.tip().hash), (2500, headers[2500].hash()));
    assert!(matches!(client.start(), Err(ClientError::AlreadyStarted)));

    let by_height = client.header(1000).unwrap().unwrap();
    assert_eq!((by_height.hash, by_height.header), (headers[1000].hash(), headers[1000]));
    assert_eq!(client.header(headers[1000].hash()).unwrap(), Some(by_height));
    assert_eq!(client.header(2501).unwrap(), None);
    let read: Vec<Header> = client.headers(5..=9999).map(|read| read.unwrap().header).collect();
    assert_eq!(read, headers[5..]);

    let grown = extend_chain(&headers, 2, 2, 600);
    peer.extend(&grown[2501..], Announce::Headers);
    for (height, header) in (2501..).zip(&grown[2501..]) {
        let tip = wait_for(&mut events, |event| matches!(event, Event::Tip { .. }));
        let (hash, time) = (header.hash(), header.time);
        assert_eq!(tip, Event::Tip { height, hash, time, from: None });
    }
    let mut reader = ChainReader::open(folder.path(), REGTEST).unwrap();
    assert_eq!(reader.tip().unwrap().hash, grown[2502].hash(), "as another process reads it");
    assert_eq!(reader.header(2501).unwrap().unwrap().header, grown[2501]);
    drop(reader);

    let outcome = client.shutdown().wait().unwrap().unwrap();
    assert_eq!((outcome.stopped, outcome.headers_added), (Stopped::Interrupted, 2502));
    let ended = wait_for(&mut events, |event| matches!(event, Event::Stopped(_)));
    assert_eq!((ended, events.wait()), (Event::Stopped(Stopped::Interrupted), None));
    // The folder is free: what was stored is there again, without a peer.
    let again = Client::builder(REGTEST).data_dir(folder.path()).build().unwrap();
    assert_eq!(again.tip().hash, grown[2502].hash());
    assert!(again.shutdown().wait().unwrap().is_none(), "it was never started");
}

#[test]
fn a_client_can_be_awaited_in_a_runtime_of_one_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (folder, blocks) = (tempdir().unwrap(), Blocks::new(5, 20));
        let peer = blocks.honest();
        let client = client(folder.path(), &peer);
        let mut events = client.events();
        client.start().unwrap();
        while !matches!(events.next().await.unwrap(), Event::CaughtUp { .. }) {}
        let block = client.block(3).await.unwrap();
        assert_eq!(block.block().bytes(), blocks.block(3).bytes());
        assert_eq!(block.txids()[20].to_string(), blocks.txid(3, 20));
        let error = client.block(6).await.unwrap_err();
        assert_eq!(error.to_string(), "height 6 is not on the stored chain");
        client.shutdown().await.unwrap();
        // Both may be dropped here, where no thread may be blocked.
    });
}

#[test]
fn a_reorganisation_is_an_event_with_both_tips() {
    let headers = regtest_chain(300, 1, 600);
    let (_folder, peer, client, mut events) = caught_up(&headers);
    let forked = fork_chain(&headers, 297, 5, 7);
    peer.chain().replace(&forked);
    peer.announce(5, Announce::Headers);
    let event = wait_for(&mut events, |event| matches!(event, Event::Reorganisation { .. }));
    let (old_hash, hash) = (headers[300].hash(), forked[302].hash());
    let expected = Event::Reorganisation { old_height: 300, old_hash, height: 302, hash, depth: 3 };
    assert_eq!(event, expected);
    assert_eq!(client.header(headers[299].hash()).unwrap(), None, "on the best chain no more");
}

#[test]
fn a_warning_of_the_log_is_an_event_too() {
    let (folder, headers) = (tempdir().unwrap(), regtest_chain(300, 1, 600));
    let chain = SharedChain::new(REGTEST, &headers);
    let peer = Script::honest().claims_height(9999).start(&chain);
    let client = client(folder.path(), &peer);
    let mut events = client.events();
    client.start().unwrap();
    let warning = wait_for(&mut events, |event| matches!(event, Event::Warning(_)));
    assert!(matches!(&warning, Event::Warning(text) if text.contains("9,999")), "{warning:?}");
}

#[test]
fn a_folder_in_use_and_a_wrong_address_have_their_own_errors() {
    let folder = tempdir().unwrap();
    let first = Client::builder(REGTEST).data_dir(folder.path()).build().unwrap();
    let second = Client::builder(REGTEST).data_dir(folder.path()).build();
    assert!(matches!(second, Err(ClientError::Store(StoreError::InUse { .. }))), "{second:?}");
    drop(first);
    for (wrong, said) in [("a b", "HOST[:PORT]"), ("host:0", "1 to 65535")] {
        let error = Client::builder(REGTEST).data_dir(folder.path()).connect(wrong).build();
        assert!(error.unwrap_err().to_string().contains(said));
    }
}

#[test]
fn a_client_that_is_dropped_stops_and_frees_its_folder() {
    let headers = regtest_chain(300, 1, 600);
    let (folder, _peer, client, mut events) = caught_up(&headers);
    drop(client);
    assert_eq!(
        wait_for(&mut events, |event| matches!(event, Event::Stopped(_))),
        Event::Stopped(Stopped::Interrupted)
    );
    let again = Client::builder(REGTEST).data_dir(folder.path()).build().unwrap();
    assert_eq!(again.tip().height, 300);
}
