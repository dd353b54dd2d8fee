//! Tests of `mempool` with peers that make up transactions or witnesses, or announce too many.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::measure::{Usage, wait_and_measure};
use crate::support::peer::ScriptedPeer;
use crate::support::run::{Program, Running};
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::light_client;
use crate::support::transactions::{
    announcement, any_chain, block_on, made_up, transaction, transactions, with_witness,
};
use crate::support::wait::PATIENCE;
use bitcoin::consensus::serialize;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, TxIn, TxOut, Witness};
use lightclient::primitives::Network;
use lightclient::wire::{Message, Transaction};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::Read;
use std::process::Stdio;
use std::thread;
use std::time::Instant;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

/// Starts a watch, and waits until all its peers are connected.
fn watch(peers: &[&ScriptedPeer], more: &[&str]) -> (Program, Running) {
    let connect = peers.iter().flat_map(|peer| ["--connect".to_owned(), peer.connect()]);
    let front = ["mempool".to_owned(), "--no-dns".to_owned()];
    let more = more.iter().map(|&arg| arg.to_owned());
    let program = light_client(BINARY, Network::Regtest);
    let running = program.start(&front.into_iter().chain(connect).chain(more).collect::<Vec<_>>());
    peers.iter().for_each(|peer| peer.wait_ready(1, PATIENCE));
    (program, running)
}

fn txid(transaction: &Transaction) -> String {
    transaction.view().txid().to_string()
}

fn txids(lines: &[Value]) -> Vec<String> {
    lines.iter().map(|line| line["txid"].as_str().unwrap().to_owned()).collect()
}

/// A misbehaving peer, what makes it misbehave, and the message that is logged of it.
struct Liar {
    peer: ScriptedPeer,
    sends: Vec<Message>,
    told: String,
}

/// Returns four liars: one sends nothing that it announces, one sends another transaction, one sends a transaction without a
/// request, and one sends a list that is too long.
fn liars(chain: &SharedChain) -> [Liar; 4] {
    let answering = |answers: Vec<Message>| {
        let answer = move |message: &Message| {
            matches!(message, Message::GetData(_)).then(|| answers.clone())
        };
        Script::honest().answering(answer).start(chain)
    };
    let unasked = |asked: u64, got: u64| {
        let got = txid(&transaction(got));
        format!("{got} was not requested (requests in flight: {asked})")
    };
    [
        Liar {
            peer: answering(Vec::new()),
            sends: vec![made_up(0..50_000), made_up(50_000..100_000)],
            told: "announces more transactions than it sends: further announcements are dropped"
                .into(),
        },
        Liar {
            peer: answering(vec![Message::Tx(transaction(7777))]),
            sends: vec![made_up(100_000..100_001)],
            told: unasked(1, 7777),
        },
        Liar {
            peer: answering(Vec::new()),
            sends: vec![Message::Tx(transaction(8888))],
            told: unasked(0, 8888),
        },
        Liar {
            peer: answering(Vec::new()),
            sends: vec![made_up(0..50_001)],
            told: "malformed inv: ".into(),
        },
    ]
}

#[test]
fn liars_are_named_and_the_transactions_of_the_honest_peer_are_shown() {
    let (all, chain) = (transactions(0..200), any_chain());
    let honest = Script::honest().having(&all, &[]).start(&chain);
    let liars = liars(&chain);
    let peers: Vec<&ScriptedPeer> = liars.iter().map(|liar| &liar.peer).chain([&honest]).collect();
    let (_program, mut running) = watch(&peers, &["--json"]);
    for Liar { peer, sends, told } in &liars {
        sends.iter().for_each(|message| peer.send(message));
        let said = running.wait_for_stderr(told, PATIENCE);
        let line = said.lines().find(|line| line.contains(told)).unwrap();
        assert!(line.contains(&peer.connect()), "{line}");
    }
    let said = running.wait_for_stderr("malformed inv: ", PATIENCE);
    assert!(said.contains("50001"), "{said}");
    honest.send(&announcement(&all));
    drop(running.wait_for_stdout(&txid(&all[199]), PATIENCE));
    // The silent liar is dropped after 10 s.
    let mute = liars[0].peer.connect();
    let what = format!("dropped peer {mute}: announces transactions and does not send them");
    drop(running.wait_for_stderr(&what, PATIENCE));
    running.interrupt();
    let ended = running.wait(PATIENCE).expect_code(130);
    let shown: HashSet<String> = txids(&ended.json_lines()).into_iter().collect();
    assert_eq!(shown, all.iter().map(txid).collect());
    let summary = ended.stderr.lines().last().unwrap();
    let expected = "200 transactions seen, 200 shown, 95,000 announcements dropped, ";
    assert!(summary.starts_with(expected), "{summary}");
    // The liars are not dialled again.
    assert!(liars.iter().all(|liar| liar.peer.seen().connections.len() == 1));
}

