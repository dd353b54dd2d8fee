//! Which form a file has.

use super::error::FileError;
use super::hex::is_hex;
use clap::builder::{PossibleValue, StringValueParser, TypedValueParser, ValueParserFactory};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;

#[cfg(feature = "parquet")]
const NAMES: &str = "bin, hex, csv, jsonl, parquet or hints";
#[cfg(not(feature = "parquet"))]
const NAMES: &str = "bin, hex, csv, jsonl or hints";

/// Forms that headers can be read from.
const READ_NAMES: &str = "bin, hex, csv or jsonl";

/// What is to be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Headers are written to it.
    Export,
    /// Headers are read from it.
    Import,
}

/// Form of a file of headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileFormat {
    /// Raw headers of 80 bytes, nothing between them.
    Bin,
    /// The raw headers in hex digits, one on each line.
    Hex,
    /// A table with a line of names, the keys of getblockheader.
    Csv,
    /// The JSON object of query on each line.
    Jsonl,
    /// Lines `HEIGHT HASH`, one for the last header of each period.
    Hints,
    /// A table in columns.
    #[cfg(feature = "parquet")]
    Parquet,
}

impl FileFormat {
    /// Its name in options and output.
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

    /// Whether it is bytes that no terminal can show.
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

/// Understands a format on the command line.
pub(crate) fn parse_format(name: &str) -> Result<FileFormat, String> {
    match FileFormat::by_name(name) {
        Ok(Some(format)) => Ok(format),
        Ok(None) => Err(format!("expected {NAMES}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Understands a format as [`parse_format`] does, and names the formats to shells that complete a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FormatParser;

impl TypedValueParser for FormatParser {
    type Value = FileFormat;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<FileFormat, clap::Error> {
        let parser = StringValueParser::new().try_map(|name| parse_format(&name));
        parser.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let names = NAMES.split([',', ' ']).filter(|name| !name.is_empty() && *name != "or");
        Some(Box::new(names.map(PossibleValue::new)))
    }
}

impl ValueParserFactory for FileFormat {
    type Parser = FormatParser;

    fn value_parser() -> FormatParser {
        FormatParser
    }
}

/// The file and its format: said by an option, by a word before the file (`csv FILE`), or by the file's extension.
///
/// # Errors
/// Nothing says it, or the word is none.
pub(crate) fn resolve<'a>(
    word: Option<&str>,
    file: &'a Path,
    said: Option<FileFormat>,
    purpose: Purpose,
) -> Result<(&'a Path, FileFormat), FileError> {
    let command = match purpose {
        Purpose::Export => "export",
        Purpose::Import => "import",
    };
    let word = word.map(|word| {
        parse_format(word).map_err(|_| {
            FileError::Usage(format!("{command} takes one file: {word:?} is no format before it"))
        })
    });
    let said = word.transpose()?.or(said);
    if said.is_none() && parse_format(&file.to_string_lossy()).is_ok() {
        let name = file.display();
        return Err(FileError::Usage(format!(
            "no file is named: lightclient {command} {name} FILE"
        )));
    }
    Ok((file, format_of(file, said, purpose)?))
}

fn format_of(
    file: &Path,
    said: Option<FileFormat>,
    purpose: Purpose,
) -> Result<FileFormat, FileError> {
    if let Some(format) = said {
        return Ok(format);
    }
    let names = match purpose {
        Purpose::Export => NAMES,
        Purpose::Import => READ_NAMES,
    };
    if file == Path::new("-") {
        return Err(FileError::Usage(format!(
            "standard input and output have no extension: use --format {names}"
        )));
    }
    let extension = file.extension().map(|extension| extension.to_string_lossy());
    let mut known = extension.as_deref().map(FileFormat::by_name).transpose()?.flatten();
    if known.is_none() && purpose == Purpose::Import && holds_hex(file) {
        known = Some(FileFormat::Hex);
    }
    known.ok_or_else(|| {
        FileError::Usage(format!(
            "{}: cannot tell the format from the extension: use --format {names}",
            file.display()
        ))
    })
}

/// Whether a file begins with a header in hex digits; not asked of pipes, whose bytes would be gone.
fn holds_hex(path: &Path) -> bool {
    let mut start = Vec::new();
    path.is_file()
        && File::open(path)
            .and_then(|file| file.take(1024).read_to_end(&mut start))
            .is_ok_and(|_| is_hex(&start))
}

#[cfg(test)]
mod tests {
    use super::{FileFormat, Purpose, format_of, parse_format, resolve};
    use std::path::Path;

    #[test]
    fn the_option_beats_the_extension() {
        let format = |file: &str, said| format_of(Path::new(file), said, Purpose::Export).ok();
        assert_eq!(format("a.bin", None), Some(FileFormat::Bin));
        assert_eq!(format("a.CSV", None), Some(FileFormat::Csv));
        assert_eq!(format("a.bin", Some(FileFormat::Jsonl)), Some(FileFormat::Jsonl));
        assert_eq!(format("-", Some(FileFormat::Bin)), Some(FileFormat::Bin));
        assert_eq!(format("-", None), None);
        assert_eq!(format("a", None), None);
    }

    #[test]
    fn a_word_before_the_file_says_its_format() {
        let format = |word, file: &str| {
            resolve(word, Path::new(file), None, Purpose::Import).map(|(_, format)| format)
        };
        assert_eq!(format(Some("csv"), "a").unwrap(), FileFormat::Csv);
        assert_eq!(format(None, "a.csv").unwrap(), FileFormat::Csv);
        let said = |word, file| format(word, file).unwrap_err().to_string();
        assert!(said(Some("a.csv"), "b.csv").contains("takes one file: \"a.csv\" is no format"));
        assert!(said(None, "csv").contains("no file is named: lightclient import csv FILE"));
        assert!(said(None, "-").ends_with("use --format bin, hex, csv or jsonl"));
        assert!(!said(None, "a.txt").contains("hints"));
    }

    #[test]
    fn every_name_is_understood() {
        for format in [
            FileFormat::Bin,
            FileFormat::Hex,
            FileFormat::Csv,
            FileFormat::Jsonl,
            FileFormat::Hints,
        ] {
            assert_eq!(parse_format(format.name()), Ok(format));
        }
    }

    #[test]
    #[cfg(feature = "parquet")]
    fn parquet_is_known_where_it_is_built_in() {
        let format = format_of(Path::new("a.parquet"), None, Purpose::Export).ok();
        assert_eq!(format, Some(FileFormat::Parquet));
        assert_eq!(parse_format("Parquet"), Ok(FileFormat::Parquet));
        assert_eq!(FileFormat::Parquet.name(), "parquet");
    }

    #[test]
    #[cfg(not(feature = "parquet"))]
    fn parquet_says_how_to_get_it_where_it_is_not_built_in() {
        let said =
            format_of(Path::new("a.parquet"), None, Purpose::Export).unwrap_err().to_string();
        assert!(said.contains("cargo install --path . --features parquet"), "{said}");
        assert_eq!(parse_format("parquet"), Err(said));
    }
}
