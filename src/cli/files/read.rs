//! Reading headers from a file.

use super::format::FileFormat;
use super::record::Record;
use crate::cli::error::advice;
use crate::primitives::{HEADER_LEN, Header};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, stdin};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest line of a JSON Lines file in bytes: four times what `export` writes.
const MAX_LINE: u64 = 4096;

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
}

/// What ends reading, before it is known of which file.
#[derive(Debug)]
pub(super) enum Fault {
    Io(io::Error),
    Content { place: String, what: String },
}

impl Fault {
    fn of(self, path: &Path) -> HeaderFileError {
        let path = path.to_owned();
        match self {
            Self::Io(source) => HeaderFileError::Io { path, source },
            Self::Content { place, what } => HeaderFileError::Content { path, place, what },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

type Headers = Box<dyn Iterator<Item = Result<Header, Fault>>>;

/// A file of headers, read one by one.
pub(crate) struct HeaderFile {
    path: PathBuf,
    read: Arc<AtomicU64>,
    size: Option<u64>,
    headers: Headers,
}

impl HeaderFile {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    /// It cannot be opened, or is not of a form whose beginning or end can be told.
    pub(crate) fn open(path: &Path, format: FileFormat) -> Result<Self, HeaderFileError> {
        let io = |source| HeaderFileError::Io { path: path.to_owned(), source };
        if path == Path::new("-") {
            return Ok(Self::of_stream(path, format, stdin(), None));
        }
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(io(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let size = metadata.is_file().then_some(metadata.len());
        Ok(Self::of_stream(path, format, file, size))
    }

    /// What is read from its beginning to its end.
    fn of_stream(
        path: &Path,
        format: FileFormat,
        source: impl Read + 'static,
        size: Option<u64>,
    ) -> Self {
        let read = Arc::new(AtomicU64::new(0));
        let counted = Counted { source, read: Arc::clone(&read) };
        let source = BufReader::with_capacity(1 << 16, counted);
        let headers: Headers = match format {
            FileFormat::Csv => csv_headers(source),
            FileFormat::Jsonl => jsonl_headers(source),
            _ => bin_headers(source),
        };
        Self { path: path.to_owned(), read, size, headers }
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
    pub(crate) fn next_header(&mut self) -> Result<Option<Header>, HeaderFileError> {
        self.headers.next().transpose().map_err(|fault| fault.of(&self.path))
    }
}

fn bin_headers(mut source: impl BufRead + 'static) -> Headers {
    let mut number = 0_u64;
    Box::new(std::iter::from_fn(move || {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        let record = (&mut source).take(HEADER_LEN as u64);
        if let Err(error) = { record }.read_to_end(&mut bytes) {
            return Some(Err(error.into()));
        }
        if bytes.is_empty() {
            return None;
        }
        number += 1;
        Some(bytes.as_slice().try_into().map(Header::decode).map_err(|_| Fault::Content {
            place: format!("header {number}"),
            what: format!(
                "expected {HEADER_LEN} bytes, got {}: the file is cut short",
                bytes.len()
            ),
        }))
    }))
}

fn jsonl_headers(mut source: impl BufRead + 'static) -> Headers {
    let mut number = 0_u64;
    Box::new(std::iter::from_fn(move || {
        loop {
            let mut line = Vec::new();
            let bounded = (&mut source).take(MAX_LINE);
            match { bounded }.read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Err(error) => return Some(Err(error.into())),
                Ok(_) => number += 1,
            }
            if !line.trim_ascii().is_empty() {
                let record = serde_json::from_slice::<Record>(&line);
                let header = record.map_err(|error| json_fault(&error)).and_then(|r| r.header());
                return Some(header.map_err(|what| in_line(number, what)));
            }
        }
    }))
}

/// The parser's words without its own count of lines: it is given one at a time.
fn json_fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    format!("{what}, at column {}", error.column())
}

fn csv_headers(source: impl Read + 'static) -> Headers {
    let mut records = csv::Reader::from_reader(source).into_deserialize::<Record>();
    Box::new(std::iter::from_fn(move || {
        let record = records.next()?;
        let line = records.reader().position().line();
        Some(record.map_err(|error| csv_fault(error, line)).and_then(|record| {
            record.header().map_err(|what| in_line(line.saturating_sub(1), what))
        }))
    }))
}

fn csv_fault(error: csv::Error, line: u64) -> Fault {
    let line = error.position().map_or(line, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(error) => Fault::Io(error),
        csv::ErrorKind::Deserialize { err, .. } => in_line(line, err.kind().to_string()),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            in_line(line, format!("expected {expected_len} columns, got {len}"))
        }
        _ => in_line(line, "this is no CSV".to_owned()),
    }
}

fn in_line(number: u64, what: String) -> Fault {
    Fault::Content { place: format!("line {number}"), what }
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
