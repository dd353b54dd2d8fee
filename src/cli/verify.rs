//! `lightclient verify`: what is stored, checked again.

use super::{CliError, Context};
use crate::node::{audit, mend};
use crate::output::{Fields, Output, bar, format};
use crate::store;
use serde::{Deserialize, Serialize};

const AFTER_HELP: &str = "\
Checks every rule for every stored header again, from genesis, without any peer, and also the links between \
headers, the stored work, and the index. It needs exclusive access to the data folder (else exit code 4).

--repair copies the good headers, up to the first fault, into a new database, and sets the damaged one aside \
as headers.damaged (or headers.damaged.2 and so on) in the network's folder. Then `lightclient sync` fetches the \
rest. Where not a header is damaged but the database's own structure, nothing can be read any more: the new \
database then starts at genesis.";

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Where there is a fault, cut the chain back to the last good header
    #[arg(long)]
    repair: bool,
}

/// The first fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The lowest height that is not good.
    pub height: u32,
    /// The broken rule: Bitcoin Core's name for a header's, `stored-…` for the database's own.
    pub rule: String,
    /// What was expected.
    pub expected: String,
    /// What is there.
    pub got: String,
}

/// What `verify` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// How many headers were found good, genesis included.
    pub checked: u32,
    /// Height of the last good header.
    pub height: u32,
    /// Whether there was no fault.
    pub ok: bool,
    /// The first fault, if any.
    pub fault: Option<Fault>,
    /// After a repair: where the damaged database is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<String>,
}

impl From<store::Fault> for Fault {
    fn from(fault: store::Fault) -> Self {
        let store::Fault { height, rule, expected, got } = fault;
        Self { height, rule, expected, got }
    }
}

/// Checks, repairs if asked to, and prints.
///
/// # Errors
/// The stored data is damaged and was not repaired, or could not be read.
pub(super) fn run(args: &Args, context: &mut Context) -> Result<(), CliError> {
    let (folder, network) = (context.config.folder(), context.config.network);
    let progress = bar(&context.bars, 0, "verifying headers");
    let report = audit(&folder, network, |tip, height| {
        progress.set_length(u64::from(tip) + 1);
        progress.set_position(u64::from(height) + 1);
    });
    progress.finish_and_clear();
    let report = report?;
    let fault = report.fault.map(Fault::from);
    let mut verified = Verified {
        checked: report.checked,
        height: report.height,
        ok: fault.is_none(),
        fault,
        set_aside: None,
    };
    if args.repair && !verified.ok {
        let progress = bar(&context.bars, u64::from(report.height) + 1, "copying headers");
        let repaired = mend(&folder, network, |height| progress.set_position(u64::from(height)));
        progress.finish_and_clear();
        let repaired = repaired?;
        verified.height = repaired.tip.height;
        verified.set_aside = Some(repaired.aside.display().to_string());
    }
    print(&verified, network.name(), &mut context.out)?;
    match (&verified.fault, &verified.set_aside) {
        (Some(fault), None) => Err(CliError::Damaged(format!(
            "stored data is damaged at height {}: run `lightclient verify --repair`",
            fault.height
        ))),
        _ => Ok(()),
    }
}

fn print(verified: &Verified, network: &str, out: &mut Output) -> Result<(), CliError> {
    if out.is_json() {
        return Ok(out.json(verified)?);
    }
    let checked = format::counted(u64::from(verified.checked), "header");
    let Some(fault) = &verified.fault else {
        let height = format::count(u64::from(verified.height));
        return Ok(
            out.line(&format!("{network}: {checked} checked, all good up to height {height}"))?
        );
    };
    let fields = Fields::default()
        .with("good headers", &checked)
        .with("fault at height", format::count(u64::from(fault.height)))
        .with("rule", &fault.rule)
        .with("expected", &fault.expected)
        .with("got", &fault.got);
    out.text(&fields.render(out.has_color()))?;
    if let Some(aside) = &verified.set_aside {
        out.message(&format!(
            "repaired: the chain ends at height {} now; the damaged database is kept in {aside}; run \
            `lightclient sync` for the rest",
            verified.height
        ))?;
    }
    Ok(())
}
