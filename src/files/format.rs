//! The formats of header files, and the choice of a file's format.

use super::error::FileError;
use super::hex::is_hex;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

#[cfg(feature = "parquet")]
const NAMES: &str = "bin, hex, csv, jsonl, parquet or hints";
#[cfg(not(feature = "parquet"))]
const NAMES: &str = "bin, hex, csv, jsonl or hints";

/// The names of the formats that headers can be read from.
const READ_NAMES: &str = "bin, hex, csv or jsonl";

/// What a file is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FilePurpose {
    /// Headers are written to it.
    Export,
    /// Headers are read from it.
    Import,
}

/// The format of a file of headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileFormat {
    /// Raw headers of 80 bytes each, with nothing between them.
    Bin,
    /// The raw headers in hex digits, one per line. A file to import may have other white space between the digits.
    Hex,
    /// A table. Its first line has the names of the columns, which are keys of `getblockheader`.
    Csv,
    /// One JSON object per line, as `query --json` prints it.
    Jsonl,
    /// Lines `HEIGHT HASH`, one for the last header of each retarget period.
    Hints,
    /// An Apache Parquet table, which is stored column by column.
    #[cfg(feature = "parquet")]
    Parquet,
}

impl FileFormat {
    /// All formats that are built in.
    pub(crate) const ALL: &[Self] = &[
        Self::Bin,
        Self::Hex,
        Self::Csv,
        Self::Jsonl,
        #[cfg(feature = "parquet")]
        Self::Parquet,
        Self::Hints,
    ];

    /// Returns the name of the format in options and output.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bin => "bin",
            Self::Hex => "hex",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Hints => "hints",
            #[cfg(feature = "parquet")]
            Self::Parquet => "parquet",
        }
    }

    /// Returns whether the format is binary, so that a terminal cannot show it.
    pub(crate) fn is_binary(self) -> bool {
        match self {
            Self::Bin => true,
            Self::Hex | Self::Csv | Self::Jsonl | Self::Hints => false,
            #[cfg(feature = "parquet")]
            Self::Parquet => true,
        }
    }

    fn by_name(name: &str) -> Result<Option<Self>, FileError> {
        match name.to_ascii_lowercase().as_str() {
            "bin" => Ok(Some(Self::Bin)),
            "hex" => Ok(Some(Self::Hex)),
            "csv" => Ok(Some(Self::Csv)),
            "jsonl" | "ndjson" => Ok(Some(Self::Jsonl)),
            "hints" => Ok(Some(Self::Hints)),
            #[cfg(feature = "parquet")]
            "parquet" => Ok(Some(Self::Parquet)),
            #[cfg(not(feature = "parquet"))]
            "parquet" => Err(FileError::Usage(
                "this program was built without Parquet: build it with `cargo install --path . \
                --features parquet`, or use --format csv or jsonl"
                    .to_owned(),
            )),
            _ => Ok(None),
        }
    }
}

