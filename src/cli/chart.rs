//! `lightclient chart` draws the stored chain.

use super::block_id::BlockId;
use super::stored::resolve_range;
use super::{CliError, CommandContext, value_parsers};
use crate::charts::{ChartName, ChartRequest, draw};
use crate::files::Sink;
use crate::output::bar;
use crate::output::is_utf8;
use crate::output::plot::{Charset, Embedding, Plot, png, svg, text};
use crate::query::series::ChainSummary;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Width of a chart in characters if standard output is not a terminal.
const COLUMNS: usize = 100;

const AFTER_HELP: &str = "\
Charts:
  difficulty  the difficulty, in steps from one retarget to the next
  hashrate    hashes per second, over 144 blocks or more
  interval    the time between blocks; in a long range, its median and spread
  versions    the share of headers by version number and version bit

Examples:
  lightclient chart difficulty --log
  lightclient chart hashrate --from -52560 --out hashrate.svg
  lightclient chart versions --from 400000 --to 500000 --out versions.png";

/// The arguments of `chart`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ChartArgs {
    /// Which chart: difficulty, hashrate, interval or versions
    #[arg(value_name = "CHART")]
    #[arg(value_parser = value_parsers::chart(), hide_possible_values = true)]
    chart: ChartName,
    /// Write the chart to this file, as SVG or PNG by its extension; an existing file is replaced
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// First height [default: 0]
    #[arg(long, value_name = "HEIGHT|HASH", allow_negative_numbers = true)]
    from: Option<BlockId>,
    /// Last height [default: the tip's]
    #[arg(long, value_name = "HEIGHT|HASH", allow_negative_numbers = true)]
    to: Option<BlockId>,
    /// Draw values on a logarithmic scale (shares of versions are always on a linear one)
    #[arg(long)]
    log: bool,
}

/// What `chart` prints with `--json`.
#[derive(Debug, Serialize)]
struct ChartReport<'a> {
    network: &'a str,
    chart: &'a str,
    from: u32,
    to: u32,
    file: Option<String>,
    description: &'a str,
}

/// The format of the file that `--out` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ImageFormat {
    Svg,
    Png,
}

impl ImageFormat {
    fn of(file: &Path) -> Result<Self, CliError> {
        let extension = file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match extension.as_str() {
            "svg" => Ok(Self::Svg),
            "png" => Ok(Self::Png),
            _ => Err(CliError::Usage(format!(
                "{}: expected a name that ends in .svg or .png",
                file.display()
            ))),
        }
    }
}

/// Draws the chart.
///
/// # Errors
/// An argument is not valid, the stored chain cannot be read, or the chart cannot be written.
pub(super) fn run(args: &ChartArgs, context: &mut CommandContext) -> Result<(), CliError> {
    let format = args.out.as_deref().map(ImageFormat::of).transpose()?;
    let mut reader = context.open_chain()?;
    let tip = reader.tip()?.height;
    let (from, to) = resolve_range(args.from, args.to, &mut reader, tip)?;
    let request = ChartRequest { name: args.chart, from, to, log: args.log };
    let mut summary = ChainSummary::default();
    if ChainSummary::is_needed(from, to) {
        let bar = bar(&context.bars, u64::from(tip) + 1, "reading headers");
        summary.extend(&mut reader, |height| bar.set_position(u64::from(height)))?;
        bar.finish_and_clear();
    }
    let plot = draw(&mut reader, &mut summary, request)?;
    reader.leak();
    if let Some((file, format)) = args.out.as_deref().zip(format) {
        let bytes = image(&plot, format)?;
        Sink::create(file, &mut context.out)?.write_whole(&bytes)?;
    }
    print(args, request, &plot, context)
}

fn image(plot: &Plot, format: ImageFormat) -> Result<Vec<u8>, CliError> {
    match format {
        ImageFormat::Svg => Ok(svg(plot, Embedding::File).into_bytes()),
        ImageFormat::Png => png(plot).map_err(|error| CliError::Failed(error.to_string())),
    }
}

fn print(
    args: &ChartArgs,
    request: ChartRequest,
    plot: &Plot,
    context: &mut CommandContext,
) -> Result<(), CliError> {
    let file = args.out.as_ref().map(|file| file.display().to_string());
    let out = &mut context.out;
    if out.is_json() {
        let report = ChartReport {
            network: context.config.network.name(),
            chart: request.name.name(),
            from: request.from,
            to: request.to,
            file,
            description: &plot.description,
        };
        return Ok(out.json(&report)?);
    }
    if let Some(file) = file {
        return Ok(out.line(&format!("drew {} to {file}", plot.title))?);
    }
    let charset = match out.columns() {
        Some(_) if !is_utf8() => Charset::Ascii,
        _ => Charset::Unicode,
    };
    let drawing = text(plot, out.columns().unwrap_or(COLUMNS), charset);
    out.text(&drawing)?;
    Ok(out.line(&plot.description)?)
}
