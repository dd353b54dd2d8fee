//! The log on standard error.

use super::wording::Wording;
use anstyle::{AnsiColor, Style};
use chrono::Utc;
use indicatif::MultiProgress;
use serde_json::json;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogLevel {
    /// Nothing (`-q`).
    Off,
    /// Errors and warnings.
    #[default]
    Warn,
    /// Also events (`-v`).
    Info,
    /// Also details (`-vv`).
    Debug,
}

/// The settings of the log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogSettings {
    /// How much is logged.
    pub level: LogLevel,
    /// A further target that is logged only on request, and its level: the messages on the wire.
    pub traced: Option<(&'static str, Level)>,
    /// Whether to use colours.
    pub color: bool,
    /// Whether each line is a JSON object.
    pub json: bool,
}

/// Starts the log. The progress bars are hidden while a line is written.
///
/// Only the first call in a process has an effect.
pub(crate) fn start_log(settings: LogSettings, wording: Wording, bars: &MultiProgress) {
    let level = match settings.level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let mut targets = Targets::new().with_target("lightclient", level);
    if let Some((target, level)) = settings.traced {
        targets = targets.with_target(target, level);
    }
    let timed = settings.traced.is_some() || level > LevelFilter::WARN;
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(settings.color)
        .event_format(LineFormat {
            timed,
            dated: !io::stderr().is_terminal(),
            json: settings.json,
            wording,
        })
        .with_writer(BetweenBars { bars: bars.clone() });
    // After a second call the first log stays.
    let _ = tracing_subscriber::registry().with(targets).with(layer).try_init();
}

/// Formats a line: as `warning: …` by default, and with time and level if the user asked for a log.
struct LineFormat {
    /// Whether lines have time and level.
    timed: bool,
    /// Whether warnings have a time although `timed` is false, because a file does not show when they came.
    dated: bool,
    /// Whether lines are JSON objects.
    json: bool,
    wording: Wording,
}

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        if self.json {
            let mut text = String::new();
            context.field_format().format_fields(Writer::new(&mut text), event)?;
            let now = Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
            let text = if level > Level::WARN { text } else { self.wording.apply(&text) };
            let level = level.as_str().to_lowercase();
            let line = json!({ "time": now, "level": level, "message": text });
            return writeln!(writer, "{line}");
        }
        let color = level_color(level).filter(|_| writer.has_ansi_escapes());
        let style =
            color.map_or_else(Style::new, |color| Style::new().fg_color(Some(color.into())));
        if self.timed {
            let now = Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
            write!(writer, "{now} {style}{level:>5}{style:#} ")?;
        } else {
            if self.dated {
                write!(writer, "{} ", Utc::now().format("%Y-%m-%dT%H:%M:%SZ"))?;
            }
            let name = if level == Level::ERROR { "error" } else { "warning" };
            write!(writer, "{style}{name}{style:#}: ")?;
        }
        if level > Level::WARN {
            context.field_format().format_fields(writer.by_ref(), event)?;
            return writeln!(writer);
        }
        let mut text = String::new();
        context.field_format().format_fields(Writer::new(&mut text), event)?;
        writeln!(writer, "{}", self.wording.apply(&text))
    }
}

fn level_color(level: Level) -> Option<AnsiColor> {
    match level {
        Level::ERROR => Some(AnsiColor::Red),
        Level::WARN => Some(AnsiColor::Yellow),
        Level::INFO => Some(AnsiColor::Green),
        _ => None,
    }
}

/// Standard error, with the bars hidden while a line is written.
struct BetweenBars {
    bars: MultiProgress,
}

impl<'a> MakeWriter<'a> for BetweenBars {
    type Writer = LogWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        LogWriter { bars: &self.bars }
    }
}

/// Writes the text of one event in one piece.
struct LogWriter<'a> {
    bars: &'a MultiProgress,
}

impl Write for LogWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bars.suspend(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
