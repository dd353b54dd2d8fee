//! A disk whose power can be cut: ext4 on a loop device, shut down without flushing its journal.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::{TempDir, tempdir_in};

/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`: from then on nothing reaches the disk, and
/// what was in memory only is lost.
const SHUTDOWN: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

const DISK_BYTES: u64 = 256 << 20;
const UNMOUNT_DEADLINE: Duration = Duration::from_secs(20);

/// The disk; it is unmounted and removed in the end.
pub(crate) struct Disk {
    image: PathBuf,
    mount_point: PathBuf,
    mounted: bool,
    _files: TempDir,
}

impl Disk {
    /// Makes the disk, or says what is missing for it.
    pub(crate) fn new() -> Result<Self, String> {
        let files = tempdir_in(env!("CARGO_TARGET_TMPDIR")).map_err(|error| error.to_string())?;
        let (image, mount_point) = (files.path().join("disk"), files.path().join("mounted"));
        fs::create_dir(&mount_point).map_err(|error| error.to_string())?;
        let mut disk = Self { image, mount_point, mounted: false, _files: files };
        disk.try_format()?;
        disk.try_mount()?;
        // That the power can be cut is what this machine is most likely to refuse.
        run(Command::new("python3").args(["-c", SHUTDOWN]).arg(&disk.mount_point))?;
        disk.unmount();
        Ok(disk)
    }

    /// An empty file system.
    pub(crate) fn format(&mut self) {
        self.try_format().expect("it could be formatted before");
    }

    fn try_format(&mut self) -> Result<(), String> {
        let image = File::create(&self.image).and_then(|file| file.set_len(DISK_BYTES));
        image.map_err(|error| error.to_string())?;
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&self.image))
    }

    /// Mounts the disk; after a power cut this replays its journal.
    pub(crate) fn mount(&mut self) {
        self.try_mount().expect("it could be mounted before");
    }

    fn try_mount(&mut self) -> Result<(), String> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mount_point))?;
        self.mounted = true;
        Ok(())
    }

    /// A folder for the store.
    pub(crate) fn folder(&self) -> PathBuf {
        self.mount_point.join("store")
    }

    /// From now on nothing reaches the disk.
    pub(crate) fn cut_power(&self) {
        run(Command::new("python3").args(["-c", SHUTDOWN]).arg(&self.mount_point))
            .expect("its power could be cut before");
    }

    /// Unmounts the disk, as soon as the last user's files are closed.
    pub(crate) fn unmount(&mut self) {
        let deadline = Instant::now() + UNMOUNT_DEADLINE;
        while let Err(error) = unmount(&self.mount_point, &[]) {
            assert!(Instant::now() < deadline, "{error}");
            thread::sleep(Duration::from_millis(5));
        }
        self.mounted = false;
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily: a failed test's store may still be open.
            let _ = unmount(&self.mount_point, &["-l"]);
        }
    }
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
