//! The schema of a file, as flat as headers need it.
//!
//! The `parquet` crate is given this one to parse the rest of the footer with. Its own parser of schemas
//! goes as deep as groups lie in one another and reserves room for as many children as they say.

use super::thrift::Fields;
use parquet::basic::{Repetition, Type};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type as SchemaType};
use std::sync::Arc;

/// Most elements of a schema, groups included.
const MAX_ELEMENTS: usize = 1000;

/// What the values of a column mean, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Integer {
        signed: bool,
    },
    /// A time in so many parts of a second.
    Timestamp {
        parts: i64,
    },
    Other,
}

/// A column: its name where it lies in no group, and what its values mean.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) name: Option<String>,
    pub(super) meaning: Meaning,
    kind: Type,
    repetition: Repetition,
    length: i32,
}

/// The columns, and what the `parquet` crate wants to know of them.
pub(super) struct Schema {
    pub(super) leaves: Vec<Leaf>,
    pub(super) descriptor: SchemaDescPtr,
}

impl Schema {
    /// Reads the schema at the start of a footer: `FileMetaData` of parquet.thrift, field 2.
    ///
    /// # Errors
    /// It is none, or has too many columns.
    pub(super) fn read(footer: &[u8]) -> Result<Self, String> {
        let fields = Fields::parse_up_to(footer, 2);
        let fields = fields.map_err(|what| format!("the schema: {what}"))?;
        let elements = fields.list(2).ok_or("the schema is missing")?;
        if elements.len() > MAX_ELEMENTS {
            let count = elements.len();
            return Err(format!("expected a schema of at most {MAX_ELEMENTS} parts, got {count}"));
        }
        let leaves = leaves(elements).ok_or("the schema contradicts itself")?;
        let types = leaves.iter().zip(0..).map(|(leaf, number)| {
            // Names only have to differ.
            let name = format!("c{number}");
            let column = SchemaType::primitive_type_builder(&name, leaf.kind);
            let column = column.with_repetition(leaf.repetition).with_length(leaf.length);
            column.build().map(Arc::new)
        });
        let root = types
            .collect::<Result<_, _>>()
            .and_then(|types| SchemaType::group_type_builder("headers").with_fields(types).build());
        let root = root.map_err(|error| format!("the schema: {error}"))?;
        Ok(Self { leaves, descriptor: Arc::new(SchemaDescriptor::new(Arc::new(root))) })
    }
}

/// The elements are a tree, depth first, each with the number of its children; the first is its root.
fn leaves(elements: &[Fields]) -> Option<Vec<Leaf>> {
    let children = |element: &Fields| element.int(5).filter(|count| *count != 0);
    let (root, elements) = elements.split_first()?;
    let (mut open, mut leaves) = (vec![children(root).unwrap_or_default()], Vec::new());
    for element in elements {
        while open.last() == Some(&0) {
            open.pop();
        }
        let level = open.len();
        *open.last_mut()? -= 1;
        match children(element) {
            Some(count) if count < 0 => return None,
            Some(count) => open.push(count),
            None => leaves.push(leaf(element, level == 1)?),
        }
    }
    open.iter().all(|left| *left == 0).then_some(leaves)
}

/// `SchemaElement` of parquet.thrift.
fn leaf(element: &Fields, outermost: bool) -> Option<Leaf> {
    let kind = match element.int(1)? {
        0 => Type::BOOLEAN,
        1 => Type::INT32,
        2 => Type::INT64,
        3 => Type::INT96,
        4 => Type::FLOAT,
        5 => Type::DOUBLE,
        6 => Type::BYTE_ARRAY,
        7 => Type::FIXED_LEN_BYTE_ARRAY,
        _ => return None,
    };
    let repetition = match element.int(3)? {
        0 => Repetition::REQUIRED,
        1 => Repetition::OPTIONAL,
        2 => Repetition::REPEATED,
        _ => return None,
    };
    let length = i32::try_from(element.int(2).unwrap_or(-1)).ok()?;
    let name = element.text(4).filter(|_| outermost).map(str::to_owned);
    Some(Leaf { name, meaning: meaning(element), kind, repetition, length })
}

/// By `LogicalType` of parquet.thrift, or the older `ConvertedType`.
fn meaning(element: &Fields) -> Meaning {
    if let Some(logical) = element.fields(10) {
        if let Some(integer) = logical.fields(10) {
            return Meaning::Integer { signed: integer.bool(2).unwrap_or(true) };
        }
        let unit = logical.fields(8).and_then(|timestamp| timestamp.fields(2));
        let units = [(1, 1_000), (2, 1_000_000), (3, 1_000_000_000)];
        let parts = unit.and_then(|unit| units.iter().find(|(id, _)| unit.fields(*id).is_some()));
        return parts.map_or(Meaning::Other, |(_, parts)| Meaning::Timestamp { parts: *parts });
    }
    match element.int(6) {
        None | Some(15..=18) => Meaning::Integer { signed: true },
        Some(11..=14) => Meaning::Integer { signed: false },
        Some(9) => Meaning::Timestamp { parts: 1_000 },
        Some(10) => Meaning::Timestamp { parts: 1_000_000 },
        Some(_) => Meaning::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::Schema;

    /// A footer's start: the version, and a list of elements with these numbers of children (0: a column).
    fn footer(children: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x15, 2, 0x19, 0xfc];
        let count = children.len();
        bytes.extend([
            u8::try_from(count & 0x7f).unwrap() | 0x80,
            u8::try_from(count >> 7).unwrap(),
        ]);
        for children in children {
            // Number of children, or kind and repetition; a name.
            match children {
                0 => bytes.extend([0x15, 2, 0x25, 0, 0x18, 1, b'a', 0]),
                count => bytes.extend([0x48, 1, b'g', 0x15, count << 1, 0]),
            }
        }
        bytes
    }

    #[test]
    fn columns_in_groups_are_counted_but_have_no_name() {
        let schema = Schema::read(&footer(&[3, 0, 2, 0, 0, 0])).unwrap();
        let names: Vec<_> = schema.leaves.iter().map(|leaf| leaf.name.as_deref()).collect();
        assert_eq!(names, [Some("a"), None, None, Some("a")]);
        assert_eq!(schema.descriptor.num_columns(), 4);
    }

    #[test]
    fn no_schema_takes_more_than_its_bytes() {
        for bad in [&[2, 0][..], &[1, 0, 0], &[63, 0], &[0, 0], &[1, 1, 1]] {
            assert!(Schema::read(&footer(bad)).is_err(), "{bad:?}");
        }
        let deep = [vec![1; 900], vec![0]].concat();
        assert_eq!(Schema::read(&footer(&deep)).unwrap().leaves.len(), 1);
        let deeper = [vec![1; 5000], vec![0]].concat();
        assert!(Schema::read(&footer(&deeper)).is_err());
        assert!(Schema::read(&[]).is_err());
        assert!(Schema::read(&[0x15, 2, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0xf]).is_err());
    }
}
