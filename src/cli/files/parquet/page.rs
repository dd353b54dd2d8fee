//! The pages of a column, found, bounded and decompressed.

use super::thrift::Fields;
use parquet::basic::{Compression, Encoding, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Largest page in bytes. Writers aim at 1 MiB; `DuckDB` puts a row group of 122,880 hashes, 8.4 MB, into one.
const MAX_PAGE: u64 = 16 << 20;

/// Largest dictionary in bytes, and in values: each takes some 40 bytes once decoded. Writers give up on
/// dictionaries at 1 to 2 MB.
const MAX_DICTIONARY: u64 = 4 << 20;
const MAX_DICTIONARY_VALUES: u32 = 1 << 17;

/// Most values of a page, nulls included: as many as rows of a row group.
const MAX_VALUES: u32 = 1 << 20;

/// Longest header of a page in bytes: that of a page of hashes with all its statistics takes 300.
const MAX_HEADER: u64 = 4096;

/// The file that pages are read from, and the count of bytes read.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) file: Arc<File>,
    pub(super) size: u64,
    pub(super) read: Arc<AtomicU64>,
}

impl Source {
    /// Reads bytes at a place; the caller bounds `length`.
    pub(super) fn bytes(&self, at: u64, length: u64) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    /// Counts bytes as read.
    pub(super) fn count(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Where the bytes of a column of a row group begin, and how many there are.
///
/// # Errors
/// They are not in the file.
pub(super) fn place(chunk: &ColumnChunkMetaData, size: u64) -> Result<(u64, u64)> {
    let first = chunk.dictionary_page_offset().filter(|offset| *offset > 0);
    let first = first.unwrap_or(i64::MAX).min(chunk.data_page_offset());
    let place = u64::try_from(first).ok().zip(u64::try_from(chunk.compressed_size()).ok());
    place.filter(|(at, length)| at.checked_add(*length).is_some_and(|end| end <= size)).ok_or_else(
        || {
            fault(format!(
                "{} bytes at {first} are not in the file of {size} bytes",
                chunk.compressed_size()
            ))
        },
    )
}

/// The pages of one column of one row group.
pub(super) struct Pages {
    source: Source,
    at: u64,
    left: u64,
    compression: Compression,
    texts: bool,
    optional: bool,
    begun: bool,
    has_dictionary: bool,
}

/// What a page's header says that every page has.
struct Head {
    kind: i64,
    compressed: u64,
    uncompressed: u64,
    fields: Fields,
}

impl Pages {
    /// The pages of a column; `optional` when it may hold nulls.
    ///
    /// # Errors
    /// It is not in the file, or its compression is none that is read.
    pub(super) fn new(source: Source, chunk: &ColumnChunkMetaData, optional: bool) -> Result<Self> {
        let compression = chunk.compression();
        if !matches!(
            compression,
            Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_)
        ) {
            let name = compression.to_string();
            let name = name.split('(').next().unwrap_or_default();
            return Err(fault(format!("{name} compression is not read: use zstd, snappy or none")));
        }
        let (at, left) = place(chunk, source.size)?;
        let (begun, has_dictionary) = (false, false);
        let texts = chunk.column_type() == Type::BYTE_ARRAY;
        Ok(Self { source, at, left, compression, texts, optional, begun, has_dictionary })
    }

    fn head(&mut self) -> Result<Head> {
        let bytes = self.source.bytes(self.at, self.left.min(MAX_HEADER))?;
        let (fields, length) =
            Fields::parse(&bytes).map_err(|what| fault(format!("a page's header: {what}")))?;
        let length = length as u64;
        self.at += length;
        self.left -= length;
        self.source.count(length);
        let size = |id| fields.int(id).and_then(|size| u64::try_from(size).ok());
        let (uncompressed, compressed) =
            size(2).zip(size(3)).ok_or_else(|| fault("a page's header has no sizes".to_owned()))?;
        if uncompressed.max(compressed) > MAX_PAGE || compressed > self.left {
            return Err(fault(format!(
                "a page of {uncompressed} bytes in {compressed}: expected at most {MAX_PAGE}, in the {} \
                 bytes left of the column",
                self.left
            )));
        }
        let kind = fields.int(1).unwrap_or(-1);
        Ok(Head { kind, compressed, uncompressed, fields })
    }

    fn next_page(&mut self) -> Result<Option<Page>> {
        if self.left == 0 {
            return Ok(None);
        }
        let head = self.head()?;
        let body = self.source.bytes(self.at, head.compressed)?;
        self.at += head.compressed;
        self.left -= head.compressed;
        self.source.count(head.compressed);
        let first = !std::mem::replace(&mut self.begun, true);
        // PageType of parquet.thrift: data, index, dictionary, data of the second version.
        let page = match head.kind {
            0 => self.data(&head, &body),
            2 if first => self.dictionary(&head, &body),
            3 => self.data_v2(&head, body),
            kind => Err(fault(format!("a page of kind {kind} where one of values belongs"))),
        };
        page.map(Some)
    }

    fn dictionary(&mut self, head: &Head, body: &[u8]) -> Result<Page> {
        let fields = head.fields.fields(7).ok_or_else(no_header)?;
        let num_values = unsigned(fields, 1)?;
        let most = MAX_DICTIONARY_VALUES;
        if head.uncompressed > MAX_DICTIONARY || num_values > most {
            return Err(fault(format!(
                "a dictionary of {num_values} values in {} bytes: expected at most {most} in \
                 {MAX_DICTIONARY}",
                head.uncompressed
            )));
        }
        // Both names of the plain encoding are in use for dictionaries.
        if !matches!(fields.int(2), Some(0 | 2)) {
            return Err(fault("a dictionary that is not encoded plainly".to_owned()));
        }
        let mut buf = self.decompressed(body, head.uncompressed)?;
        if self.texts {
            check_texts(&mut buf, 0, num_values, true)?;
        }
        self.has_dictionary = true;
        let buf = buf.into();
        Ok(Page::DictionaryPage { buf, num_values, encoding: Encoding::PLAIN, is_sorted: false })
    }

    fn data(&self, head: &Head, body: &[u8]) -> Result<Page> {
        let fields = head.fields.fields(5).ok_or_else(no_header)?;
        if self.optional && fields.int(3) != Some(3) {
            return Err(fault("levels of another encoding than RLE are not read".to_owned()));
        }
        let (num_values, encoding) = (values(fields, 1)?, self.encoding(fields.int(2))?);
        let mut buf = self.decompressed(body, head.uncompressed)?;
        if self.texts && encoding == Encoding::PLAIN {
            let start =
                if self.optional { 4 + length_at(&buf, 0).unwrap_or(usize::MAX - 4) } else { 0 };
            check_texts(&mut buf, start, num_values, !self.optional)?;
        }
        Ok(Page::DataPage {
            buf: buf.into(),
            num_values,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        })
    }

    fn data_v2(&self, head: &Head, mut body: Vec<u8>) -> Result<Page> {
        let fields = head.fields.fields(8).ok_or_else(no_header)?;
        let (num_values, num_nulls) = (values(fields, 1)?, unsigned(fields, 2)?);
        let encoding = self.encoding(fields.int(4))?;
        let (def_levels_byte_len, rep_levels_byte_len) =
            (unsigned(fields, 5)?, unsigned(fields, 6)?);
        let levels = u64::from(def_levels_byte_len);
        if rep_levels_byte_len != 0
            || levels > head.uncompressed.min(head.compressed)
            || num_nulls > num_values
        {
            return Err(fault("a page's header contradicts itself".to_owned()));
        }
        let start = usize::try_from(levels).unwrap_or(usize::MAX);
        if fields.bool(7).unwrap_or(true) {
            let values = body.split_off(start);
            body.extend(self.decompressed(&values, head.uncompressed - levels)?);
        }
        if self.texts && encoding == Encoding::PLAIN {
            check_texts(&mut body, start, num_values - num_nulls, true)?;
        }
        Ok(Page::DataPageV2 {
            buf: body.into(),
            num_values,
            encoding,
            num_nulls,
            num_rows: num_values,
            def_levels_byte_len,
            rep_levels_byte_len,
            is_compressed: false,
            statistics: None,
        })
    }

    /// Encoding of parquet.thrift: plain, or a dictionary by both of its names.
    fn encoding(&self, number: Option<i64>) -> Result<Encoding> {
        match number {
            Some(0) => Ok(Encoding::PLAIN),
            Some(2 | 8) if self.has_dictionary => Ok(Encoding::RLE_DICTIONARY),
            Some(2 | 8) => {
                Err(fault("no dictionary comes before the page that needs it".to_owned()))
            }
            other => Err(fault(format!(
                "encoding {} is not read: use plain or dictionary",
                other.unwrap_or(-1)
            ))),
        }
    }

    /// The bytes of a page, as many as its header says, which is bounded.
    fn decompressed(&self, body: &[u8], length: u64) -> Result<Vec<u8>> {
        let expected = usize::try_from(length).unwrap_or(usize::MAX);
        let bytes = match self.compression {
            Compression::ZSTD(_) if expected > 0 => zstd::bulk::decompress(body, expected)?,
            Compression::SNAPPY if expected > 0 => {
                let external = |error| ParquetError::External(Box::new(error));
                let said = snap::raw::decompress_len(body).map_err(external)?;
                if said != expected {
                    return Err(wrong_length(expected, said));
                }
                snap::raw::Decoder::new().decompress_vec(body).map_err(external)?
            }
            _ => body.to_vec(),
        };
        if bytes.len() == expected { Ok(bytes) } else { Err(wrong_length(expected, bytes.len())) }
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.next_page()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        Err(ParquetError::NYI("values are read, never skipped".to_owned()))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        Err(ParquetError::NYI("values are read, never skipped".to_owned()))
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_page().transpose()
    }
}

fn unsigned(fields: &Fields, id: i16) -> Result<u32> {
    let number = fields.int(id).and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| fault("a page's header lacks a count".to_owned()))
}

