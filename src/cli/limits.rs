//! Living with little address space.

use rustix::process::{Resource, getrlimit};
use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The environment variable that sets how many heaps the C library keeps.
const HEAPS: &str = "MALLOC_ARENA_MAX";
/// The environment variable that sets the stack size of Rust's threads, in bytes.
const STACK: &str = "RUST_MIN_STACK";
/// Below so many bytes of address space it is used sparingly.
const PLENTY: u64 = 2 << 30;

/// Starts the program anew, with one heap and small stacks, where its address space is limited (`ulimit -v`).
///
/// The GNU C library reserves 64 MiB of addresses for the heap of each thread. Under a limit there is then none left for
/// a few bytes, which ends a Rust program at once, without a word to its user. With one heap 150 MB are enough for
/// everything (measured).
pub(super) fn save_address_space() {
    let limit = getrlimit(Resource::As).current;
    if limit.is_none_or(|limit| limit >= PLENTY) || env::var_os(HEAPS).is_some() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut args = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = args.next() {
        again.arg0(name);
    }
    // It only comes back where it cannot be done: then the program goes on as it is.
    let _ = again.args(args).env(HEAPS, "1").env(STACK, (512 * 1024).to_string()).exec();
}
