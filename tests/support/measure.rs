//! Measures the time, memory, processor time and disk space of a process. It reads `/proc`, so it works on Linux only.

use super::wait::Watched;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often the peak of memory is read. The kernel keeps the peak, so only the last moments of a process can be
/// missed.
const EVERY: Duration = Duration::from_millis(2);

/// The unit of processor time in `/proc` (`USER_HZ`), which is 100 on all common platforms.
const TICK: Duration = Duration::from_millis(10);

/// What a process used from its start to its end.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// The time from `started` to the end.
    pub elapsed: Duration,
    /// User and system time of all threads.
    pub cpu: Duration,
    /// The peak of resident memory in bytes.
    pub peak: u64,
    /// Whether the process ended with exit code 0.
    pub success: bool,
}

/// Waits until a child ends, without a deadline, and returns what it used.
pub fn wait_and_measure(mut child: Child, started: Instant) -> Usage {
    let watch = UsageWatch::start(child.id());
    // Until the child is waited for, its processor time can be read.
    waitid(WaitId::Pid(Pid::from_child(&child)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
        .expect("a child can be waited for");
    let elapsed = started.elapsed();
    let (peak, cpu) = watch.stop();
    let success = child.wait().expect("a child can be waited for").success();
    Usage { elapsed, cpu, peak, success }
}

/// Watches the memory and processor time of a process until it is gone.
#[derive(Debug)]
pub struct UsageWatch {
    stop: Arc<Watched<bool>>,
    watching: JoinHandle<(u64, Duration)>,
}

impl UsageWatch {
    /// Starts to watch the process with this number.
    pub fn start(id: u32) -> Self {
        let stop: Arc<Watched<bool>> = Arc::default();
        let stopping = Arc::clone(&stop);
        let watching = thread::spawn(move || {
            let (mut peak, mut cpu) = (0, Duration::ZERO);
            loop {
                let next = Instant::now() + EVERY;
                peak = peak_memory(id).unwrap_or(0).max(peak);
                cpu = cpu_time(id).unwrap_or(cpu);
                if *stopping.lock() {
                    return (peak, cpu);
                }
                stopping.wait_until(next, |stop| stop.then_some(()));
            }
        });
        Self { stop, watching }
    }

    /// Returns the peak of resident memory in bytes, and the processor time at the last read.
    pub fn stop(self) -> (u64, Duration) {
        self.stop.change(|stop| *stop = true);
        self.watching.join().expect("reading a file does not panic")
    }
}

/// Returns the peak of resident memory in bytes, or `None` while the process still has its parent's memory and once it
/// has ended.
///
/// Linux wakes the parent of a `vfork` before the child has its own memory (`exec_mmap` in fs/exec.c), so the first
/// reads could return the memory of this test. A child executes its program once, so a check before reading is enough.
pub fn peak_memory(id: u32) -> Option<u64> {
    let executable = |process: &str| fs::read_link(format!("/proc/{process}/exe")).ok();
    (executable(&id.to_string())? != executable("self")?).then(|| memory(id, "VmHWM:"))?
}

/// Returns a figure of a process's memory in bytes, by its key in `/proc`, or `None` once the process has ended.
pub fn memory(id: u32, key: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Returns the processor time of all threads of a process so far, or `None` once the process is gone.
pub fn cpu_time(id: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in parentheses, may contain anything. Of the fields after it, the 12th is user time, the 13th system
    // time.
    let (_, numbers) = stat.rsplit_once(')')?;
    let ticks: u64 =
        numbers.split_whitespace().skip(11).take(2).map_while(|n| n.parse::<u64>().ok()).sum();
    Some(TICK * u32::try_from(ticks).ok()?)
}

/// Returns the bytes that the files under a folder take on the disk.
pub fn disk_usage(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
    // Whatever their file system's block size, `st_blocks` counts units of 512 bytes.
    let own = if metadata.is_file() { metadata.blocks() * 512 } else { 0 };
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    own + entries.map(|entry| disk_usage(&entry.path())).sum::<u64>()
}
