//! The destination of an exported file.

use super::error::FileError;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;

/// The destination of an exported file: standard output, or a file that gets its name only when it is complete.
pub(crate) enum Sink<'a> {
    /// Standard output.
    Stdout(&'a mut (dyn Write + Send)),
    /// A pipe or device, which is written to directly.
    Special(BufWriter<File>, PathBuf),
    /// A regular file, which is written beside its final place.
    PartialFile(PartialFile),
}

/// An incomplete file. It is removed when dropped.
pub(crate) struct PartialFile {
    file: BufWriter<File>,
    path: PathBuf,
    target: PathBuf,
}

impl<'a> Sink<'a> {
    /// Opens the destination; `-` is standard output.
    ///
    /// # Errors
    /// The file cannot be created.
    pub(crate) fn create(
        path: &Path,
        stdout: &'a mut (dyn Write + Send),
    ) -> Result<Self, FileError> {
        let io = |source| FileError::Io { doing: "write", path: path.to_owned(), source };
        if path == Path::new("-") {
            return Ok(Self::Stdout(stdout));
        }
        // A symbolic link stays, and the file that it points to is replaced.
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
        Ok(Self::PartialFile(PartialFile { file, path: partial, target }))
    }

    /// Returns the error for a failed write.
    pub(crate) fn error(&self, source: io::Error) -> FileError {
        match self {
            Self::Stdout(_) => FileError::Output(source),
            Self::Special(_, path) => FileError::Io { doing: "write", path: path.clone(), source },
            Self::PartialFile(partial) => {
                FileError::Io { doing: "write", path: partial.target.clone(), source }
            }
        }
    }

    /// Syncs the complete file to disk, and gives it its name.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn finish(mut self) -> Result<(), FileError> {
        let finished = match &mut self {
            Self::Stdout(out) => out.flush(),
            Self::Special(file, _) => file.flush(),
            Self::PartialFile(partial) => partial.finish(),
        };
        finished.map_err(|error| self.error(error))
    }
}

impl PartialFile {
    fn finish(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.path, &self.target)
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // After the rename there is no file with this name, and the error is expected.
        let _ = fs::remove_file(&self.path);
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::Special(file, _) => file.write(bytes),
            Self::PartialFile(partial) => partial.file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::Special(file, _) => file.flush(),
            Self::PartialFile(partial) => partial.file.flush(),
        }
    }
}
