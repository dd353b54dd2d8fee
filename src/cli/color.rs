//! Decides whether output is coloured.

use crate::config::ColorChoice;
use crate::output::is_dumb;
use std::env;
use std::ffi::OsString;
use std::io::IsTerminal;

/// Returns whether to colour what goes to this stream.
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

/// Reads the choice from `--color` or `LIGHTCLIENT_COLOR`, for help and usage errors, which are printed when no parsed
/// arguments exist.
pub(super) fn color_before_parsing(args: &[OsString]) -> ColorChoice {
    let texts = args.iter().map(|arg| arg.to_str().unwrap_or_default());
    let follows = texts.clone().skip(1);
    let flag = texts.zip(follows.chain([""])).find_map(|(arg, next)| match arg {
        "--color" => Some(next),
        _ => arg.strip_prefix("--color="),
    });
    let choice = flag.map(str::to_owned).or_else(|| env::var("LIGHTCLIENT_COLOR").ok());
    choice.and_then(|text| text.parse().ok()).unwrap_or_default()
}