/// Makes a transaction that spends an output and pays amounts to a script.
fn spending(previous: OutPoint, script_sig: &[u8], amounts: &[i64], script: &[u8]) -> Transaction {
    let output = |amount: &i64| TxOut {
        value: Amount::from_sat(amount.cast_unsigned()),
        script_pubkey: ScriptBuf::from(script.to_vec()),
    };
    let transaction = bitcoin::Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: vec![TxIn {
            previous_output: previous,
            script_sig: ScriptBuf::from(script_sig.to_vec()),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }],
        output: amounts.iter().map(output).collect(),
    };
    Transaction::decode(serialize(&transaction)).unwrap()
}

fn outpoint(number: u8) -> OutPoint {
    OutPoint { txid: bitcoin::Txid::from_byte_array([number; 32]), vout: 0 }
}

/// Returns invalid transactions that pay to a script, each with the message that is logged of it.
fn valid_nowhere(script: &[u8]) -> [(Transaction, &'static str); 5] {
    let one = outpoint(1);
    [
        (
            spending(one, &[], &[], script),
            "is valid nowhere: at least one output expected, got none",
        ),
        (
            spending(one, &[], &[1, -5], script),
            "got -5 satoshi in output 1 (bad-txns-vout-negative)",
        ),
        (spending(one, &[], &[i64::MAX], script), "got 9223372036854775807 in output 0"),
        (
            spending(OutPoint::null(), &[1, 7], &[5], script),
            "is a coinbase, which exists in a block",
        ),
        (spending(one, &[], &[7], &[0x6a; 1_000_000]), "(bad-txns-oversize)"),
    ]
}

#[test]
fn an_invalid_transaction_is_not_shown_and_its_sender_is_dropped() {
    let chain = any_chain();
    // A user who waits for a payment to that script must not see these transactions.
    let script = transaction(41).view().outputs().next().unwrap().script_pubkey.to_vec();
    let address = lightclient::testing::address_of(&script, Network::Regtest).unwrap();
    let wrong = valid_nowhere(&script);
    let liars: Vec<ScriptedPeer> = wrong
        .iter()
        .map(|(transaction, _)| {
            Script::honest().having(std::slice::from_ref(transaction), &[]).start(&chain)
        })
        .collect();
    let honest = Script::honest().having(&transactions(41..42), &[]).start(&chain);
    let peers: Vec<&ScriptedPeer> = liars.iter().chain([&honest]).collect();
    let (_program, mut running) = watch(&peers, &["--json", "--address", &address, "--count", "1"]);
    for ((transaction, told), liar) in wrong.iter().zip(&liars) {
        liar.send(&announcement(std::slice::from_ref(transaction)));
        let what = format!("dropped peer {}: sent a wrong transaction: ", liar.connect());
        let said = running.wait_for_stderr(&what, PATIENCE);
        let line = said.lines().find(|line| line.contains(&what)).unwrap();
        assert!(line.contains(told) && line.contains(&txid(transaction)), "{line}");
    }
    assert!(running.is_running(), "nobody has paid");
    honest.send(&announcement(&transactions(41..42)));
    let ended = running.wait(PATIENCE).expect_success();
    assert_eq!(txids(&ended.json_lines()), [txid(&transaction(41))]);
    assert!(ended.stderr.contains("1 transaction seen, 1 shown"), "{}", ended.stderr);
}

#[test]
fn made_up_witnesses_do_not_hide_the_true_ones() {
    let (chain, real) = (any_chain(), transaction(7));
    let forged = with_witness(7, Some(&vec![0; 300_000]));
    assert_eq!(txid(&forged), txid(&real));
    let liar = Script::honest().having(std::slice::from_ref(&forged), &[]).start(&chain);
    let honest = Script::honest().having(&transactions(7..10), &[]).start(&chain);
    let hash = |transaction: &Transaction| transaction.view().wtxid().to_string();
    for json in [false, true] {
        let (_program, running) = watch(
            &[&liar, &honest],
            if json { &["--json", "--count", "3"] } else { &["--count", "3"] },
        );
        let ready = if json { 2 } else { 1 };
        [&liar, &honest].into_iter().for_each(|peer| peer.wait_ready(ready, PATIENCE));
        liar.send(&announcement(std::slice::from_ref(&forged)));
        drop(running.wait_for_stdout(&txid(&real), PATIENCE));
        honest.send(&announcement(std::slice::from_ref(&real)));
        let last = if json { hash(&real) } else { "(came before with other witnesses)".to_owned() };
        let shown = running.wait_for_stdout(&last, PATIENCE);
        if !json {
            let line = shown.lines().nth(1).unwrap();
            assert!(line.contains(&format!("{}     99 vB", txid(&real))), "{shown}");
        }
        honest.send(&announcement(&transactions(8..10)));
        let ended = running.wait(PATIENCE).expect_success();
        // The transaction counts once, however often it is shown.
        assert_eq!(ended.stdout.lines().count(), 4, "{}", ended.stdout);
        let told = "1 came again, 1 of them pending, with other witnesses";
        assert!(ended.stderr.contains("3 transactions seen, 3 shown"), "{}", ended.stderr);
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
        if json {
            let hashes: Vec<Value> =
                ended.json_lines().iter().map(|line| line["hash"].clone()).collect();
            assert_eq!(hashes[..2], [json!(hash(&forged)), json!(hash(&real))]);
        }
    }
}

#[test]
fn witnesses_that_differ_from_those_of_a_block_are_not_shown() {
    let headers = crate::support::chain::regtest_chain(10, 1, 600);
    let chain = SharedChain::new(Network::Regtest, &headers);
    let (all, forged) = (transactions(6..8), with_witness(7, Some(&vec![9; 70])));
    let block = block_on(&headers[10], 11, &all);
    let honest = Script::honest().having(&all, std::slice::from_ref(&block)).start(&chain);
    let liar = Script::honest().having(&[forged.clone(), transaction(8)], &[]).start(&chain);
    let (_program, running) = watch(&[&honest, &liar], &[]);
    honest.send(&announcement(&all));
    drop(running.wait_for_stdout(&txid(&all[1]), PATIENCE));
    honest.extend(&[*block.header()], crate::support::peer::Announce::Inv);
    drop(running.wait_for_stdout("3 transactions, 2 of them pending before", PATIENCE));
    liar.send(&announcement(&[forged, transaction(8)]));
    let shown = running.wait_for_stdout(&txid(&transaction(8)), PATIENCE);
    assert_eq!(shown.lines().count(), 4, "{shown}");
    assert_eq!(shown.matches(&txid(&all[1])).count(), 1, "{shown}");
}

#[test]
fn too_heavy_transactions_are_counted_and_large_ones_are_printed_in_little_memory() {
    const OP_CHECKMULTISIGVERIFY: u8 = 0xaf;
    const COUNT: u8 = 24;
    let paying = |number: u8, length: usize| {
        spending(outpoint(number), &[], &[1], &vec![OP_CHECKMULTISIGVERIFY; length])
    };
    // The rest of the transaction takes 64 bytes.
    let mut all = vec![
        paying(200, 100_000 - 63),
        paying(201, 900_000),
        with_witness(7, Some(&vec![0; 400_000])),
    ];
    all.extend((1..=COUNT).map(|number| paying(number, 100_000 - 64)));
    let peer = Script::honest().having(&all, &[]).start(&any_chain());
    let program = light_client(BINARY, Network::Regtest);
    let count = COUNT.to_string();
    let connect = peer.connect();
    let args = ["mempool", "--no-dns", "--json", "--count", &count, "--connect", &connect];
    let mut child =
        program.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let reading = thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()).unwrap());
    peer.wait_ready(1, PATIENCE);
    peer.send(&announcement(&all));
    let usage = wait_and_measure(child, Instant::now());
    let mut summary = String::new();
    stderr.read_to_string(&mut summary).unwrap();
    assert!(usage.success, "{summary}");
    // The JSON is 25 times as large as the transaction.
    let printed = reading.join().unwrap();
    assert!(printed > 59_000_000, "{printed}");
    let Usage { peak, cpu, elapsed, .. } = usage;
    assert!(peak < 48 << 20, "{} MiB, {cpu:?} of processor time in {elapsed:?}", peak >> 20);
    assert!(summary.starts_with("24 transactions seen, 24 shown"), "{summary}");
    assert!(summary.contains(", 3 too heavy to be shown"), "{summary}");
    assert!(!summary.contains("other witnesses"), "{summary}");
}
