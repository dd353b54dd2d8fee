//! `lightclient verify` checks all stored headers again.

use super::{CliError, CommandContext};
use crate::chainstate::{ahead_of_clock, unix_now_secs};
use crate::format;
use crate::output::{FieldList, Output, bar};
use crate::query::{audit, repair_folder};
use crate::store;
use serde::{Deserialize, Serialize};
use tracing::warn;

const AFTER_HELP: &str = "\
Checks every stored header again, from genesis, without any peer: every rule except the two-hour limit, which depends \
on the clock. Also checks the links between headers, the stored work, the index, and the redundant data. Without \
--repair nothing is written. No command that writes may use the data folder meanwhile (exit code 4).

--repair builds a new database from every header that can be found in the files of the damaged one, which is set \
aside as headers.damaged (or headers.damaged.2 and so on) in the network's folder. Headers whose bytes are \
damaged are computed from redundant data. If too much is damaged at once, the chain ends there, and \
`lightclient sync` downloads the rest.";

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct VerifyArgs {
    /// If there is a fault, rebuild the database from every header that can be recovered
    #[arg(long)]
    repair: bool,
}

/// The first fault in the stored chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultReport {
    /// The lowest height at which the chain is not good.
    pub height: u32,
    /// The broken rule: Bitcoin Core's name for a rule of headers, or `stored-…` for a rule of the database.
    pub rule: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub got: String,
}

/// What `verify` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Number of good headers, genesis included.
    pub checked: u32,
    /// Height of the last good header; after a repair, of the repaired chain's tip.
    pub height: u32,
    /// Whether no fault was found.
    pub ok: bool,
    /// The first fault, if any.
    pub fault: Option<FaultReport>,
    /// Where the damaged database is kept after a repair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<String>,
}

impl From<store::Fault> for FaultReport {
    fn from(fault: store::Fault) -> Self {
        let store::Fault { height, rule, expected, got } = fault;
        Self { height, rule, expected, got }
    }
}

/// Checks the stored headers, repairs them if asked to, and prints the result.
///
/// # Errors
/// Nothing is stored, the folder is in use, or the stored data could not be read, or is damaged and was not repaired.
pub(super) fn run(args: &VerifyArgs, context: &mut CommandContext) -> Result<(), CliError> {
    let (folder, network) = (context.config.folder(), context.config.network);
    let progress = bar(&context.bars, 0, "verifying headers");
    // The number of headers is not known until the database is open, and stays unknown if it cannot be opened.
    let mut stored = 0;
    let report = audit(&folder, network, |tip, height| {
        stored = u64::from(tip) + 1;
        progress.set_length(stored);
        progress.set_position(u64::from(height) + 1);
    });
    progress.finish_and_clear();
    let report = report?;
    warn_of_clock(report.time);
    let fault = report.fault.map(FaultReport::from);
    let mut verified = Verified {
        checked: report.checked,
        height: report.height,
        ok: fault.is_none(),
        fault,
        set_aside: None,
    };
    if args.repair && !verified.ok {
        let progress = bar(&context.bars, stored, "copying headers");
        let repaired =
            repair_folder(&folder, network, |height| progress.set_position(u64::from(height) + 1));
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

/// Warns if this computer's clock is far behind `time`, the time of the last good header in Unix seconds. The header is
/// good even so.
fn warn_of_clock(time: u32) {
    let now = unix_now_secs();
    if let Some(ahead) = ahead_of_clock(time, now) {
        let now = format::utc(now);
        warn!(
            "this computer's clock ({now} UTC) is {ahead} behind the stored chain: set the clock"
        );
    }
}

fn print(verified: &Verified, network: &str, out: &mut Output) -> Result<(), CliError> {
    if out.is_json() {
        return Ok(out.json(verified)?);
    }
    let checked = format::counted(u64::from(verified.checked), "header");
    let Some(fault) = &verified.fault else {
        let height = format::count(verified.height);
        return Ok(
            out.line(&format!("{network}: {checked} checked, all good up to height {height}"))?
        );
    };
    let fields = FieldList::default()
        .with("good headers", &checked)
        .with("fault at height", format::count(fault.height))
        .with("rule", &fault.rule)
        .with("expected", &fault.expected)
        .with("got", &fault.got);
    out.text(&fields.render(out.has_color()))?;
    if let Some(folder) = &verified.set_aside {
        out.message(&format!(
            "repaired: {} kept, up to height {}; the damaged database is in {folder}; `lightclient sync` downloads \
            headers that are missing",
            format::counted(u64::from(verified.height) + 1, "header"),
            format::count(verified.height)
        ))?;
    }
    Ok(())
}
