//! The client's side.

use super::protocol::{MAX_REPLY, PROTOCOL, Reply, Request, StoreInfo};
use super::socket::SocketPath;
use crate::chain::ChainTip;
use crate::primitives::{BlockHash, Network};
use crate::query::lookup::{Located, SideSummary};
use crate::store::StoredRun;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the greeting may take: nothing has to be read for it.
const GREETING_WAIT: Duration = Duration::from_secs(3);

/// How long an answer may take, and sending a request.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Why the running process could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// It does not listen, does not answer in time, or went away.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It has as many clients as it takes.
    #[error("too many other commands are asking it")]
    Busy,
    /// It answers in a form of its own, as another version of the program would.
    #[error("its answers cannot be understood ({0})")]
    Form(String),
    /// It could not read what was asked for.
    #[error("{message}")]
    Failed {
        /// Whether stored data is damaged.
        damaged: bool,
        /// What it says.
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
    /// Connects, and makes sure that both sides mean the same.
    ///
    /// # Errors
    /// Nobody listens there, or not in a language known here.
    pub(crate) fn connect(folder: &Path, network: Network) -> Result<Self, ClientError> {
        let stream = BufReader::new(connect(folder)?);
        let mut client = Self { folder: folder.to_owned(), network, stream };
        client.greet()?;
        Ok(client)
    }

    fn greet(&mut self) -> Result<(), ClientError> {
        match self.exchange(&Request::Hello)? {
            Reply::Hello { protocol: PROTOCOL, network } if network == self.network.name() => {
                Ok(self.stream.get_ref().set_read_timeout(Some(ANSWER_WAIT))?)
            }
            Reply::Hello { protocol, network } => {
                Err(ClientError::Form(format!("protocol {protocol} on {network}")))
            }
            other => Err(unexpected(&other)),
        }
    }

    /// The end of the stored chain.
    ///
    /// # Errors
    /// The process could not be asked, or could not read it.
    pub(crate) fn tip(&mut self) -> Result<ChainTip, ClientError> {
        match self.ask(&Request::Tip)? {
            Reply::Tip(tip) => Ok(tip.into()),
            other => Err(unexpected(&other)),
        }
    }

    /// Where a hash is stored.
    ///
    /// # Errors
    /// As [`ControlClient::tip`].
    pub(crate) fn locate(&mut self, hash: &BlockHash) -> Result<Option<Located>, ClientError> {
        match self.ask(&Request::Locate { hash: *hash })? {
            Reply::Located { at: None } => Ok(None),
            Reply::Located { at: Some(at) } => {
                at.decode().map(Some).ok_or_else(|| ClientError::Form("a bad header".to_owned()))
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Up to [`super::MAX_RUN`] headers from a height on.
    ///
    /// # Errors
    /// As [`ControlClient::tip`].
    pub(crate) fn run(&mut self, from: u32, count: u32) -> Result<StoredRun, ClientError> {
        match self.ask(&Request::Run { from, count })? {
            Reply::Run(run) => {
                run.decode().ok_or_else(|| ClientError::Form("bad headers".to_owned()))
            }
            other => Err(unexpected(&other)),
        }
    }

    /// The branches beside the active chain.
    ///
    /// # Errors
    /// As [`ControlClient::tip`].
    pub(crate) fn sides(&mut self) -> Result<Vec<SideSummary>, ClientError> {
        match self.ask(&Request::Sides)? {
            Reply::Sides { sides } => Ok(sides),
            other => Err(unexpected(&other)),
        }
    }

    /// What is known besides the chain.
    ///
    /// # Errors
    /// As [`ControlClient::tip`].
    pub(crate) fn info(&mut self) -> Result<StoreInfo, ClientError> {
        match self.ask(&Request::Info)? {
            Reply::Info(info) => Ok(info),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks; once more on a new connection where the old one was closed for being idle.
    fn ask(&mut self, request: &Request) -> Result<Reply, ClientError> {
        match self.exchange(request) {
            Err(ClientError::Io(error)) if is_closed(&error) => {
                self.stream = BufReader::new(connect(&self.folder)?);
                self.greet()?;
                self.exchange(request)
            }
            other => other,
        }
    }

    fn exchange(&mut self, request: &Request) -> Result<Reply, ClientError> {
        let mut text = serde_json::to_string(request).expect("requests have only string keys");
        text.push('\n');
        let sent = self.stream.get_mut().write_all(text.as_bytes()).map_err(named);
        let mut reply = Vec::new();
        // A server that refuses writes why before it closes: read that even where sending failed.
        let read = (&mut self.stream).take(MAX_REPLY).read_until(b'\n', &mut reply);
        if reply.is_empty() {
            sent?;
        }
        if read.map_err(named)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match serde_json::from_slice(&reply) {
            Ok(Reply::Busy) => Err(ClientError::Busy),
            Ok(Reply::Failed { damaged, message }) => Err(ClientError::Failed { damaged, message }),
            Ok(reply) => Ok(reply),
            Err(error) => Err(ClientError::Form(error.to_string())),
        }
    }
}

fn connect(folder: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(SocketPath::new(folder)?.as_path())?;
    stream.set_read_timeout(Some(GREETING_WAIT))?;
    stream.set_write_timeout(Some(ANSWER_WAIT))?;
    Ok(stream)
}

/// A timeout of a socket reads "resource temporarily unavailable": nobody would know what is meant.
fn named(error: io::Error) -> io::Error {
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

fn unexpected(reply: &Reply) -> ClientError {
    let text = format!("{reply:?}");
    ClientError::Form(format!("unexpected {}", text.split([' ', '(']).next().unwrap_or_default()))
}
