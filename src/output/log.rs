//! The log on standard error.

use super::wording::Wording;
use anstyle::{AnsiColor, Style};
use chrono::Utc;
use indicatif::MultiProgress;
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
    /// Warnings.
    #[default]
    Warn,
    /// What happens (`-v`).
    Info,
    /// How it happens (`-vv`).
    Debug,
}

/// What the log shows, and how.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogSettings {
    /// How much.
    pub level: LogLevel,
    /// Target of its own that is shown only on request (every message on the wire), and its level.
    pub traced: Option<(&'static str, Level)>,
    /// Whether standard error takes colours.
    pub color: bool,
}

/// Starts the log. Lines are written with the progress bars taken away for that moment.
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
        .event_format(Lines { timed, dated: !io::stderr().is_terminal(), wording })
        .with_writer(BetweenBars { bars: bars.clone() });
    // A second call finds a log already there, which then stays.
    let _ = tracing_subscriber::registry().with(targets).with(layer).try_init();
}

/// `warning: …` for people who did not ask for a log, time and level for those who did.
struct Lines {
    timed: bool,
    /// Whether warnings have their time too: nobody sees when they come in a file.
    dated: bool,
    wording: Wording,
}

impl<S, N> FormatEvent<S, N> for Lines
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

/// Standard error, with the bars taken away while a line is written.
struct BetweenBars {
    bars: MultiProgress,
}

impl<'a> MakeWriter<'a> for BetweenBars {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { bars: &self.bars }
    }
}

/// One event's text, written in one piece.
struct Line<'a> {
    bars: &'a MultiProgress,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bars.suspend(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
