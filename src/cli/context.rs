//! What every command is handed.

use super::global::GlobalArgs;
use crate::config::{ColorChoice, Config};
use crate::output::{Output, Wording, bars, is_dumb, start_log};
use indicatif::MultiProgress;
use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal};

/// What every command is handed: settings, the place for results, and the bars.
pub(crate) struct Context {
    /// All settings.
    pub config: Config,
    /// Where results go.
    pub out: Output,
    /// Progress bars on standard error; hidden where it is no terminal, and with `-q`.
    pub bars: MultiProgress,
    /// Whether nothing but results and errors is wanted (`-q`).
    pub quiet: bool,
}

impl Context {
    /// Starts the log and opens standard output as the options say.
    pub(super) fn new(config: Config, global: &GlobalArgs, wording: Wording) -> Self {
        let bars = bars(!global.quiet);
        start_log(global.log(has_color(config.color, &io::stderr())), wording.clone(), &bars);
        let out = Output::stdout(global.json, has_color(config.color, &io::stdout()));
        let out = out.worded(wording);
        Self { config, out, bars, quiet: global.quiet }
    }
}

/// Whether colours go to this stream.
pub(super) fn has_color(choice: ColorChoice, stream: &impl IsTerminal) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            stream.is_terminal() && !no_color && !is_dumb()
        }
    }
}

/// `--color` and `LIGHTCLIENT_COLOR`: help and usage errors come before the arguments are understood.
pub(super) fn color_before_parsing(args: &[OsString]) -> ColorChoice {
    let texts = args.iter().map(|arg| arg.to_str().unwrap_or_default());
    let follows = texts.clone().skip(1);
    let chosen = texts.zip(follows.chain([""])).find_map(|(arg, next)| match arg {
        "--color" => Some(next),
        _ => arg.strip_prefix("--color="),
    });
    let said = chosen.map(str::to_owned).or_else(|| env::var("LIGHTCLIENT_COLOR").ok());
    said.and_then(|text| text.parse().ok()).unwrap_or_default()
}
