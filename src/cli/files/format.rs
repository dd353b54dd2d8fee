//! Which form a file has.

use crate::cli::CliError;
use std::path::Path;

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
}

impl FileFormat {
    /// Its name in options and output.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bin => "bin",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Hints => "hints",
        }
    }

    fn by_name(name: &str) -> Result<Option<Self>, CliError> {
        match name.to_ascii_lowercase().as_str() {
            "bin" => Ok(Some(Self::Bin)),
            "csv" => Ok(Some(Self::Csv)),
            "jsonl" | "ndjson" => Ok(Some(Self::Jsonl)),
            "hints" => Ok(Some(Self::Hints)),
            "parquet" => Err(CliError::Usage(
                "Parquet is not supported yet: use --format csv or jsonl".to_owned(),
            )),
            _ => Ok(None),
        }
    }
}

/// Understands a format on the command line.
pub(crate) fn parse_format(name: &str) -> Result<FileFormat, String> {
    match FileFormat::by_name(name) {
        Ok(Some(format)) => Ok(format),
        Ok(None) => Err("expected bin, csv, jsonl or hints".to_owned()),
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
        return Err(CliError::Usage(
            "standard input and output have no extension: say --format bin, csv, jsonl or hints"
                .to_owned(),
        ));
    }
    let extension = file.extension().map(|extension| extension.to_string_lossy());
    let known = extension.as_deref().map(FileFormat::by_name).transpose()?.flatten();
    known.ok_or_else(|| {
        CliError::Usage(format!(
            "{}: the extension is none of .bin, .csv, .jsonl and .hints: say --format",
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
        assert_eq!(format("a.parquet", None), None);
    }

    #[test]
    fn every_name_is_understood() {
        for format in [FileFormat::Bin, FileFormat::Csv, FileFormat::Jsonl, FileFormat::Hints] {
            assert_eq!(parse_format(format.name()), Ok(format));
        }
        assert!(parse_format("parquet").unwrap_err().contains("not supported yet"));
    }
}
