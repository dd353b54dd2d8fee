//! Completes the commands that messages advise with the options that this run was started with.

use crate::config::{AppConfig, Layer};
use crate::output::{Wording, shell_quoted};
use std::ffi::OsStr;
use std::fmt::Write;
use std::path;

/// Returns the network, the data folder and the settings file of this run as options, quoted for a shell, with a space
/// before each. A setting from the environment or a file is included too, because people paste commands into other
/// shells.
pub(super) fn options(config: &AppConfig) -> String {
    let mut options = String::new();
    // Writing to a String cannot fail.
    if let Some(challenge) = &config.signet_challenge {
        let _ = write!(options, " --signet-challenge {challenge}");
    } else if config.chosen.network {
        let _ = write!(options, " --{}", config.network);
    }
    if config.chosen.data_dir {
        let folder = path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
        push(&mut options, "--data-dir", folder.as_os_str());
    }
    if let Some(file) = &config.chosen.file {
        let file = path::absolute(file).unwrap_or_else(|_| file.clone());
        push(&mut options, "--config", file.as_os_str());
    }
    options
}

/// Returns the wording that adds this run's options to the commands that messages advise.
///
/// The options are those of [`options`], and for commands that choose their peers also the peers and the proxy. These
/// two are repeated only if the command line named them: a setting from a file, or from the environment of the same
/// shell, applies to the next command too.
pub(super) fn wording(config: &AppConfig, flags: &Layer) -> Wording {
    let mut for_peers = String::new();
    for peer in flags.connect.iter().flatten() {
        push(&mut for_peers, "--connect", peer.to_string().as_ref());
    }
    if let Some(proxy) = &flags.proxy {
        // The password is not printed. A command that is pasted with this placeholder fails at the proxy, and does not
        // go around it.
        let login = if proxy.login.is_some() { "USER:PASSWORD@" } else { "" };
        push(&mut for_peers, "--proxy", format!("{login}{proxy}").as_ref());
    }
    Wording::new(options(config), for_peers)
}

fn push(options: &mut String, name: &str, value: &OsStr) {
    let _ = write!(options, " {name} {}", shell_quoted(&value.to_string_lossy()));
}
