//! `block`, `tx` and `mempool` with peers of the address manager: whom they ask, and what they note of them.

use crate::support::blocks::Blocks;
use crate::support::peer::ScriptedPeer;
use crate::support::run::Program;
use crate::support::script::{Opening, Script};
use crate::support::sync::{light_client, sync_with};
use crate::support::transactions::{announcement, any_chain, transaction, transactions};
use crate::support::wait::{PATIENCE, poll_for};
use lightclient::chain::params;
use lightclient::primitives::Network;
use lightclient::testing::unix_now_secs;
use lightclient::testing::{
    AddrMan, AdvertisedAddress, AvoidReason, FILE_NAME, NetGroup, Scope, load, save,
};
use lightclient::wire::{Block, Message, ServiceFlags};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;

fn folder(program: &Program) -> PathBuf {
    program.data_dir().join("regtest")
}

fn addrman(program: &Program) -> AddrMan {
    let addrman = load(&folder(program), params(REGTEST).magic, Scope::Local);
    addrman.expect("a whole address manager").unwrap_or_else(|| AddrMan::new([7; 32], Scope::Local))
}

/// Puts these addresses into the address manager, as if somebody had told them.
fn tell(program: &Program, addresses: &[SocketAddr]) {
    let (mut addrman, now) = (addrman(program), unix_now_secs());
    let services = ServiceFlags::NETWORK | ServiceFlags::WITNESS;
    for address in addresses {
        let claim = AdvertisedAddress { address: (*address).into(), services, time: now };
        assert_eq!(addrman.add(&[claim], NetGroup::DNS, now), 1, "{address}");
    }
    save(&folder(program), &addrman.encode(params(REGTEST).magic)).expect("a folder");
}

fn successes(program: &Program, peer: &ScriptedPeer) -> u32 {
    addrman(program).get(&peer.address().into()).expect("told").successes
}

/// The program with the headers of these blocks stored.
fn synced(blocks: &Blocks) -> Program {
    let program = light_client(BINARY, REGTEST);
    let peer = Script::honest().start(&blocks.chain());
    program.run(&sync_with(&[&peer], &[])).expect_success();
    program
}

fn serving(blocks: &Blocks, range: u8) -> ScriptedPeer {
    let script = Script::honest().on(Ipv4Addr::new(127, range, 0, 1));
    blocks.serving(script, |_, block| Some(Message::Block(block.clone())))
}

#[test]
fn a_block_comes_from_peers_of_the_addrman_which_notes_how_they_fared() {
    let blocks = Blocks::new(5, 3);
    let program = synced(&blocks);
    let wrong = blocks.block(4).clone();
    let liar = Script::honest().on(Ipv4Addr::new(127, 2, 0, 1));
    let liar = blocks.serving(liar, move |_, _: &Block| Some(Message::Block(wrong.clone())));
    let dead = TcpListener::bind((Ipv4Addr::new(127, 3, 0, 1), 0)).expect("a port");
    let gone = dead.local_addr().expect("its address");
    drop(dead);
    tell(&program, &[liar.address(), gone]);
    let ended = program.run(&["block", "3", "--no-dns"]).expect_code(1);
    let told = format!("dropped peer {}: sent a wrong block", liar.connect());
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    let noted = addrman(&program);
    let avoided = noted.avoided(&liar.address().into(), unix_now_secs());
    assert_eq!(avoided, Some(AvoidReason::Discouraged));
    assert_eq!(noted.get(&gone.into()).map(|known| known.failures), Some(1));

    let honest = serving(&blocks, 4);
    tell(&program, &[honest.address()]);
    let json = program.run(&["block", "3", "--no-dns", "--json"]).expect_success().json();
    assert_eq!(json["height"], 3);
    assert_eq!(successes(&program, &honest), 1);
    assert_eq!(liar.seen().connections.len(), 1, "it is left alone for a day");
    assert!(!honest.seen().has("getaddr"), "one thing is asked for");
}

