//! What a process used: time, memory, processor time, disk. Linux only: read from `/proc`.

use super::wait::Watched;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often the peak is read. The kernel keeps the peak itself: only what is added in the last moments of a
/// process can be missed.
const EVERY: Duration = Duration::from_millis(2);

/// The unit of processor time in `/proc`: `USER_HZ` is 100 on every platform in use.
const TICK: Duration = Duration::from_millis(10);

/// What a process used from its start to its end.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// From `started` to the end.
    pub elapsed: Duration,
    /// Processor time, user and system together, of all its threads.
    pub cpu: Duration,
    /// Most memory that was resident, in bytes.
    pub peak: u64,
    /// Whether it ended with exit code 0.
    pub success: bool,
}

/// Waits for a child's end without a deadline of its own and says what it used.
pub fn wait_and_measure(mut child: Child, started: Instant) -> Usage {
    let watch = UsageWatch::start(child.id());
    // Ended but not yet waited for: its processor time can still be read.
    waitid(WaitId::Pid(Pid::from_child(&child)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
        .expect("a child can be waited for");
    let elapsed = started.elapsed();
    let (peak, cpu) = watch.stop();
    let success = child.wait().expect("a child can be waited for").success();
    Usage { elapsed, cpu, peak, success }
}

/// Follows the memory and processor time of a process, to the last that can be read before its number is gone.
#[derive(Debug)]
pub struct UsageWatch {
    stop: Arc<Watched<bool>>,
    watching: JoinHandle<(u64, Duration)>,
}

impl UsageWatch {
    /// Begins with the process of that number.
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

    /// The highest peak that was read, in bytes, and the last processor time.
    pub fn stop(self) -> (u64, Duration) {
        self.stop.change(|stop| *stop = true);
        self.watching.join().expect("reading a file does not panic")
    }
}

/// Most memory the process has had resident, in bytes; `None` once it has ended.
pub fn peak_memory(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Processor time of all threads of the process so far.
pub fn cpu_time(id: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the numbers come after it, user and system time 11 further on.
    let (_, numbers) = stat.rsplit_once(')')?;
    let ticks: u64 =
        numbers.split_whitespace().skip(11).take(2).map_while(|n| n.parse::<u64>().ok()).sum();
    Some(TICK * u32::try_from(ticks).ok()?)
}

/// Bytes that the files under a folder take on the disk.
pub fn disk_usage(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
    // Whatever their file system's block size, `st_blocks` counts units of 512 bytes.
    let own = if metadata.is_file() { metadata.blocks() * 512 } else { 0 };
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    own + entries.map(|entry| disk_usage(&entry.path())).sum::<u64>()
}
