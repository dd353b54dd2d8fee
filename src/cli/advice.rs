//! The options that a command needs to do again what this one was told to: printed advice carries them.

use crate::config::{Config, Layer};
use crate::output::{Wording, shell_quoted};
use std::ffi::OsStr;
use std::fmt::Write;
use std::path;

/// How messages name commands: with the network and the data folder in use, and for `sync` with the peers and the proxy
/// that the command line named. What the environment or a file in its usual place says needs no repetition, except
/// that a choice of network or folder is always named: advice is often pasted elsewhere.
pub(super) fn wording(config: &Config, flags: &Layer) -> Wording {
    let mut options = String::new();
    // Writing into a String does not fail.
    if let Some(challenge) = &config.signet_challenge {
        let _ = write!(options, " --signet-challenge {challenge}");
    } else if config.given.network {
        let _ = write!(options, " --{}", config.network);
    }
    if config.given.data_dir {
        let folder = path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
        push(&mut options, "--data-dir", folder.as_os_str());
    }
    if let Some(file) = &config.given.file {
        let file = path::absolute(file).unwrap_or_else(|_| file.clone());
        push(&mut options, "--config", file.as_os_str());
    }
    let mut for_sync = String::new();
    for peer in flags.connect.iter().flatten() {
        push(&mut for_sync, "--connect", peer.to_string().as_ref());
    }
    if let Some(proxy) = &flags.proxy {
        // A password has no place in a message; the words in its place fail at the proxy, not without one.
        let login = if proxy.login.is_some() { "USER:PASSWORD@" } else { "" };
        push(&mut for_sync, "--proxy", format!("{login}{proxy}").as_ref());
    }
    Wording::new(options, for_sync)
}

fn push(options: &mut String, name: &str, value: &OsStr) {
    let _ = write!(options, " {name} {}", shell_quoted(&value.to_string_lossy()));
}
