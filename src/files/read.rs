//! Reads headers from a file.

use super::entry::{BOM, EntryError, FileEntries, HeaderEntry};
use super::error::advice;
use super::format::FileFormat;
use super::hex::hex_headers;
use super::json::jsonl_headers;
use super::sniff::{Detected, detect};
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

/// The format of a file is detected from this many bytes at its beginning.
const DETECT_BYTES: usize = 1 << 16;

/// How many headers the reading thread sends at once.
const BATCH: usize = 256;

/// How many batches of headers may wait for [`HeaderFile::next_header`].
const MAX_AHEAD: usize = 16;

/// Why a file's next header cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderFileError {
    /// The file cannot be read, or the thread that reads it cannot be started.
    #[error("cannot read {}: {source}: {}", path.display(), advice(source.kind()))]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A line or header is not valid.
    #[error("{}, {place}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Which line or header.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// The file does not start with headers that can be read.
    #[error("{}: {what}", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What the file is, and what to do with it.
        what: String,
    },
}

impl HeaderFileError {
    fn of(fault: EntryError, path: &Path) -> HeaderFileError {
        let path = path.to_owned();
        match fault {
            EntryError::Io(source) => Self::Io { path, source },
            EntryError::Content { place, what } => Self::Content { path, place, what },
        }
    }
}

/// A file whose headers are read one by one.
pub(crate) struct HeaderFile {
    path: PathBuf,
    bytes_read: Arc<AtomicU64>,
    size: Option<u64>,
    unit: &'static str,
    headers: FileEntries,
}

impl HeaderFile {
    /// Opens a file, or standard input for `-`, and skips its first `skip` bytes.
    ///
    /// # Errors
    /// The file cannot be opened or read, or does not start with headers that can be read.
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

    /// Reads headers from a stream after its first `skip` bytes. Errors name the stream as `path`.
    pub(super) fn of_stream(
        path: &Path,
        format: FileFormat,
        source: impl Read + Send + 'static,
        size: Option<u64>,
        skip: u64,
    ) -> Result<Self, HeaderFileError> {
        let io = |source| HeaderFileError::Io { path: path.to_owned(), source };
        let bytes_read = Arc::new(AtomicU64::new(0));
        let mut source = CountingReader { source, bytes_read: Arc::clone(&bytes_read) };
        let skipped = io::copy(&mut { (&mut source).take(skip) }, &mut io::sink()).map_err(io)?;
        let mut start = Vec::with_capacity(DETECT_BYTES);
        { (&mut source).take(DETECT_BYTES as u64) }.read_to_end(&mut start).map_err(io)?;
        let detected = detect(&start, format, skipped);
        if matches!(detected, Detected::Format(FileFormat::Hex)) && start.starts_with(BOM) {
            start.drain(..BOM.len());
        }
        let source = io::Cursor::new(start).chain(source);
        let mut source = BufReader::with_capacity(1 << 16, source);
        let unit = match detected {
            Detected::Format(FileFormat::Hex | FileFormat::Csv | FileFormat::Jsonl) => "line",
            _ => "header",
        };
        let headers: FileEntries = match detected {
            Detected::Format(FileFormat::Hex) => Box::new(hex_headers(source)),
            Detected::Format(FileFormat::Csv) => csv_headers(source),
            Detected::Format(FileFormat::Jsonl) => jsonl_headers(source),
            Detected::Format(_) => bin_headers(source),
            Detected::Zeros => {
                let what = describe_zeros(&mut source, skipped).map_err(io)?;
                return Err(HeaderFileError::Other { path: path.to_owned(), what });
            }
            Detected::Other(what) => {
                return Err(HeaderFileError::Other { path: path.to_owned(), what });
            }
        };
        let headers = read_ahead(headers).map_err(io)?;
        Ok(Self { path: path.to_owned(), bytes_read, size, unit, headers })
    }

    /// Returns what [`HeaderEntry::line`] counts: `line` or `header`.
    pub(crate) fn unit(&self) -> &'static str {
        self.unit
    }

    /// Returns the number of bytes read so far, including skipped bytes and those read ahead.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Returns the size of the file in bytes, if it is known.
    pub(crate) fn size(&self) -> Option<u64> {
        self.size
    }

    /// Returns the next header, or `None` at the end.
    ///
    /// # Errors
    /// The next header cannot be read, or is not valid.
    pub(crate) fn next_header(&mut self) -> Result<Option<HeaderEntry>, HeaderFileError> {
        self.headers.next().transpose().map_err(|fault| HeaderFileError::of(fault, &self.path))
    }
}

/// Reads a little ahead on a thread of its own, which ends at the end of the file, at the first error, or when the
/// headers are dropped.
fn read_ahead(mut headers: FileEntries) -> io::Result<FileEntries> {
    let (sender, batches) = sync_channel(MAX_AHEAD);
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
    // The channel also closes when the thread panics. A panic must not look like the end of the file, so it is resumed.
    let end = std::iter::from_fn(move || match thread.take().map(JoinHandle::join)? {
        Ok(()) => None,
        Err(panic) => resume_unwind(panic),
    });
    Ok(Box::new(batches.into_iter().flatten().chain(end)))
}

/// Reads raw headers of 80 bytes.
fn bin_headers(mut source: impl BufRead + Send + 'static) -> FileEntries {
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
            return Some(Err(EntryError::Content {
                place: format!("header {number}"),
                what: format!(
                    "expected {HEADER_LEN} bytes, got {filled}: {size} bytes are not a multiple of \
                    {HEADER_LEN}, the file is cut short"
                ),
            }));
        }
        Some(Ok(HeaderEntry::of(Header::decode(&bytes), number)))
    }))
}

/// Describes a file that begins with zeros. If anything else follows, says how to import the file.
fn describe_zeros(source: &mut impl BufRead, skipped: u64) -> io::Result<String> {
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
    // A header begins with at most 3 zeros, since its version is not 0. So rounding down to a multiple of 80 bytes
    // finds the start of the first header.
    let header_len = HEADER_LEN as u64;
    let (headers, at) = ((skipped + zeros) / header_len, skipped + zeros / header_len * header_len);
    Ok(format!(
        "zeros up to height {} (a sparse file, as Electrum keeps it below its checkpoint): headers start \
        at byte {at}, height {headers}: sync or import the headers below, then import with --skip {at}",
        headers.saturating_sub(1)
    ))
}

/// Counts the bytes that are read.
struct CountingReader<R> {
    source: R,
    bytes_read: Arc<AtomicU64>,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
