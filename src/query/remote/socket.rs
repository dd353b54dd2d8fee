//! The socket's file.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Name of the socket's file in a network's folder.
pub(crate) const SOCKET: &str = "control.sock";

/// Longest path that every system takes for a socket (macOS: 104 bytes with the closing zero).
const MAX_PATH: usize = 103;

/// A path for the socket that the system takes, however deep the folder is.
pub(crate) struct SocketPath {
    path: PathBuf,
    // Keeps the descriptor that `path` goes through open.
    _folder: Option<File>,
}

impl SocketPath {
    /// The socket of a network's folder.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        let path = folder.join(SOCKET);
        if path.as_os_str().len() <= MAX_PATH || !cfg!(target_os = "linux") {
            return Ok(Self { path, _folder: None });
        }
        let handle = File::open(folder)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", handle.as_raw_fd()));
        Ok(Self { path, _folder: Some(handle) })
    }

    pub(crate) fn as_path(&self) -> &Path {
        &self.path
    }
}
