//! Makes do with little address space, and with little memory for a long time.

use rustix::process::{Resource, getrlimit};
use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The environment variable that sets how many heaps the C library keeps.
const HEAPS: &str = "MALLOC_ARENA_MAX";
/// The environment variable that sets the stack size of Rust's threads, in bytes.
const STACK: &str = "RUST_MIN_STACK";
/// With at least this many bytes of address space nothing has to be saved.
const PLENTY: u64 = 2 << 30;

/// The environment variable that sets from how many bytes on an allocation is given back to the system when it is freed.
const GIVEN_BACK: &str = "MALLOC_MMAP_THRESHOLD_";
/// The environment variable that sets how many free bytes at a heap's end are kept. Answers of 160 KB come and go there.
const KEPT_AT_END: &str = "MALLOC_TRIM_THRESHOLD_";

/// Starts the program again with one heap and small stacks if its address space is limited (`ulimit -v`).
///
/// The GNU C library reserves 64 MiB of addresses for the heap of each thread. Under a limit, the next small allocation
/// can then fail, which aborts a Rust program without a message to its user. With one heap, 150 MB are enough for every
/// command (measured).
pub(super) fn save_address_space() {
    let limit = getrlimit(Resource::As).current;
    if limit.is_some_and(|limit| limit < PLENTY) {
        start_again(&[(HEAPS, "1"), (STACK, "524288")]);
    }
}

/// Starts the program again with two heaps for all threads, for a process that runs long.
///
/// The GNU C library makes up to eight heaps for each core, of which each keeps the most that its threads have used at a
/// time; and sled's buffers of 512 KiB, once freed, let it keep all smaller allocations in heaps too. ARCHITECTURE.md has
/// the figures.
pub(super) fn share_heaps() {
    start_again(&[(HEAPS, "2"), (GIVEN_BACK, "400000"), (KEPT_AT_END, "1000000")]);
}

/// Starts the program again with these environment variables, unless the number of heaps is set already.
fn start_again(variables: &[(&str, &str)]) {
    if env::var_os(HEAPS).is_some() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut args = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = args.next() {
        again.arg0(name);
    }
    // `exec` returns only if it fails. The program then goes on as it is.
    let _ = again.args(args).envs(variables.iter().copied()).exec();
}
