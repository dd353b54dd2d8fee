//! The path of the control socket.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Name of the socket in a network's folder.
pub(crate) const SOCKET: &str = "control.sock";

/// The longest path of a socket, in bytes, that every system accepts (macOS: 104 bytes with the final zero).
const MAX_PATH: usize = 103;

/// The path of the socket. On Linux, the system accepts it however long the path of the folder is.
pub(crate) struct SocketPath {
    path: PathBuf,
    // Keeps the file descriptor open whose number is part of `path`.
    _folder: Option<File>,
}

impl SocketPath {
    /// Makes the path of the socket in a network's folder.
    ///
    /// # Errors
    /// The path is too long to be used directly, and the folder cannot be opened (only on Linux).
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        let path = folder.join(SOCKET);
        if path.as_os_str().len() <= MAX_PATH || !cfg!(target_os = "linux") {
            return Ok(Self { path, _folder: None });
        }
        let handle = File::open(folder)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", handle.as_raw_fd()));
        Ok(Self { path, _folder: Some(handle) })
    }

    /// Returns the path.
    pub(crate) fn as_path(&self) -> &Path {
        &self.path
    }
}
