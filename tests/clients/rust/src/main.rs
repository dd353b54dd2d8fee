//! Asks `serve` over three crates that are made for Bitcoin Core, and prints the tip that each of them sees:
//! `rust-clients HOST:PORT USER:PASSWORD`.

#![allow(deprecated, reason = "the crate's new name has the same client")]

use bitcoincore_rpc::{Auth, Client, RpcApi};
use corepc_client::client_sync::Auth as CorepcAuth;
use corepc_client::client_sync::v30::Client as CorepcClient;
use lightning_block_sync::BlockSource;
use lightning_block_sync::http::HttpEndpoint;
use lightning_block_sync::poll::{ChainPoller, ChainTip, Poll, Validate};
use lightning_block_sync::rest::RestClient;
use lightning_block_sync::rpc::RpcClient;
use std::env;

fn main() {
    let mut args = env::args().skip(1);
    let address = args.next().expect("HOST:PORT");
    let credentials = args.next().expect("USER:PASSWORD");
    let (user, password) = credentials.split_once(':').expect("USER:PASSWORD");
    let url = format!("http://{address}");
    println!("bitcoincore-rpc {}", bitcoincore(&url, user, password));
    println!("corepc-client {}", corepc(&url, user, password));
    let (host, port) = address.split_once(':').expect("HOST:PORT");
    let endpoint =
        || HttpEndpoint::for_host(host.to_owned()).with_port(port.parse().expect("a port"));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let encoded = data_encoding::BASE64.encode(credentials.as_bytes());
    let rpc = RpcClient::new(&encoded, endpoint());
    println!("lightning-block-sync-rpc {}", runtime.block_on(lightning(rpc)));
    let rest = RestClient::new(endpoint().with_path("/rest".to_owned()));
    println!("lightning-block-sync-rest {}", runtime.block_on(lightning(rest)));
}

/// Every method of the crate that headers can answer: its result types have to parse.
fn bitcoincore(url: &str, user: &str, password: &str) -> String {
    let client =
        Client::new(url, Auth::UserPass(user.to_owned(), password.to_owned())).expect("a client");
    let tip = client.get_best_block_hash().expect("getbestblockhash");
    let height = client.get_block_count().expect("getblockcount");
    assert_eq!(client.get_block_hash(height).expect("getblockhash"), tip);
    assert_eq!(client.get_block_header(&tip).expect("getblockheader").block_hash(), tip);
    let info = client.get_block_header_info(&tip).expect("getblockheader, verbose");
    assert_eq!((info.hash, info.height as u64), (tip, height));
    assert_eq!(client.get_blockchain_info().expect("getblockchaininfo").best_block_hash, tip);
    assert_eq!(client.get_chain_tips().expect("getchaintips")[0].hash, tip);
    assert!(client.get_network_info().expect("getnetworkinfo").version >= 310_000);
    assert_eq!(
        client.get_peer_info().expect("getpeerinfo").len(),
        client.get_connection_count().expect("getconnectioncount")
    );
    client.get_net_totals().expect("getnettotals");
    client.uptime().expect("uptime");
    assert_eq!(client.get_block(&tip).expect("getblock").block_hash(), tip);
    assert_eq!(client.wait_for_new_block(1).expect("waitfornewblock").hash, tip);
    tip.to_string()
}

fn corepc(url: &str, user: &str, password: &str) -> String {
    let auth = CorepcAuth::UserPass(user.to_owned(), password.to_owned());
    let client = CorepcClient::new_with_auth(url, auth).expect("a client");
    let info = client.get_blockchain_info().expect("getblockchaininfo");
    let tip = client.get_best_block_hash().expect("getbestblockhash").0;
    assert_eq!(info.best_block_hash, tip);
    client.get_network_info().expect("getnetworkinfo").into_model().expect("a model");
    client.get_peer_info().expect("getpeerinfo");
    client.get_chain_tips().expect("getchaintips");
    client.get_difficulty().expect("getdifficulty");
    tip
}

/// Polls as LDK does: the best block, and its header, checked.
async fn lightning(source: impl BlockSource + Send + Sync) -> String {
    let (tip, height) = source.get_best_block().await.expect("the best block");
    let header = source
        .get_header(&tip, height)
        .await
        .expect("its header")
        .validate(tip)
        .expect("it is valid");
    let poller = ChainPoller::new(&source, bitcoincore_rpc::bitcoin::Network::Regtest);
    assert!(matches!(poller.poll_chain_tip(header).await.expect("a poll"), ChainTip::Common));
    tip.to_string()
}
