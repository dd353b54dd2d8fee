//! Limits the memory that the C library's allocator reserves and keeps.
//!
//! The allocator reads its settings from the environment at the start, so the program starts itself again with them.

use rustix::process::{Resource, getrlimit};
use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The environment variable that limits the number of the GNU C library's heaps (arenas).
const ARENA_MAX_VAR: &str = "MALLOC_ARENA_MAX";
/// The environment variable that sets the stack size of Rust's threads, in bytes.
const MIN_STACK_VAR: &str = "RUST_MIN_STACK";
/// A limit of the address space of at least this many bytes counts as no limit.
const AMPLE_ADDRESS_SPACE: u64 = 2 << 30;

/// The environment variable that sets the smallest allocation, in bytes, that is mapped on its own, outside the heaps.
/// The memory of such an allocation goes back to the system as soon as it is freed.
const MMAP_THRESHOLD_VAR: &str = "MALLOC_MMAP_THRESHOLD_";
/// The environment variable that sets how many free bytes a heap keeps at its end. Answers of 160 KB are allocated and
/// freed there.
const TRIM_THRESHOLD_VAR: &str = "MALLOC_TRIM_THRESHOLD_";

/// Starts the program again with one heap and small stacks if its address space is limited (`ulimit -v`).
///
/// The GNU C library reserves 64 MiB of addresses for the heap of each thread. Under a limit, the next small allocation
/// can then fail, which aborts a Rust program. With one heap, 150 MB are enough for every command (measured).
pub(super) fn save_address_space() {
    let limit = getrlimit(Resource::As).current;
    if limit.is_some_and(|limit| limit < AMPLE_ADDRESS_SPACE) {
        start_again(&[(ARENA_MAX_VAR, "1"), (MIN_STACK_VAR, "524288")]);
    }
}

/// Starts the program again with two heaps for all threads, for a process that runs long.
///
/// The GNU C library makes up to eight heaps for each core, and each heap keeps as much memory as its threads have ever
/// used at a time. Once one of sled's buffers of 512 KiB is freed, the library puts all smaller allocations into heaps
/// too, unless a threshold is set. ARCHITECTURE.md has the figures.
pub(super) fn share_heaps() {
    start_again(&[
        (ARENA_MAX_VAR, "2"),
        (MMAP_THRESHOLD_VAR, "400000"),
        (TRIM_THRESHOLD_VAR, "1000000"),
    ]);
}

/// Starts the program again with these environment variables, unless the number of heaps is set already.
fn start_again(variables: &[(&str, &str)]) {
    if env::var_os(ARENA_MAX_VAR).is_none() {
        replace_process(variables);
    }
}

/// Starts the program again in this process, with the same arguments and these additional environment variables.
/// Returns only if that fails.
pub(super) fn replace_process(variables: &[(&str, &str)]) {
    let Ok(program) = env::current_exe() else { return };
    let mut args = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = args.next() {
        again.arg0(name);
    }
    // `exec` returns only if it fails.
    let _ = again.args(args).envs(variables.iter().copied()).exec();
}
