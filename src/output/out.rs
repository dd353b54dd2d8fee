//! Standard output, to which all results are written.

use super::wording::Wording;
use console::Term;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

/// The output of a command's results.
pub(crate) struct Output {
    sink: Box<dyn Write + Send>,
    json: bool,
    color: bool,
    columns: Option<usize>,
    wording: Wording,
}

impl Output {
    /// Makes an output on standard output, with a buffer that [`Output::flush`] writes out.
    pub(crate) fn stdout(json: bool, color: bool) -> Self {
        let terminal = Some(Term::stdout()).filter(Term::is_term);
        let columns = terminal.map(|terminal| usize::from(terminal.size().1));
        let sink = BufWriter::with_capacity(1 << 16, io::stdout());
        Self { columns, ..Self::new(sink, json, color) }
    }

    /// Makes an output on any writer.
    pub(crate) fn new(sink: impl Write + Send + 'static, json: bool, color: bool) -> Self {
        Self { sink: Box::new(sink), json, color, columns: None, wording: Wording::default() }
    }

    /// Sets the wording of messages among the results.
    #[must_use]
    pub(crate) fn worded(self, wording: Wording) -> Self {
        Self { wording, ..self }
    }

    /// Returns the wording of messages among the results.
    pub(crate) fn wording(&self) -> &Wording {
        &self.wording
    }

    /// Returns whether results are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Returns whether text is coloured.
    pub(crate) fn has_color(&self) -> bool {
        self.color
    }

    /// Returns the width of the terminal, or `None` if the output is no terminal and lines may have any length.
    pub(crate) fn columns(&self) -> Option<usize> {
        self.columns
    }

    /// Writes text as it is.
    ///
    /// # Errors
    /// Writing failed. If the reader closed the pipe, the error is [`io::ErrorKind::BrokenPipe`].
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.sink.write_all(text.as_bytes())
    }

    /// Writes text and ends the line.
    ///
    /// # Errors
    /// As [`Output::text`].
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        self.text(text)?;
        self.text("\n")
    }

    /// Writes a message in the output's wording.
    ///
    /// # Errors
    /// As [`Output::text`].
    pub(crate) fn message(&mut self, text: &str) -> io::Result<()> {
        let text = self.wording.apply(text);
        self.line(&text)
    }

    /// Writes one JSON value over several indented lines.
    ///
    /// # Errors
    /// As [`Output::text`], or the value cannot be written as JSON.
    pub(crate) fn json<T: Serialize + ?Sized>(&mut self, value: &T) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        self.line(&escaped(&text))
    }

    /// Writes one JSON value on a line of its own.
    ///
    /// # Errors
    /// As [`Output::json`].
    pub(crate) fn json_line<T: Serialize + ?Sized>(&mut self, value: &T) -> io::Result<()> {
        let text = json_text(value)?;
        self.line(&text)
    }

    /// Writes a line about the results to standard error.
    ///
    /// # Errors
    /// Standard error cannot be written to.
    pub(crate) fn note(&mut self, text: &str) -> io::Result<()> {
        writeln!(io::stderr(), "{text}")
    }

    /// Writes out what is in the buffer.
    ///
    /// # Errors
    /// As [`Output::text`].
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

/// Returns a value as JSON on one line, without characters that control a terminal.
///
/// # Errors
/// The value cannot be written as JSON.
pub(crate) fn json_text<T: Serialize + ?Sized>(value: &T) -> io::Result<String> {
    Ok(escaped(&serde_json::to_string(value)?).into_owned())
}

/// Escapes characters that control a terminal, in the form `\u001b`: control characters except line feeds, and those in
/// the ranges of `is_unsafe`, which are invisible or change the direction of text.
///
/// The value of JSON text does not change, because `serde_json` writes such characters only in strings.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            // Writing to a String cannot fail. All these characters have at most four hex digits.
            let _ = std::fmt::Write::write_fmt(&mut out, format_args!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn is_unsafe(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}')
}

/// A JSON array written item by item, so that its length costs no memory.
#[derive(Debug, Default)]
pub(crate) struct JsonArray {
    begun: bool,
}

impl JsonArray {
    /// Writes the next item, on a line of its own.
    ///
    /// # Errors
    /// As [`Output::json`].
    pub(crate) fn item<T: Serialize + ?Sized>(
        &mut self,
        out: &mut Output,
        value: &T,
    ) -> io::Result<()> {
        out.text(if self.begun { ",\n" } else { "[\n" })?;
        self.begun = true;
        let text = json_text(value)?;
        out.text(&text)
    }

    /// Closes the array.
    ///
    /// # Errors
    /// As [`Output::text`].
    pub(crate) fn end(self, out: &mut Output) -> io::Result<()> {
        out.text(if self.begun { "\n]\n" } else { "[]\n" })
    }
}

#[cfg(test)]
mod tests {
    use super::{JsonArray, Output};
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(write: impl FnOnce(&mut Output)) -> String {
        let sink = Shared::default();
        let mut out = Output::new(sink.clone(), true, false);
        write(&mut out);
        drop(out);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn escaping_keeps_the_value_of_json() {
        let value = "a\u{1b}[31m\u{9b}\u{7f}\u{202e}é+\n";
        let text = written(|out| out.json(value).unwrap());
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
        assert_eq!(text, "\"a\\u001b[31m\\u009b\\u007f\\u202eé+\\n\"\n");
    }

    #[test]
    fn a_streamed_array_of_any_length_is_one_json_value() {
        for items in [vec![], vec![1], vec![1, 2, 3]] {
            let text = written(|out| {
                let mut array = JsonArray::default();
                items.iter().for_each(|item| array.item(out, item).unwrap());
                array.end(out).unwrap();
            });
            assert_eq!(serde_json::from_str::<Vec<i32>>(&text).unwrap(), items, "{text}");
        }
    }
}
