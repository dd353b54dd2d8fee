//! The destination of an exported file.

use super::error::FileError;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process;

/// How many symbolic links are followed to an open file: as many as Linux follows (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// The destination of an exported file: standard output, a file that is written to directly, or a file that gets its
/// name only when it is complete.
pub(crate) enum Sink<'a> {
    /// Standard output.
    Stdout(&'a mut (dyn Write + Send)),
    /// A pipe, a device or an open file, which is written to directly.
    Special(BufWriter<File>, PathBuf),
    /// A regular file, which is written under another name in the same folder, and renamed when it is complete.
    PartialFile(PartialFile),
}

/// An incomplete file under its temporary name. Dropping the value removes that file.
pub(crate) struct PartialFile {
    file: BufWriter<File>,
    path: PathBuf,
    target: PathBuf,
}

impl<'a> Sink<'a> {
    /// Opens the destination, which is standard output if [`is_stdout`] says so.
    ///
    /// # Errors
    /// The file cannot be created or opened.
    pub(crate) fn create(
        path: &Path,
        stdout: &'a mut (dyn Write + Send),
    ) -> Result<Self, FileError> {
        let io = |source| FileError::Io { doing: "write", path: path.to_owned(), source };
        if is_stdout(path) {
            return Ok(Self::Stdout(stdout));
        }
        if let Some(opened) = opened_file(path) {
            return Ok(Self::Special(BufWriter::new(reopen(&opened).map_err(io)?), opened));
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

    /// Writes `bytes` as the whole file.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn write_whole(mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.write_all(bytes).map_err(|error| self.error(error))?;
        self.finish()
    }

    /// Completes the file. A regular file is synced to disk and gets its final name.
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

/// Returns whether the path names standard output: `-`, `/dev/stdout` or another name of file descriptor 1.
pub(crate) fn is_stdout(path: &Path) -> bool {
    path == Path::new("-") || opened_file(path).is_some_and(|opened| is_descriptor(&opened, "1"))
}

/// Returns whether writing to the path replaces a file.
pub(crate) fn replaces_file(path: &Path) -> bool {
    !is_stdout(path) && path.is_file() && opened_file(path).is_none()
}

/// Follows symbolic links to a file descriptor: `/dev/stderr` and `/dev/fd/2` to `/proc/PID/fd/2`. Returns `None` for
/// the path of any other file.
///
/// The descriptor can belong to a regular file, as in `> log`. Replacing that file would lose what other processes have
/// written to it, and the descriptor would still belong to the old file.
fn opened_file(path: &Path) -> Option<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = fs::canonicalize(parent.unwrap_or(Path::new("."))).ok()?;
        path = folder.join(path.file_name()?);
        if folder.ends_with("fd") && ["/dev", "/proc"].iter().any(|root| folder.starts_with(root)) {
            return Some(path);
        }
        path = folder.join(fs::read_link(&path).ok()?);
    }
    None
}

/// Returns whether the path is that of file descriptor `number` of this process.
fn is_descriptor(path: &Path, number: &str) -> bool {
    fs::canonicalize("/dev/fd").is_ok_and(|folder| path == folder.join(number))
}

/// Opens a file by the path of its descriptor, to write at its end.
fn reopen(path: &Path) -> io::Result<File> {
    if is_descriptor(path, "2") {
        // The duplicate shares its position in the file with standard error, which log messages are written to.
        return Ok(io::stderr().as_fd().try_clone_to_owned()?.into());
    }
    File::options().append(true).open(path)
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
        // After the rename, there is no file with the temporary name, and the error is expected.
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
