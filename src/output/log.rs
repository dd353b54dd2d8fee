//! The log on standard error.

use super::wording::Wording;
use anstyle::{AnsiColor, Style};
use chrono::Utc;
use indicatif::MultiProgress;
use serde_json::{Map, Value};
use std::fmt;
use std::io::{self, IsTerminal, Write};
use tracing::field::{Field, Visit};
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
    /// A further `tracing` target and its level. The target is that of P2P messages, which are logged only on request.
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
    // A second call fails here, and the first log stays.
    let _ = tracing_subscriber::registry().with(targets).with(layer).try_init();
}

/// Formats a line: as a JSON object, or else as `warning: …` by default, and with time and level if the user asked for
/// a log.
struct LineFormat {
    /// Whether lines of text have time and level. Lines of JSON always have both.
    timed: bool,
    /// Whether errors and warnings have a time although `timed` is false, because a file does not show when they came.
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
            return writeln!(writer, "{}", self.json_line(event));
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

impl LineFormat {
    /// Returns the line for an event: an object with its time, its level, its message if it has one, and its other
    /// fields.
    fn json_line(&self, event: &Event<'_>) -> Value {
        let level = *event.metadata().level();
        let mut fields = JsonFields::default();
        event.record(&mut fields);
        let mut line = fields.0;
        if let Some(Value::String(message)) =
            line.get_mut("message").filter(|_| level <= Level::WARN)
        {
            *message = self.wording.apply(message);
        }
        with_time_and_level(line, level)
    }
}

/// Adds time and level to a line.
fn with_time_and_level(mut line: Map<String, Value>, level: Level) -> Value {
    let now = Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    line.insert("time".to_owned(), now.into());
    line.insert("level".to_owned(), level.as_str().to_lowercase().into());
    line.into()
}

/// Returns the JSON log line for the error that ends the program.
pub(crate) fn json_error_line(message: &str) -> Value {
    with_time_and_level(Map::from_iter([("message".to_owned(), message.into())]), Level::ERROR)
}

/// Collects the fields of an event as JSON.
#[derive(Default)]
struct JsonFields(Map<String, Value>);

impl Visit for JsonFields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
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

#[cfg(test)]
mod tests {
    use super::{LineFormat, Wording};
    use serde_json::Value;
    use std::fs;
    use std::sync::Arc;
    use tempfile::NamedTempFile;

    #[test]
    fn fields_are_keys_of_a_line_in_json() {
        let (file, wording) =
            (NamedTempFile::new().unwrap(), Wording::new(" --regtest".into(), String::new()));
        let log = tracing_subscriber::fmt()
            .event_format(LineFormat { timed: false, dated: false, json: true, wording })
            .with_writer(Arc::new(file.reopen().unwrap()))
            .finish();
        tracing::subscriber::with_default(log, || {
            tracing::info!(peer = %"192.0.2.1:8333", size = 8_usize, fields = %"nonce=0a");
            tracing::warn!("run `lightclient status`");
        });
        let text = fs::read_to_string(file.path()).unwrap();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["peer"], &lines[0]["size"]), (&"192.0.2.1:8333".into(), &8.into()));
        assert_eq!((&lines[0]["fields"], &lines[0]["level"]), (&"nonce=0a".into(), &"info".into()));
        assert!(lines[0]["time"].is_string() && lines[0].get("message").is_none(), "{text}");
        assert_eq!(lines[1]["message"], "run `lightclient status --regtest`");
    }
}