impl FromStr for FileFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match Self::by_name(name) {
            Ok(Some(format)) => Ok(format),
            Ok(None) => Err(format!("expected {NAMES}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Returns the file and its format. The format comes from the word before the file (`csv FILE`), or else from the
/// option, or else from the file itself.
///
/// # Errors
/// No file is named, or the format is missing or unknown.
pub(crate) fn resolve<'a>(
    word: Option<&str>,
    file: &'a Path,
    option: Option<FileFormat>,
    purpose: FilePurpose,
) -> Result<(&'a Path, FileFormat), FileError> {
    let command = match purpose {
        FilePurpose::Export => "export",
        FilePurpose::Import => "import",
    };
    let word = word.map(|word| {
        word.parse().map_err(|_| {
            FileError::Usage(format!(
                "{command} takes one file, or a format and a file: {word:?} is no format"
            ))
        })
    });
    let named = word.transpose()?.or(option);
    if named.is_none() && file.to_string_lossy().parse::<FileFormat>().is_ok() {
        let name = file.display();
        return Err(FileError::Usage(format!(
            "no file is named: lightclient {command} {name} FILE"
        )));
    }
    Ok((file, format_of(file, named, purpose)?))
}

/// Returns the format that the option names, or else the file's extension, or else hex if a file to import starts with
/// a header in hex digits.
fn format_of(
    file: &Path,
    option: Option<FileFormat>,
    purpose: FilePurpose,
) -> Result<FileFormat, FileError> {
    if let Some(format) = option {
        return Ok(format);
    }
    let names = match purpose {
        FilePurpose::Export => NAMES,
        FilePurpose::Import => READ_NAMES,
    };
    if file == Path::new("-") {
        return Err(FileError::Usage(format!(
            "standard input and output have no extension: use --format {names}"
        )));
    }
    let extension = file.extension().map(|extension| extension.to_string_lossy());
    let mut known = extension.as_deref().map(FileFormat::by_name).transpose()?.flatten();
    if known.is_none() && purpose == FilePurpose::Import && starts_with_hex(file) {
        known = Some(FileFormat::Hex);
    }
    known.ok_or_else(|| {
        if let (FilePurpose::Import, Some(source)) = (purpose, unreadable(file)) {
            return FileError::Io { doing: "read", path: file.to_owned(), source };
        }
        FileError::Usage(format!(
            "{}: cannot tell the format from the extension: use --format {names}",
            file.display()
        ))
    })
}

/// Returns why a path is not a file that can be read.
fn unreadable(path: &Path) -> Option<io::Error> {
    match path.metadata() {
        Ok(found) if found.is_dir() => Some(io::ErrorKind::IsADirectory.into()),
        Ok(_) => None,
        Err(error) => Some(error),
    }
}

/// Returns whether a regular file begins with a header in hex digits. A pipe is not read, because the bytes read here
/// would be missing later.
fn starts_with_hex(path: &Path) -> bool {
    let mut start = Vec::new();
    path.is_file()
        && File::open(path)
            .and_then(|file| file.take(1024).read_to_end(&mut start))
            .is_ok_and(|_| is_hex(&start))
}

#[cfg(test)]
mod tests {
    use super::{FileFormat, FilePurpose, NAMES, format_of, resolve};
    use std::path::Path;

    #[test]
    fn the_option_beats_the_extension() {
        let format = |file: &str, said| format_of(Path::new(file), said, FilePurpose::Export).ok();
        assert_eq!(format("a.bin", None), Some(FileFormat::Bin));
        assert_eq!(format("a.CSV", None), Some(FileFormat::Csv));
        assert_eq!(format("a.bin", Some(FileFormat::Jsonl)), Some(FileFormat::Jsonl));
        assert_eq!(format("-", Some(FileFormat::Bin)), Some(FileFormat::Bin));
        assert_eq!(format("-", None), None);
        assert_eq!(format("a", None), None);
    }

    #[test]
    fn a_word_before_the_file_names_its_format() {
        let format = |word, file: &str| {
            resolve(word, Path::new(file), None, FilePurpose::Import).map(|(_, format)| format)
        };
        assert_eq!(format(Some("csv"), "a").unwrap(), FileFormat::Csv);
        assert_eq!(format(None, "a.csv").unwrap(), FileFormat::Csv);
        let said = |word, file| format(word, file).unwrap_err().to_string();
        assert!(said(Some("a.csv"), "b.csv").ends_with("a file: \"a.csv\" is no format"));
        assert!(said(None, "csv").contains("no file is named: lightclient import csv FILE"));
        assert!(said(None, "-").ends_with("use --format bin, hex, csv or jsonl"));
        assert!(!said(None, "a.txt").contains("hints"));
    }

    #[test]
    fn every_name_is_parsed() {
        for format in FileFormat::ALL {
            assert_eq!(format.name().parse(), Ok(*format));
            assert!(NAMES.contains(format.name()));
        }
    }

    #[test]
    #[cfg(feature = "parquet")]
    fn parquet_is_a_format_if_it_is_built_in() {
        let format = format_of(Path::new("a.parquet"), None, FilePurpose::Export).ok();
        assert_eq!(format, Some(FileFormat::Parquet));
        assert_eq!("Parquet".parse(), Ok(FileFormat::Parquet));
        assert_eq!(FileFormat::Parquet.name(), "parquet");
    }

    #[test]
    #[cfg(not(feature = "parquet"))]
    fn without_parquet_the_error_says_how_to_get_it() {
        let said =
            format_of(Path::new("a.parquet"), None, FilePurpose::Export).unwrap_err().to_string();
        assert!(said.contains("cargo install --path . --features parquet"), "{said}");
        assert_eq!("parquet".parse::<FileFormat>(), Err(said));
    }
}
