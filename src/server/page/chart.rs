//! Draws the charts that URLs ask for.

use super::context::{PageContext, PageError};
use super::search::find_height;
use crate::charts::{ChartName, ChartRequest, draw};
use crate::output::plot::Plot;
use crate::query::reread_if_reorganised;
use serde::Deserialize;
use std::sync::PoisonError;

/// The parameters of a chart in a URL.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct ChartQuery {
    /// The chart's name, which only the front page reads.
    pub chart: Option<String>,
    /// The first height, in a form that [`find_height`] understands; genesis if it is missing or empty.
    pub from: Option<String>,
    /// The last height, in a form that [`find_height`] understands; the tip if it is missing or empty.
    pub to: Option<String>,
    /// `0`, `false`, `no`, `off` or an empty text for a linear scale, any other text for a logarithmic one; `None` for
    /// the default of [`front_chart`] or [`named_chart`].
    pub log: Option<String>,
}

/// A chart that was drawn.
#[derive(Debug)]
pub(super) struct PageChart {
    /// The chart's name, range and scale.
    pub request: ChartRequest,
    /// The drawing.
    pub plot: Plot,
    /// The height of the tip.
    pub tip: u32,
}

impl ChartQuery {
    fn has_log(&self) -> Option<bool> {
        self.log.as_deref().map(|text| !matches!(text, "" | "0" | "false" | "no" | "off"))
    }
}

/// Draws the chart of the front page. The default chart is the difficulty, and the default scale is logarithmic if
/// [`ChartName::grows`].
///
/// # Errors
/// There is no such chart or height, a height cannot be understood or is on a side branch, the range ends before it
/// starts, or reading failed.
pub(super) fn front_chart(
    context: &PageContext,
    query: &ChartQuery,
) -> Result<PageChart, PageError> {
    let name = query.chart.as_deref().map_or(Ok(ChartName::Difficulty), parse_name)?;
    let log = query.has_log().unwrap_or(name.grows());
    draw_range(context, query, name, log)
}

/// Draws the chart with this name. The default scale is linear.
///
/// # Errors
/// As [`front_chart`].
pub(super) fn named_chart(
    context: &PageContext,
    name: &str,
    query: &ChartQuery,
) -> Result<PageChart, PageError> {
    let name = parse_name(name)?;
    draw_range(context, query, name, query.has_log().unwrap_or(false))
}

fn parse_name(text: &str) -> Result<ChartName, PageError> {
    text.parse().map_err(|error| PageError::NotFound(format!("There is no such chart: {error}.")))
}

fn draw_range(
    context: &PageContext,
    query: &ChartQuery,
    name: ChartName,
    log: bool,
) -> Result<PageChart, PageError> {
    let mut reader = context.state.chain();
    let tip = reader.tip()?.height;
    let mut height_or = |text: &Option<String>, default: u32| {
        let text = text.as_deref().filter(|text| !text.is_empty());
        text.map_or(Ok(default), |text| find_height(&mut reader, text))
    };
    let from = match height_or(&query.from, 0) {
        // `from=-N` means the Nth header from the end. If the chain has fewer headers, the range starts at genesis.
        Err(PageError::NotFound(_))
            if query.from.as_deref().is_some_and(|t| t.starts_with('-')) =>
        {
            0
        }
        other => other?,
    };
    let to = height_or(&query.to, tip)?;
    if from > to {
        let what = "The range ends before it starts.".to_owned();
        return Err(PageError::Unclear(what));
    }
    let request = ChartRequest { name, from, to, log };
    let mut summary = context.summary.lock().unwrap_or_else(PoisonError::into_inner);
    let plot = reread_if_reorganised(|| draw(&mut reader, &mut summary, request))?;
    Ok(PageChart { request, plot, tip })
}