fn values(fields: &Fields, id: i16) -> Result<u32> {
    let count = unsigned(fields, id)?;
    if count > MAX_VALUES {
        return Err(fault(format!("expected a page of at most {MAX_VALUES} values, got {count}")));
    }
    Ok(count)
}

/// Makes sure that from `start` on are `count` texts, each after its length: the decoder panics where a
/// length is cut short. Where nulls make their number unknown, empty texts fill up what lacks: a page that
/// is as it should be has no use for them.
fn check_texts(bytes: &mut Vec<u8>, start: usize, count: u32, exact: bool) -> Result<()> {
    let (mut at, mut got) = (start, 0_u32);
    while at < bytes.len() && got < count {
        let length = length_at(bytes, at).ok_or_else(|| fault("a text is cut short".to_owned()))?;
        at = at.saturating_add(4).saturating_add(length);
        got += 1;
    }
    if at != bytes.len() || (exact && got != count) {
        return Err(fault(format!("expected {count} texts up to a page's end, got {got}")));
    }
    bytes.resize(bytes.len() + 4 * (count - got) as usize, 0);
    Ok(())
}

fn length_at(bytes: &[u8], at: usize) -> Option<usize> {
    let length = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*length)).ok()
}

fn no_header() -> ParquetError {
    fault("a page's header does not say what is in it".to_owned())
}

fn wrong_length(expected: usize, got: usize) -> ParquetError {
    fault(format!("a page decompresses to {got} bytes, not {expected} as its header says"))
}

pub(super) fn fault(what: String) -> ParquetError {
    ParquetError::General(what)
}

#[cfg(test)]
mod tests;
