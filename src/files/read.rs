//! Reading headers from a file.

use super::entry::{BOM, Entry, Fault, Headers};
use super::error::advice;
use super::format::FileFormat;
use super::hex::hex_headers;
use super::json::jsonl_headers;
use super::sniff::{Seen, look};
use super::table::csv_headers;
use crate::primitives::{HEADER_LEN, Header};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, stdin};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{Builder, JoinHandle};

/// Bytes at the beginning of a file that are looked at to see what it is.
const LOOK: usize = 1 << 16;

/// Headers that the thread that reads hands over together.
const BATCH: usize = 256;

/// How many such batches it may be ahead.
const AHEAD: usize = 16;

/// Why a file's next header cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderFileError {
    /// The system does not let it.
    #[error("cannot read {}: {source}: {}", path.display(), advice(source.kind()))]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// What is there is no header.
    #[error("{}, {place}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Which line or header.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// It is another kind of file.
    #[error("{}: {what}", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What it is, and what to do with it.
        what: String,
    },
}

impl HeaderFileError {
    fn of(fault: Fault, path: &Path) -> HeaderFileError {
        let path = path.to_owned();
        match fault {
            Fault::Io(source) => Self::Io { path, source },
            Fault::Content { place, what } => Self::Content { path, place, what },
        }
    }
}

/// A file of headers, read one by one.
pub(crate) struct HeaderFile {
    path: PathBuf,
    read: Arc<AtomicU64>,
    size: Option<u64>,
    unit: &'static str,
    headers: Headers,
}

impl HeaderFile {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    /// It cannot be opened, or is not of a form whose beginning or end can be told.
    pub(crate) fn open(
        path: &Path,
        format: FileFormat,
        skip: u64,
    ) -> Result<Self, HeaderFileError> {
        let io = |source| HeaderFileError::Io { path: path.to_owned(), source };
        if path == Path::new("-") {
            return Self::of_stream(path, format, stdin(), None, skip);
        }
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(io(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let size = metadata.is_file().then_some(metadata.len());
        Self::of_stream(path, format, file, size, skip)
    }

    /// What is read from its beginning to its end.
    fn of_stream(
        path: &Path,
        format: FileFormat,
        source: impl Read + Send + 'static,
        size: Option<u64>,
        skip: u64,
    ) -> Result<Self, HeaderFileError> {
        let io = |source| HeaderFileError::Io { path: path.to_owned(), source };
        let read = Arc::new(AtomicU64::new(0));
        let mut source = Counted { source, read: Arc::clone(&read) };
        let skipped = io::copy(&mut { (&mut source).take(skip) }, &mut io::sink()).map_err(io)?;
        let mut start = Vec::with_capacity(LOOK);
        { (&mut source).take(LOOK as u64) }.read_to_end(&mut start).map_err(io)?;
        let seen = look(&start, format, skipped);
        if matches!(seen, Seen::As(FileFormat::Hex)) && start.starts_with(BOM) {
            start.drain(..BOM.len());
        }
        let source = io::Cursor::new(start).chain(source);
        let mut source = BufReader::with_capacity(1 << 16, source);
        let unit = match seen {
            Seen::As(FileFormat::Hex | FileFormat::Csv | FileFormat::Jsonl) => "line",
            _ => "header",
        };
        let headers: Headers = match seen {
            Seen::As(FileFormat::Hex) => Box::new(hex_headers(source)),
            Seen::As(FileFormat::Csv) => csv_headers(source),
            Seen::As(FileFormat::Jsonl) => jsonl_headers(source),
            Seen::As(_) => bin_headers(source),
            Seen::Zeros => {
                let what = zeros(&mut source, skipped).map_err(io)?;
                return Err(HeaderFileError::Other { path: path.to_owned(), what });
            }
            Seen::Other(what) => {
                return Err(HeaderFileError::Other { path: path.to_owned(), what });
            }
        };
        let headers = read_ahead(headers).map_err(io)?;
        Ok(Self { path: path.to_owned(), read, size, unit, headers })
    }

    /// What [`Entry::line`] counts: `line` or `header`.
    pub(crate) fn unit(&self) -> &'static str {
        self.unit
    }

    /// Bytes read so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes that will have been read at its end, where that is known.
    pub(crate) fn size(&self) -> Option<u64> {
        self.size
    }

    /// The next header; `None` at the end.
    ///
    /// # Errors
    /// What is there is no header, or cannot be read.
    pub(crate) fn next_header(&mut self) -> Result<Option<Entry>, HeaderFileError> {
        self.headers.next().transpose().map_err(|fault| HeaderFileError::of(fault, &self.path))
    }
}

/// Reads on a thread of its own, a little ahead. It ends with the file, at the first fault, or when what it reads is not
/// taken any more.
fn read_ahead(mut headers: Headers) -> io::Result<Headers> {
    let (sender, batches) = sync_channel(AHEAD);
    let read = move || {
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            let mut ends = false;
            while !ends && batch.len() < BATCH {
                let entry = headers.next();
                ends = !matches!(entry, Some(Ok(_)));
                batch.extend(entry);
            }
            if sender.send(batch).is_err() || ends {
                return;
            }
        }
    };
    let mut thread = Some(Builder::new().name("read-file".to_owned()).spawn(read)?);
    // The end of a thread that panicked is not the file's end.
    let end = std::iter::from_fn(move || match thread.take().map(JoinHandle::join)? {
        Ok(()) => None,
        Err(panic) => resume_unwind(panic),
    });
    Ok(Box::new(batches.into_iter().flatten().chain(end)))
}

fn bin_headers(mut source: impl BufRead + Send + 'static) -> Headers {
    let mut number = 0_u64;
    Box::new(std::iter::from_fn(move || {
        let mut bytes = [0; HEADER_LEN];
        let mut filled = 0;
        while filled < HEADER_LEN {
            match source.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(error.into())),
            }
        }
        if filled == 0 {
            return None;
        }
        number += 1;
        if filled < HEADER_LEN {
            let size = (number - 1) * HEADER_LEN as u64 + filled as u64;
            return Some(Err(Fault::Content {
                place: format!("header {number}"),
                what: format!(
                    "expected {HEADER_LEN} bytes, got {filled}: {size} bytes are not a multiple of \
                    {HEADER_LEN}, the file is cut short"
                ),
            }));
        }
        Some(Ok(Entry::of(Header::decode(&bytes), number)))
    }))
}

/// What is said of a file that begins with zeros.
fn zeros(source: &mut impl BufRead, skipped: u64) -> io::Result<String> {
    let mut zeros = 0_u64;
    loop {
        let bytes = source.fill_buf()?;
        let count = bytes.iter().take_while(|byte| **byte == 0).count();
        let (end, len) = (count < bytes.len(), bytes.len());
        source.consume(count);
        zeros += count as u64;
        if len == 0 {
            return Ok(format!("{zeros} bytes, all of them zeros: no header is in it"));
        }
        if end {
            break;
        }
    }
    // A header does not begin with zeros: its version is not 0.
    let header_len = HEADER_LEN as u64;
    let (headers, at) = (zeros / header_len, skipped + zeros / header_len * header_len);
    Ok(format!(
        "zeros up to height {} (a sparse file, as Electrum keeps it below its checkpoint): headers start \
        at byte {at}, height {headers}: sync or import what comes before it, then --skip {at}",
        headers.saturating_sub(1)
    ))
}

/// Counts what is read.
struct Counted<R> {
    source: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
