//! Methods of Bitcoin Core, past or present, that this program does not have, and why.

/// Returns why this program does not have a method of Bitcoin Core; `None` if the method is not one of [`REASONS`].
pub(super) fn reason(name: &str) -> Option<String> {
    let why = REASONS
        .iter()
        .find(|(_, names)| names.split(' ').any(|known| known == name))
        .map(|(why, _)| *why)?;
    Some(format!("Method not found: {name} {why}, and lightclient has block headers only"))
}

const REASONS: &[(&str, &str)] = &[
    (
        "needs a wallet",
        "abandontransaction abortrescan backupwallet bumpfee createwallet createwalletdescriptor \
         encryptwallet fundrawtransaction getaddressesbylabel getaddressinfo getbalance getbalances gethdkeys \
         getnewaddress getrawchangeaddress getreceivedbyaddress getreceivedbylabel gettransaction \
         getunconfirmedbalance getwalletinfo importaddress importdescriptors importmulti importprivkey \
         importprunedfunds importpubkey importwallet keypoolrefill listaddressgroupings listdescriptors \
         listlabels listlockunspent listreceivedbyaddress listreceivedbylabel listsinceblock listtransactions \
         listunspent listwalletdir listwallets loadwallet lockunspent migratewallet psbtbumpfee \
         removeprunedfunds rescanblockchain restorewallet send sendall sendmany sendtoaddress setlabel \
         settxfee setwalletflag signmessage signrawtransactionwithwallet simulaterawtransaction unloadwallet \
         upgradewallet walletcreatefundedpsbt walletdisplayaddress walletlock walletpassphrase \
         walletpassphrasechange walletprocesspsbt",
    ),
    (
        "needs the set of unspent outputs",
        "dumptxoutset getblockstats getchainstates getchaintxstats gettxout gettxoutsetinfo loadtxoutset \
         scantxoutset utxoupdatepsbt",
    ),
    (
        "needs all blocks",
        "getblockfilter getblockfrompeer getdescriptoractivity getindexinfo preciousblock pruneblockchain \
         scanblocks verifychain",
    ),
    (
        "needs a memory pool of validated transactions",
        "estimaterawfee estimatesmartfee getmempoolancestors getmempooldescendants getmempoolentry \
         getmempoolinfo getorphantxs getprioritisedtransactions getrawmempool gettxspendingprevout \
         importmempool prioritisetransaction savemempool submitpackage testmempoolaccept",
    ),
    (
        "is for mining",
        "generate generateblock generatetoaddress generatetodescriptor getblocktemplate getmininginfo \
         submitblock submitheader",
    ),
    (
        "makes or signs transactions",
        "analyzepsbt combinepsbt combinerawtransaction converttopsbt createpsbt \
         createrawtransaction decodepsbt descriptorprocesspsbt finalizepsbt joinpsbts \
         signmessagewithprivkey signrawtransactionwithkey",
    ),
    (
        "is about addresses, keys or descriptors",
        "createmultisig deriveaddresses getdescriptorinfo validateaddress verifymessage",
    ),
    (
        "serves the operation of a full node",
        "clearbanned getaddednodeinfo getdeploymentinfo getmemoryinfo getzmqnotifications invalidateblock \
         listbanned logging reconsiderblock setban",
    ),
];
