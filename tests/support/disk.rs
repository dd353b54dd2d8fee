//! Disks that fail: one that is small, one that becomes read-only, and one whose power is cut.

use super::wait::{PATIENCE, poll_for};
use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::{TempDir, tempdir};

/// A Python program that calls `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH` once its standard input ends.
/// From then on, nothing reaches the disk, and data that is only in memory is lost.
const SHUTDOWN: &str = "import fcntl, os, struct, sys
disk = os.open(sys.argv[1], os.O_RDONLY)
print('ready', flush=True)
sys.stdin.read()
fcntl.ioctl(disk, 0x8004587d, struct.pack('I', 2))";

/// The size in KiB of a disk that tests do not fill. The image file is sparse.
const KIB: u32 = 256 << 10;

/// A file system in a temporary folder. When dropped, it is unmounted and removed.
#[derive(Debug)]
pub struct Disk {
    /// The image file of an ext4; `None` for a tmpfs.
    image: Option<PathBuf>,
    kib: u32,
    mount_point: PathBuf,
    mounted: bool,
    _files: TempDir,
}

impl Disk {
    /// Makes an ext4 on a loop device whose power can be cut. If that fails, prints what is skipped and returns `None`.
    ///
    /// # Panics
    /// If that fails for root and `CI` is `true`: in CI, a skipped test would look like a passed one.
    pub fn ext4_or_skip_loudly(skipped: &str) -> Option<Self> {
        // The power cut is tried first, because it is what a machine is most likely to refuse.
        let made = Self::ext4(KIB).and_then(|mut disk| {
            disk.try_power_switch()?.try_cut()?;
            disk.unmount();
            disk.format();
            disk.mount();
            Ok(disk)
        });
        made.map_err(|reason| {
            skip(&format!("{skipped} (root, loop devices, ext4, python3): {reason}"))
        })
        .ok()
    }

    /// Makes and mounts an ext4 of `kib` KiB on a loop device.
    ///
    /// # Errors
    /// The machine cannot do this. The text says what is missing.
    pub fn ext4(kib: u32) -> Result<Self, String> {
        let mut disk = Self::unmounted(kib)?;
        disk.image = Some(disk.mount_point.with_file_name("disk"));
        disk.try_format()?;
        disk.try_mount()?;
        Ok(disk)
    }

    /// Makes and mounts a tmpfs of `kib` KiB.
    ///
    /// # Errors
    /// The machine cannot do this. The text says what is missing.
    pub fn tmpfs(kib: u32) -> Result<Self, String> {
        let mut disk = Self::unmounted(kib)?;
        disk.try_mount()?;
        Ok(disk)
    }

    fn unmounted(kib: u32) -> Result<Self, String> {
        let files = tempdir().map_err(|error| error.to_string())?;
        let mount_point = files.path().join("mounted");
        fs::create_dir(&mount_point).map_err(|error| error.to_string())?;
        Ok(Self { image: None, kib, mount_point, mounted: false, _files: files })
    }

    /// Makes an empty file system on an unmounted ext4 disk. Does nothing to a tmpfs.
    pub fn format(&mut self) {
        self.try_format().expect("it could be formatted before");
    }

    fn try_format(&self) -> Result<(), String> {
        let Some(image) = &self.image else { return Ok(()) };
        let made = File::create(image).and_then(|file| file.set_len(u64::from(self.kib) * 1024));
        made.map_err(|error| error.to_string())?;
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(image))
    }

    /// Mounts the disk. After a power cut, the kernel replays the journal.
    pub fn mount(&mut self) {
        self.try_mount().expect("it could be mounted before");
    }

    fn try_mount(&mut self) -> Result<(), String> {
        let mut command = Command::new("mount");
        match &self.image {
            Some(image) => command.args(["-o", "loop"]).arg(image),
            None => command.args(["-t", "tmpfs", "-o", &format!("size={}k", self.kib), "tmpfs"]),
        };
        run(command.arg(&self.mount_point))?;
        self.mounted = true;
        Ok(())
    }

    /// Returns the path of a data folder on the disk.
    pub fn folder(&self) -> PathBuf {
        self.mount_point.join("data")
    }

    /// Starts the process that will cut the power, so that the cut itself takes no time.
    pub fn power_switch(&self) -> PowerSwitch {
        self.try_power_switch().expect("its power could be cut before")
    }

    fn try_power_switch(&self) -> Result<PowerSwitch, String> {
        let mut python = Command::new("python3");
        python.args(["-c", SHUTDOWN]).arg(&self.mount_point);
        let python = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut python = python.map_err(|error| format!("python3: {error}"))?;
        let mut ready = String::new();
        let said =
            BufReader::new(python.stdout.take().expect("it was piped")).read_line(&mut ready);
        said.map_err(|error| error.to_string())?;
        Ok(PowerSwitch(python))
    }

    /// Cuts the power at once.
    pub fn cut_power(&self) {
        self.power_switch().cut();
    }

    /// Makes an ext4 read-only while files are open for writing, as the kernel does after an error of the disk.
    pub fn make_read_only(&self) {
        let remounted =
            Command::new("mount").args(["-o", "remount,abort"]).arg(&self.mount_point).output();
        // `mount` reports a failure, but from then on the file system is read-only.
        remounted.expect("mount can be run");
        let tried = File::create(self.mount_point.join("tried"));
        assert!(tried.is_err_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem));
    }

    /// Unmounts the disk as soon as no process has files open on it.
    pub fn unmount(&mut self) {
        poll_for("the disk's last user to end", PATIENCE, || unmount(&self.mount_point, &[]).ok());
        self.mounted = false;
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            // Unmounted lazily, because a failed test's store may still be open.
            let _ = unmount(&self.mount_point, &["-l"]);
        }
    }
}

/// Cuts the power of a disk.
#[derive(Debug)]
pub struct PowerSwitch(Child);

impl PowerSwitch {
    /// Cuts the power: from now on nothing reaches the disk.
    pub fn cut(self) {
        self.try_cut().expect("its power could be cut before");
    }

    fn try_cut(mut self) -> Result<(), String> {
        // `wait` first closes the standard input of the process, which then cuts the power.
        let ended = self.0.wait().map_err(|error| error.to_string())?;
        if ended.success() { Ok(()) } else { Err(format!("python3: {ended}")) }
    }
}

/// Prints what is skipped.
///
/// # Panics
/// If the user is root and `CI` is `true`: in CI, a skipped test would look like a passed one.
pub fn skip(what: &str) {
    let message = format!("SKIPPED: {what}\n");
    let must_work = rustix::process::geteuid().is_root() && env::var("CI").as_deref() == Ok("true");
    assert!(!must_work, "{message}");
    // Written directly, because the test harness hides what `eprintln` prints in tests that pass.
    io::stderr().write_all(message.as_bytes()).ok();
}

fn unmount(mount_point: &Path, options: &[&str]) -> Result<(), String> {
    run(Command::new("umount").args(options).arg(mount_point))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