#[test]
fn the_file_is_left_to_who_has_the_folder() {
    let blocks = Blocks::new(3, 2);
    let program = synced(&blocks);
    let honest = serving(&blocks, 4);
    tell(&program, &[honest.address()]);
    let file = folder(&program).join(FILE_NAME);
    let before = fs::read(&file).expect("the file");
    let mut running = program.start(&sync_with(&[&honest], &["--follow", "-v"]));
    running.wait_for_stderr("caught up at height 3: following", PATIENCE);
    program.run(&["block", "3", "--no-dns"]).expect_success();
    assert!(fs::read(&file).expect("the file") == before, "replaced without the lock");
    running.interrupt();
    running.wait(PATIENCE).expect_code(130);
    program.run(&["block", "3", "--no-dns"]).expect_success();
    assert_eq!(successes(&program, &honest), 1);
}

#[test]
fn a_request_makes_no_folder_and_named_peers_are_no_business_of_the_addrman() {
    let blocks = Blocks::new(3, 2);
    let (peer, txid) = (serving(&blocks, 4), blocks.txid(3, 1));
    let program = light_client(BINARY, REGTEST);
    program.run(&["tx", &txid, "--no-dns"]).expect_code(3);
    let connect = peer.connect();
    program.run(&["tx", &txid, "--no-dns", "--connect", &connect]).expect_code(6);
    assert!(!folder(&program).exists());
    let program = synced(&blocks);
    program.run(&["block", "3", "--no-dns", "--connect", &connect]).expect_success();
    assert!(!folder(&program).join(FILE_NAME).exists());
}

#[test]
fn all_that_do_not_have_a_transaction_are_asked_and_nobody_is_waited_for() {
    let blocks = Blocks::new(3, 2);
    let program = synced(&blocks);
    let peers = [4, 5, 6].map(|range| serving(&blocks, range));
    tell(&program, &peers.each_ref().map(ScriptedPeer::address));
    // The last thing to happen is that one turns out to be no peer at all.
    let garbage = Script::honest().on(Ipv4Addr::new(127, 7, 0, 1)).opening(Opening::Garbage);
    let garbage = garbage.round_trip(Duration::from_millis(500)).start(&blocks.chain());
    tell(&program, &[garbage.address()]);
    let unknown = transaction(1).view().txid().to_string();
    let ended = program.run(&["tx", &unknown, "--no-dns"]).expect_code(6);
    assert!(ended.stderr.contains("3 peers do not have it"), "{}", ended.stderr);
    assert!(ended.elapsed < Duration::from_secs(10), "{:?}", ended.elapsed);
    assert_eq!(garbage.seen().connections.len(), 1);
}

#[test]
fn a_watch_takes_two_of_a_netgroup_drops_who_lies_and_notes_it() {
    let (all, chain) = (transactions(0..3), any_chain());
    let blocks = Blocks::new(1, 0);
    let program = synced(&blocks);
    let start =
        |ip: [u8; 4]| Script::honest().on(Ipv4Addr::from(ip)).having(&all, &[]).start(&chain);
    let near = [1, 2, 3, 4].map(|last| start([127, 5, 0, last]));
    let far = start([127, 6, 0, 1]);
    let addresses: Vec<SocketAddr> = near.iter().chain([&far]).map(|peer| peer.address()).collect();
    tell(&program, &addresses);
    let mut running = program.start(&["mempool", "--no-dns", "--json", "-v"]);
    let open = || near.iter().filter(|peer| peer.seen().open() > 0).count();
    far.wait_ready(1, PATIENCE);
    poll_for("two of the others", PATIENCE, || (open() == 2).then_some(()));
    far.send(&announcement(&all));
    running.wait_for_stdout(&all[2].view().txid().to_string(), PATIENCE);
    assert_eq!(open(), 2, "of one netgroup");
    // One of them lies, and another of that group takes its place.
    let liar = near.iter().find(|peer| peer.seen().open() > 0).expect("one of two");
    liar.send(&Message::Tx(transaction(8888)));
    let told = format!("dropped peer {}: sent a wrong transaction", liar.connect());
    running.wait_for_stderr(&told, PATIENCE);
    let replaced = || (liar.seen().open() == 0 && open() == 2).then_some(());
    poll_for("another in its place", PATIENCE, replaced);
    running.interrupt();
    running.wait(PATIENCE).expect_code(130);
    let avoided = addrman(&program).avoided(&liar.address().into(), unix_now_secs());
    assert_eq!(avoided, Some(AvoidReason::Discouraged));
    assert_eq!(successes(&program, &far), 1);
}
