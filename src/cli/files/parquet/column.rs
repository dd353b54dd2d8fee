//! Columns by their names, and their values as rows.

use super::page::{Pages, Source, fault};
use super::schema::{Meaning, Schema};
use parquet::basic::Type;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::file::metadata::RowGroupMetaData;
use parquet::schema::types::ColumnDescPtr;

/// Longest text in bytes that is looked at: a hash takes 64.
const MAX_TEXT: usize = 128;

/// What a column is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Time,
}

/// A column of the file that headers are made from.
#[derive(Clone, Debug)]
pub(super) struct Column {
    name: &'static str,
    index: usize,
    description: ColumnDescPtr,
    form: Form,
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Int32 {
        signed: bool,
    },
    /// In so many parts of one.
    Int64 {
        parts: i64,
    },
}

impl Column {
    /// The column of a name; `None` where there is none.
    ///
    /// # Errors
    /// It holds something else.
    pub(super) fn find(
        schema: &Schema,
        name: &'static str,
        kind: Kind,
    ) -> std::result::Result<Option<Self>, String> {
        let mut leaves = schema.leaves.iter();
        let Some(index) = leaves.position(|leaf| leaf.name.as_deref() == Some(name)) else {
            return Ok(None);
        };
        let (description, meaning) =
            (schema.descriptor.column(index), schema.leaves[index].meaning);
        let form = form(kind, description.physical_type(), meaning);
        let form = form.filter(|_| description.max_rep_level() == 0);
        let form = form.ok_or_else(|| {
            let expected = match kind {
                Kind::Text => "a string",
                Kind::Number => "whole numbers of 32 or 64 bits",
                Kind::Time => "a timestamp, or whole seconds",
            };
            format!("column {name}: expected {expected}, got {}", described(&description, meaning))
        })?;
        Ok(Some(Self { name, index, description, form }))
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Its values in a row group.
    ///
    /// # Errors
    /// They are not in the file, or of another number than the group's rows.
    pub(super) fn values(&self, source: Source, group: &RowGroupMetaData) -> Result<Values> {
        let chunk = group.column(self.index);
        if chunk.num_values() != group.num_rows() {
            return Err(fault(format!(
                "expected {} values, got {}",
                group.num_rows(),
                chunk.num_values()
            )));
        }
        let optional = self.description.max_def_level() > 0;
        let pages = Box::new(Pages::new(source, chunk, optional)?);
        let column = self.description.clone();
        Ok(match self.form {
            Form::Text => Values::Text(ColumnReaderImpl::new(column, pages)),
            Form::Int32 { signed } => Values::Int32(ColumnReaderImpl::new(column, pages), signed),
            Form::Int64 { parts } => Values::Int64(ColumnReaderImpl::new(column, pages), parts),
        })
    }
}

fn form(kind: Kind, physical: Type, meaning: Meaning) -> Option<Form> {
    match (kind, physical, meaning) {
        (Kind::Text, Type::BYTE_ARRAY, _) => Some(Form::Text),
        (Kind::Number | Kind::Time, Type::INT32, Meaning::Integer { signed }) => {
            Some(Form::Int32 { signed })
        }
        (Kind::Number | Kind::Time, Type::INT64, Meaning::Integer { .. }) => {
            Some(Form::Int64 { parts: 1 })
        }
        (Kind::Time, Type::INT64, Meaning::Timestamp { parts }) => Some(Form::Int64 { parts }),
        _ => None,
    }
}

fn described(description: &ColumnDescPtr, meaning: Meaning) -> String {
    let list = if description.max_rep_level() > 0 { "a list of " } else { "" };
    let what = match meaning {
        Meaning::Timestamp { .. } => " (a timestamp)",
        Meaning::Integer { .. } | Meaning::Other => "",
    };
    format!("{list}{}{what}", description.physical_type())
}

/// The values of a column in a row group, read from its start on.
pub(super) enum Values {
    Text(ColumnReaderImpl<ByteArrayType>),
    Int32(ColumnReaderImpl<Int32Type>, bool),
    Int64(ColumnReaderImpl<Int64Type>, i64),
}

/// A value of a row: `None` for null, the error says what else is wrong.
pub(super) type Cell<T> = std::result::Result<Option<T>, String>;

impl Values {
    /// The texts of the next rows; none where the column holds no texts.
    ///
    /// # Errors
    /// The column ends before, or cannot be decoded.
    pub(super) fn texts(&mut self, rows: usize) -> Result<Vec<Cell<String>>> {
        let Self::Text(reader) = self else { return Err(fault("it holds no texts".to_owned())) };
        let values = next_rows(reader, rows)?.into_iter().map(|value| {
            value.map(|value| match value.data() {
                bytes if bytes.len() > MAX_TEXT => {
                    Err(format!("expected hex digits, got {} bytes", bytes.len()))
                }
                bytes => std::str::from_utf8(bytes)
                    .map(str::to_owned)
                    .map_err(|_| "expected hex digits, got bytes that are no text".to_owned()),
            })
        });
        Ok(values.map(Option::transpose).collect())
    }

    /// The whole numbers of the next rows; times in seconds.
    ///
    /// # Errors
    /// As [`Values::texts`].
    pub(super) fn numbers(&mut self, rows: usize) -> Result<Vec<Cell<i64>>> {
        Ok(match self {
            Self::Text(_) => return Err(fault("it holds no numbers".to_owned())),
            Self::Int32(reader, signed) => {
                let wide = |value: i32| match signed {
                    true => i64::from(value),
                    false => i64::from(value.cast_unsigned()),
                };
                next_rows(reader, rows)?.into_iter().map(|value| Ok(value.map(wide))).collect()
            }
            Self::Int64(reader, parts) => {
                let parts = *parts;
                let whole = |value: i64| match value % parts {
                    0 => Ok(value / parts),
                    _ => Err(format!("expected whole seconds, got {value}/{parts}")),
                };
                let values = next_rows(reader, rows)?.into_iter();
                values.map(|value| value.map(whole).transpose()).collect()
            }
        })
    }
}

fn next_rows<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
) -> Result<Vec<Option<T::T>>> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let (records, _, _) = reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    if records != rows {
        return Err(fault(format!("it ends {} rows before its row group", rows - records)));
    }
    if levels.is_empty() {
        return Ok(values.into_iter().map(Some).collect());
    }
    let mut values = values.into_iter();
    Ok(levels.iter().map(|level| if *level > 0 { values.next() } else { None }).collect())
}
