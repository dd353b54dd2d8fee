//! `lightclient verify`: what is stored, checked again.

use super::{CliError, Context};
use crate::chainstate::{ahead_of_clock, unix_now_secs};
use crate::format;
use crate::output::{Fields, Output, bar};
use crate::query::{audit, mend};
use crate::store;
use serde::{Deserialize, Serialize};
use tracing::warn;

const AFTER_HELP: &str = "\
Checks every rule for every stored header again, from genesis, without any peer, and also the links between \
headers, the stored work, and the index. Nothing is written. It needs exclusive access to the data folder: no command \
that writes may use it meanwhile (exit code 4).

--repair builds a new database from every header that can be found in the files of the damaged one, which is set \
aside as headers.damaged (or headers.damaged.2 and so on) in the network's folder. Headers whose bytes are \
damaged are computed from redundant data, unless too much is damaged at once: the chain then ends there, and \
`lightclient sync` fetches the rest.";

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Where there is a fault, rebuild the database from every header that can be recovered
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
    warn_of_clock(report.time);
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

/// Says so where the clock is behind the chain. That is no fault of what is stored.
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
            "repaired: {} kept, up to height {}; the damaged database is in {aside}; `lightclient sync` fetches \
            what may be missing",
            format::counted(u64::from(verified.height) + 1, "header"),
            format::count(u64::from(verified.height))
        ))?;
    }
    Ok(())
}
