//! A panic is a fault of the program, but what its user sees is an error as any other: one line, and exit code 1.

use super::CliError;
use std::any::Any;
use std::env;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Mutex;
use std::thread;

/// Where the main thread's panic was, for the error.
static PLACE: Mutex<String> = Mutex::new(String::new());

/// Does the work; a panic in it becomes an error. One in another thread is said in one line.
///
/// With `RUST_BACKTRACE` set, panics are printed as usual too.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, CliError>) -> Result<T, CliError> {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if env::var_os("RUST_BACKTRACE").is_some() {
            usual(info);
        }
        if thread::current().name() == Some("main") {
            if let Ok(mut known) = PLACE.lock() {
                *known = place(info);
            }
        } else {
            // Where standard error is gone, nobody is left to tell.
            let line = text(info.payload(), &place(info));
            let _ = writeln!(io::stderr(), "error: {line}");
        }
    }));
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let place = PLACE.lock().map(|place| place.clone()).unwrap_or_default();
        Err(CliError::Failed(text(&*panic, &place)))
    })
}

fn place(info: &PanicHookInfo<'_>) -> String {
    info.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default()
}

fn text(panic: &(dyn Any + Send), place: &str) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason");
    format!(
        "the program failed{place}: {}: allow more memory and threads if they are limited (`ulimit -a`), or else \
         report it",
        said.replace('\n', " ")
    )
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_panic_becomes_one_line_that_says_where_it_was() {
        let line = text(&"no\nthread", " at src/x.rs:7");
        assert!(line.starts_with("the program failed at src/x.rs:7: no thread: "), "{line}");
        assert_eq!(line.lines().count(), 1);
        assert!(text(&5, "").contains("no reason"));
    }
}
