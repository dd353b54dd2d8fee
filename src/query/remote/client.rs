//! The client's side of the control socket.

use super::protocol::{ControlReply, ControlRequest, MAX_REPLY, PROTOCOL, StoreInfo};
use super::socket::SocketPath;
use crate::chain::ChainTip;
use crate::primitives::{BlockHash, Network};
use crate::query::lookup::{Located, SideSummary};
use crate::store::StoredRun;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the client waits for the next bytes of the reply to the greeting. For this reply, the server reads nothing
/// from disk.
const GREETING_WAIT: Duration = Duration::from_secs(3);

/// How long the client waits for the next bytes of the reply to any other request, and to send a request.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Why a request to the running process failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// The process does not listen, did not answer in time, or closed the connection.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The process has too many clients.
    #[error("too many other commands are asking it")]
    Busy,
    /// The answer does not follow the protocol. The process may be another version of the program.
    #[error("its answers cannot be understood ({0})")]
    Protocol(String),
    /// The process answered with an error.
    #[error("{message}")]
    Failed {
        /// Whether stored data is damaged.
        damaged: bool,
        /// The error's text.
        message: String,
    },
}

/// A connection to the process that has a network's folder open.
#[derive(Debug)]
pub(crate) struct ControlClient {
    folder: PathBuf,
    network: Network,
    stream: BufReader<UnixStream>,
}

impl ControlClient {
    /// Connects, and checks that both sides use the same protocol version and network.
    ///
    /// # Errors
    /// No process listens, or the process does not answer, has too many clients, or uses another protocol version or
    /// network.
    pub(crate) fn connect(folder: &Path, network: Network) -> Result<Self, ControlError> {
        let stream = BufReader::new(connect(folder)?);
        let mut client = Self { folder: folder.to_owned(), network, stream };
        client.greet()?;
        Ok(client)
    }

    fn greet(&mut self) -> Result<(), ControlError> {
        match self.exchange(&ControlRequest::Hello)? {
            ControlReply::Hello { protocol: PROTOCOL, network }
                if network == self.network.name() =>
            {
                Ok(self.stream.get_ref().set_read_timeout(Some(ANSWER_WAIT))?)
            }
            ControlReply::Hello { protocol, network } => {
                Err(ControlError::Protocol(format!("protocol {protocol} on {network}")))
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Returns the tip of the stored chain.
    ///
    /// # Errors
    /// The process does not answer, or answers with an error.
    pub(crate) fn tip(&mut self) -> Result<ChainTip, ControlError> {
        match self.ask(&ControlRequest::Tip)? {
            ControlReply::Tip(tip) => Ok(tip.into()),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns where the header with this hash is stored, or `None` if it is not stored.
    ///
    /// # Errors
    /// As [`ControlClient::tip`].
    pub(crate) fn locate(&mut self, hash: &BlockHash) -> Result<Option<Located>, ControlError> {
        match self.ask(&ControlRequest::Locate { hash: *hash })? {
            ControlReply::Located { at: None } => Ok(None),
            ControlReply::Located { at: Some(at) } => at
                .decode()
                .map(Some)
                .ok_or_else(|| ControlError::Protocol("a bad header".to_owned())),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns `count` headers from height `from` on, at most [`super::MAX_RUN`], or fewer if the chain ends before.
    ///
    /// # Errors
    /// As [`ControlClient::tip`].
    pub(crate) fn run(&mut self, from: u32, count: u32) -> Result<StoredRun, ControlError> {
        match self.ask(&ControlRequest::Run { from, count })? {
            ControlReply::Run(run) => {
                run.decode().ok_or_else(|| ControlError::Protocol("bad headers".to_owned()))
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Returns the side branches.
    ///
    /// # Errors
    /// As [`ControlClient::tip`].
    pub(crate) fn sides(&mut self) -> Result<Vec<SideSummary>, ControlError> {
        match self.ask(&ControlRequest::Sides)? {
            ControlReply::Sides { sides } => Ok(sides),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns what is known about the stored data besides the chain.
    ///
    /// # Errors
    /// As [`ControlClient::tip`].
    pub(crate) fn info(&mut self) -> Result<StoreInfo, ControlError> {
        match self.ask(&ControlRequest::Info)? {
            ControlReply::Info(info) => Ok(info),
            other => Err(unexpected(&other)),
        }
    }

    /// Sends a request, and returns the reply. Connects again if the server has closed the idle connection.
    fn ask(&mut self, request: &ControlRequest) -> Result<ControlReply, ControlError> {
        match self.exchange(request) {
            Err(ControlError::Io(error)) if is_closed(&error) => {
                self.stream = BufReader::new(connect(&self.folder)?);
                self.greet()?;
                self.exchange(request)
            }
            other => other,
        }
    }

    /// Sends a request on this connection, and returns the reply.
    fn exchange(&mut self, request: &ControlRequest) -> Result<ControlReply, ControlError> {
        let mut text = serde_json::to_string(request).expect("requests have only string keys");
        text.push('\n');
        let sent = self.stream.get_mut().write_all(text.as_bytes()).map_err(with_clear_timeout);
        let mut reply = Vec::new();
        // A server that refuses a client writes the reason before it closes the connection, so the reply is read
        // even if sending failed.
        let read = (&mut self.stream).take(MAX_REPLY).read_until(b'\n', &mut reply);
        if reply.is_empty() {
            sent?;
        }
        if read.map_err(with_clear_timeout)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match serde_json::from_slice(&reply) {
            Ok(ControlReply::Busy) => Err(ControlError::Busy),
            Ok(ControlReply::Failed { damaged, message }) => {
                Err(ControlError::Failed { damaged, message })
            }
            Ok(reply) => Ok(reply),
            Err(error) => Err(ControlError::Protocol(error.to_string())),
        }
    }
}

fn connect(folder: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(SocketPath::new(folder)?.as_path())?;
    stream.set_read_timeout(Some(GREETING_WAIT))?;
    stream.set_write_timeout(Some(ANSWER_WAIT))?;
    Ok(stream)
}

/// Replaces a socket's timeout error, which reads "resource temporarily unavailable", with a clear text.
fn with_clear_timeout(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
        }
        _ => error,
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

fn unexpected(reply: &ControlReply) -> ControlError {
    let text = format!("{reply:?}");
    ControlError::Protocol(format!(
        "unexpected {}",
        text.split([' ', '(']).next().unwrap_or_default()
    ))
}
