//! As much of Thrift's compact protocol as page headers and schemas need.
//!
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>

/// How deep structs may lie in one another: footer, element of the schema, its type, timestamp, unit, which.
const MAX_DEPTH: u8 = 6;

/// Longest text in bytes that is kept: all names of ours are shorter.
const MAX_TEXT: usize = 64;

/// Most structs of a list.
const MAX_LIST: u64 = 4096;

/// A field's value; what nothing reads is passed over.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<Fields>),
    Struct(Fields),
    Passed,
}

/// The fields of a struct, by their numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<(i16, Value)>);

impl Fields {
    /// Parses the struct at the start of `bytes`, and says how many bytes it takes.
    ///
    /// # Errors
    /// It is cut short, or is none.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Self, usize), &'static str> {
        let mut input = Input { bytes, at: 0 };
        let fields = input.fields(MAX_DEPTH, i16::MAX)?;
        Ok((fields, input.at))
    }

    /// Parses the struct at the start of `bytes` up to the field of number `last`.
    ///
    /// # Errors
    /// As [`Fields::parse`].
    pub(super) fn parse_up_to(bytes: &[u8], last: i16) -> Result<Self, &'static str> {
        Input { bytes, at: 0 }.fields(MAX_DEPTH, last)
    }

    /// The whole number of a field.
    pub(super) fn int(&self, id: i16) -> Option<i64> {
        match self.get(id) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        }
    }

    /// The truth value of a field.
    pub(super) fn bool(&self, id: i16) -> Option<bool> {
        match self.get(id) {
            Some(Value::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    /// The text of a field, where it is a short one.
    pub(super) fn text(&self, id: i16) -> Option<&str> {
        match self.get(id) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The structs in the list of a field.
    pub(super) fn list(&self, id: i16) -> Option<&[Self]> {
        match self.get(id) {
            Some(Value::List(list)) => Some(list),
            _ => None,
        }
    }

    /// The struct of a field.
    pub(super) fn fields(&self, id: i16) -> Option<&Self> {
        match self.get(id) {
            Some(Value::Struct(fields)) => Some(fields),
            _ => None,
        }
    }

    fn get(&self, id: i16) -> Option<&Value> {
        self.0.iter().find(|(own, _)| *own == id).map(|(_, value)| value)
    }
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Input<'_> {
    fn fields(&mut self, depth: u8, up_to: i16) -> Result<Fields, &'static str> {
        let depth = depth.checked_sub(1).ok_or("structs lie too deep in one another")?;
        let (mut fields, mut last) = (Vec::new(), 0_i16);
        while last < up_to {
            let head = self.byte()?;
            if head == 0 {
                break;
            }
            let id = match head >> 4 {
                0 => i16::try_from(self.zigzag()?).ok(),
                more => last.checked_add(i16::from(more)),
            };
            // Ascending numbers: no field can come twice, and there are no more than bytes.
            last = id.filter(|id| *id > last).ok_or("its fields are out of order")?;
            fields.push((last, self.value(head & 0xf, depth)?));
        }
        Ok(Fields(fields))
    }

    fn value(&mut self, kind: u8, depth: u8) -> Result<Value, &'static str> {
        Ok(match kind {
            1 => Value::Bool(true),
            2 => Value::Bool(false),
            3 => Value::Int(i64::from(self.byte()?)),
            4..=6 => Value::Int(self.zigzag()?),
            7 => {
                self.pass(8)?;
                Value::Passed
            }
            8 => {
                let length = self.varint()?;
                let text = self.pass(usize::try_from(length).unwrap_or(usize::MAX))?;
                let short = Some(text).filter(|text| text.len() <= MAX_TEXT);
                let text = short.and_then(|text| std::str::from_utf8(text).ok());
                text.map_or(Value::Passed, |text| Value::Text(text.to_owned()))
            }
            9 => self.list(depth)?,
            12 => Value::Struct(self.fields(depth, i16::MAX)?),
            _ => return Err("it has a field of a kind that does not belong there"),
        })
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        let byte = self.bytes.get(self.at).copied().ok_or("it is cut short or too long")?;
        self.at += 1;
        Ok(byte)
    }

    fn list(&mut self, depth: u8) -> Result<Value, &'static str> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        if head & 0xf != 12 || count > MAX_LIST {
            return Err("it has a list that is too long or not of structs");
        }
        (0..count).map(|_| self.fields(depth, i16::MAX)).collect::<Result<_, _>>().map(Value::List)
    }

    fn pass(&mut self, count: usize) -> Result<&[u8], &'static str> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or("it is cut short or too long")?;
        Ok(&self.bytes[std::mem::replace(&mut self.at, end)..end])
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("it has a number of more than 64 bits")
    }

    fn zigzag(&mut self) -> Result<i64, &'static str> {
        let number = self.varint()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::Fields;
    use proptest::prelude::{any, proptest};

    /// A data page's header: kind 0, 300 and 200 bytes, and in field 5 its values (7), encoding (0) and text.
    const HEADER: [u8; 19] =
        [0x15, 0, 0x15, 0xd8, 4, 0x15, 0x90, 3, 0x2c, 0x15, 14, 0x15, 0, 0x18, 1, 65, 0x11, 0, 0];

    #[test]
    fn a_page_header_is_read_by_field_numbers() {
        let (fields, length) = Fields::parse(&HEADER).unwrap();
        assert_eq!(length, HEADER.len());
        assert_eq!([1, 2, 3, 4].map(|id| fields.int(id)), [Some(0), Some(300), Some(200), None]);
        let page = fields.fields(5).unwrap();
        assert_eq!((page.int(1), page.int(2), page.int(3)), (Some(7), Some(0), None));
        assert_eq!((page.bool(4), page.bool(1)), (Some(true), None));
    }

    #[test]
    fn what_is_cut_short_repeated_or_nested_without_end_is_refused() {
        for length in 0..HEADER.len() {
            assert!(Fields::parse(&HEADER[..length]).is_err(), "{length}");
        }
        // Field 2 once more, by its full number.
        assert!(Fields::parse(&[0x15, 0, 0x15, 2, 0x05, 4, 2, 0]).is_err());
        assert!(Fields::parse(&[0x1c; 100_000]).is_err());
        assert!(
            Fields::parse(&[0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1])
                .is_err()
        );
        assert!(Fields::parse(&[0x18, 0xff, 0xff, 0xff, 0xff, 0xf, 0]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, at in 0..HEADER.len(), byte in any::<u8>()) {
            let _ = Fields::parse(&bytes);
            let mut header = HEADER;
            header[at] = byte;
            let _ = Fields::parse(&header);
        }
    }
}
