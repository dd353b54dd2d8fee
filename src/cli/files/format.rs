//! Which form a file has.

use crate::cli::CliError;
use std::path::Path;

#[cfg(feature = "parquet")]
const NAMES: &str = "bin, csv, jsonl, parquet or hints";
#[cfg(not(feature = "parquet"))]
const NAMES: &str = "bin, csv, jsonl or hints";

/// Form of a file of headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileFormat {
    /// Raw headers of 80 bytes, nothing between them.
    Bin,
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
            Self::Csv | Self::Jsonl | Self::Hints => false,
            #[cfg(feature = "parquet")]
            Self::Parquet => true,
        }
    }

    fn by_name(name: &str) -> Result<Option<Self>, CliError> {
        match name.to_ascii_lowercase().as_str() {
            "bin" => Ok(Some(Self::Bin)),
            "csv" => Ok(Some(Self::Csv)),
            "jsonl" | "ndjson" => Ok(Some(Self::Jsonl)),
            "hints" => Ok(Some(Self::Hints)),
            #[cfg(feature = "parquet")]
            "parquet" => Ok(Some(Self::Parquet)),
            #[cfg(not(feature = "parquet"))]
            "parquet" => Err(CliError::Usage(
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

/// The format said, or that of the file's extension.
///
/// # Errors
/// Neither says.
pub(crate) fn format_of(file: &Path, said: Option<FileFormat>) -> Result<FileFormat, CliError> {
    if let Some(format) = said {
        return Ok(format);
    }
    if file == Path::new("-") {
        return Err(CliError::Usage(format!(
            "standard input and output have no extension: say --format {NAMES}"
        )));
    }
    let extension = file.extension().map(|extension| extension.to_string_lossy());
    let known = extension.as_deref().map(FileFormat::by_name).transpose()?.flatten();
    known.ok_or_else(|| {
        CliError::Usage(format!(
            "{}: the extension is no format's: say --format {NAMES}",
            file.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::{FileFormat, format_of, parse_format};
    use std::path::Path;

    #[test]
    fn the_option_beats_the_extension() {
        let format = |file: &str, said| format_of(Path::new(file), said).ok();
        assert_eq!(format("a.bin", None), Some(FileFormat::Bin));
        assert_eq!(format("a.CSV", None), Some(FileFormat::Csv));
        assert_eq!(format("a.bin", Some(FileFormat::Jsonl)), Some(FileFormat::Jsonl));
        assert_eq!(format("-", Some(FileFormat::Bin)), Some(FileFormat::Bin));
        assert_eq!(format("-", None), None);
        assert_eq!(format("a", None), None);
    }

    #[test]
    fn every_name_is_understood() {
        for format in [FileFormat::Bin, FileFormat::Csv, FileFormat::Jsonl, FileFormat::Hints] {
            assert_eq!(parse_format(format.name()), Ok(format));
        }
    }

    #[test]
    #[cfg(feature = "parquet")]
    fn parquet_is_known_where_it_is_built_in() {
        let format = format_of(Path::new("a.parquet"), None).ok();
        assert_eq!(format, Some(FileFormat::Parquet));
        assert_eq!(parse_format("Parquet"), Ok(FileFormat::Parquet));
        assert_eq!(FileFormat::Parquet.name(), "parquet");
    }

    #[test]
    #[cfg(not(feature = "parquet"))]
    fn parquet_says_how_to_get_it_where_it_is_not_built_in() {
        let said = format_of(Path::new("a.parquet"), None).unwrap_err().to_string();
        assert!(said.contains("cargo install --path . --features parquet"), "{said}");
        assert_eq!(parse_format("parquet"), Err(said));
    }
}
