//! Uses the front door of `lightclient` from another crate, as a stranger would.
//!
//! What is named here is the API that programs rely on: a change that breaks one of these lines breaks them too.

#[cfg(test)]
mod tests {
    use lightclient::chain::{ChainTip, Hints};
    use lightclient::primitives::{Work, hex};
    use lightclient::wire::Transaction;
    use lightclient::{
        Answer, BlockFault, BlockHash, Broadcast, ChainReader, CheckedBlock, CheckedProof, Client,
        ClientBuilder, ClientError, Event, Events, FetchError, Header, HeaderAt, Headers,
        InvalidProof, Network, NotInBlock, ProofError, ProvenTx, ReadError, Stopped, StoredHeader,
        SyncError, SyncOutcome, Txid,
    };
    use std::env::temp_dir;
    use std::fs::remove_dir_all;
    use std::ops::RangeInclusive;
    use std::path::PathBuf;
    use std::process::id;

    /// A folder that is removed at the end of its test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            Self(temp_dir().join(format!("lightclient-library-user-{}-{name}", id())))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            remove_dir_all(&self.0).ok();
        }
    }

    fn offline(network: Network, folder: &Folder) -> ClientBuilder {
        Client::builder(network).data_dir(&folder.0).connect("127.0.0.1:1").dns(false)
    }

    #[test]
    fn every_item_of_the_front_door_has_its_name() {
        fn is_error<E: std::error::Error + Send + Sync + 'static>() {}
        fn is_sent<T: Send + 'static>() {}
        is_error::<BlockFault>();
        is_error::<ClientError>();
        is_error::<FetchError>();
        is_error::<InvalidProof>();
        is_error::<NotInBlock>();
        is_error::<ProofError>();
        is_error::<ReadError>();
        is_error::<SyncError>();
        is_sent::<Answer<CheckedBlock>>();
        is_sent::<Broadcast>();
        is_sent::<ChainReader>();
        is_sent::<CheckedProof>();
        is_sent::<Client>();
        is_sent::<ClientBuilder>();
        is_sent::<Event>();
        is_sent::<Events>();
        is_sent::<Header>();
        is_sent::<HeaderAt>();
        is_sent::<Headers>();
        is_sent::<ProvenTx>();
        is_sent::<Stopped>();
        is_sent::<StoredHeader>();
        is_sent::<SyncOutcome>();
    }

    #[test]
    fn every_function_of_a_client_has_its_form() {
        let _: fn(Network) -> ClientBuilder = Client::builder;
        let _: fn(ClientBuilder, usize) -> ClientBuilder = ClientBuilder::peers;
        let _: fn(ClientBuilder, bool) -> ClientBuilder = ClientBuilder::dns;
        let _: fn(ClientBuilder, Hints) -> ClientBuilder = ClientBuilder::hints;
        let _: fn(ClientBuilder, Work) -> ClientBuilder = ClientBuilder::min_chain_work;
        let _: fn(ClientBuilder, String) -> ClientBuilder = ClientBuilder::proxy;
        let _: fn(ClientBuilder, &[u8]) -> ClientBuilder = ClientBuilder::signet_challenge;
        let _: fn(ClientBuilder) -> Result<Client, ClientError> = ClientBuilder::build;
        let _: fn(&Client) -> Result<(), ClientError> = Client::start;
        let _: fn(&Client) -> Events = Client::events;
        let _: fn(&Client) -> ChainTip = Client::tip;
        let _: fn(&Client, Transaction) -> Answer<Broadcast> = Client::broadcast;
        let _: fn(&Client) -> usize = Client::peer_count;
        let _: fn(&Client, u32) -> Result<Option<StoredHeader>, ClientError> = Client::header;
        let _: fn(&Client, RangeInclusive<u32>) -> Headers = Client::headers;
        let _: fn(&Client, BlockHash) -> Answer<CheckedBlock> = Client::block;
        let _: fn(&Client, Txid) -> Answer<Option<Transaction>> = Client::transaction;
        let _: fn(Client) -> Answer<Option<SyncOutcome>> = Client::shutdown;
        let _: fn(&mut Events) -> Option<Event> = Events::wait;
    }

    #[test]
    fn a_new_client_has_the_genesis_block_and_needs_no_peer_for_it() {
        let folder = Folder::new("genesis");
        let client = offline(Network::Mainnet, &folder).build().expect("a client");
        let genesis = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
        let stored = client.header(0).expect("it can be read").expect("it is stored");
        assert_eq!(stored.hash.to_string(), genesis);
        assert_eq!((stored.height, stored.next_hash), (0, None));
        assert_eq!((client.tip().height, client.peer_count()), (0, 0));
        assert_eq!(client.header(1).expect("it can be read"), None);
        assert_eq!(client.headers(0..=9).count(), 1);
        assert!(client.shutdown().wait().expect("it ends").is_none(), "it was never started");
    }

    #[test]
    fn another_program_reads_what_is_stored() {
        let folder = Folder::new("reader");
        let nothing = ChainReader::open(&folder.0, Network::Regtest);
        assert!(matches!(nothing, Err(ReadError::NothingStored { .. })));
        drop(offline(Network::Regtest, &folder).build().expect("a client"));
        let mut reader = ChainReader::open(&folder.0, Network::Regtest).expect("a chain");
        let tip = reader.tip().expect("it can be read");
        let by_hash = reader.header(HeaderAt::Hash(tip.hash)).expect("it can be read");
        assert_eq!(by_hash, reader.header(0).expect("it can be read"));
    }

    #[test]
    fn a_signet_of_ones_own_has_a_folder_of_its_own() {
        let folder = Folder::new("signet");
        // OP_TRUE: anyone may sign. Its magic is the one that `bitcoind -signetchallenge=51` uses.
        let builder = offline(Network::Signet, &folder).signet_challenge(&[0x51]);
        let client = builder.build().expect("a client");
        assert!(folder.0.join("signet-54d26fbd").is_dir());
        assert_eq!(client.tip().height, 0);
        drop(client);
        let mut reader = ChainReader::open_signet(&folder.0, &[0x51]).expect("a chain");
        assert_eq!(reader.tip().expect("it can be read").height, 0);
        let public_signet = ChainReader::open(&folder.0, Network::Signet);
        assert!(matches!(public_signet, Err(ReadError::NothingStored { .. })));
    }

    #[test]
    fn bytes_that_are_no_proof_are_refused() {
        let bytes = hex::decode("00").expect("hex");
        assert!(matches!(CheckedProof::check(&bytes), Err(InvalidProof::Form(_))));
    }
}
