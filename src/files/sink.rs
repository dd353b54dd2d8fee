//! Where an exported file goes.

use super::error::FileError;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;

/// A file that bears its name only once it is whole; or standard output.
pub(crate) enum Sink<'a> {
    /// Standard output.
    Stdout(&'a mut (dyn Write + Send)),
    /// A pipe or device: written as it is.
    Special(BufWriter<File>, PathBuf),
    /// A file beside its final place.
    Partial(Partial),
}

/// A file that is not whole yet; removed when dropped.
pub(crate) struct Partial {
    file: BufWriter<File>,
    partial: PathBuf,
    target: PathBuf,
}

impl<'a> Sink<'a> {
    /// The place for a file; `-` is standard output.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(crate) fn create(
        path: &Path,
        stdout: &'a mut (dyn Write + Send),
    ) -> Result<Self, FileError> {
        let io = |source| FileError::Io { doing: "write", path: path.to_owned(), source };
        if path == Path::new("-") {
            return Ok(Self::Stdout(stdout));
        }
        // The file behind a link is replaced, not the link.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        match fs::metadata(&target) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(io(io::Error::from(io::ErrorKind::IsADirectory)));
            }
            Ok(metadata) if !metadata.is_file() => {
                let file = File::options().write(true).open(&target).map_err(io)?;
                return Ok(Self::Special(BufWriter::new(file), target));
            }
            _ => {}
        }
        let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let partial = target.with_file_name(format!(".{name}.{}.partial", process::id()));
        let file = BufWriter::with_capacity(1 << 16, File::create(&partial).map_err(io)?);
        Ok(Self::Partial(Partial { file, partial, target }))
    }

    /// What a failure to write is called.
    pub(crate) fn error(&self, source: io::Error) -> FileError {
        match self {
            Self::Stdout(_) => FileError::Output(source),
            Self::Special(_, path) => FileError::Io { doing: "write", path: path.clone(), source },
            Self::Partial(partial) => {
                FileError::Io { doing: "write", path: partial.target.clone(), source }
            }
        }
    }

    /// Gives the whole file its name, durably.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn finish(mut self) -> Result<(), FileError> {
        let finished = match &mut self {
            Self::Stdout(out) => out.flush(),
            Self::Special(file, _) => file.flush(),
            Self::Partial(partial) => partial.finish(),
        };
        finished.map_err(|error| self.error(error))
    }
}

impl Partial {
    fn finish(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.partial, &self.target)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the rename there is nothing under this name any more.
        let _ = fs::remove_file(&self.partial);
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::Special(file, _) => file.write(bytes),
            Self::Partial(partial) => partial.file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::Special(file, _) => file.flush(),
            Self::Partial(partial) => partial.file.flush(),
        }
    }
}
