//! Turns a panic into an error like any other: one line, and exit code 1.

use super::CliError;
use std::any::Any;
use std::env;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Mutex;
use std::{process, thread};

/// Where the main thread panicked.
static PLACE: Mutex<String> = Mutex::new(String::new());

/// Calls a function, and returns an error if it panics. A panic in another thread is reported in one line.
///
/// With `RUST_BACKTRACE` set, the usual report of a panic is printed too.
pub(super) fn catch_panic<T>(work: impl FnOnce() -> Result<T, CliError>) -> Result<T, CliError> {
    let default_hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if env::var_os("RUST_BACKTRACE").is_some() {
            default_hook(info);
        }
        if thread::current().name() == Some("main") {
            if let Ok(mut last) = PLACE.lock() {
                *last = place(info);
            }
        } else {
            // If standard error cannot be written to, there is nowhere to report the panic.
            let line = text(info.payload(), &place(info));
            let _ = writeln!(io::stderr(), "error: {line}");
        }
    }));
    panic::catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(CliError::Failed(text(&*panic, &last_place()))))
}

/// Calls a function on the main thread. If the function panics, reports the panic and exits with code 1. Without this
/// exit, threads that the function did not stop would keep the process running for ever.
pub(super) fn exit_at_panic<T>(work: impl FnOnce() -> T) -> T {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        // If standard error cannot be written to, there is nowhere to report the panic.
        let _ = writeln!(io::stderr(), "error: {}", text(&*panic, &last_place()));
        process::exit(1)
    })
}

fn last_place() -> String {
    PLACE.lock().map(|place| place.clone()).unwrap_or_default()
}

fn place(info: &PanicHookInfo<'_>) -> String {
    info.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default()
}

fn text(panic: &(dyn Any + Send), place: &str) -> String {
    let reason = panic.downcast_ref::<String>().map(String::as_str);
    let reason = reason.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason");
    format!(
        "the program failed{place}: {}: allow more memory and threads if they are limited (`ulimit -a`), or \
         report it",
        reason.replace('\n', " ")
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
