//! Trials of the store with the program itself: killed readers, full disks, flipped bits, limited memory.
//!
//! After each of them the store opens, is without fault, and has every header that it had. `LIGHTCLIENT_TRIALS=long`
//! makes them many (500 kills of each command, 200 full disks, 1,000 flips, 300 limits), and prints what came of them.

#[path = "../store_crash/mine.rs"]
mod mine;
use crate::support::faketime::{self, with_clock};
use crate::support::run::{Finished, Program, Running};
use crate::support::sync::on_network;
use crate::support::wait::{PATIENCE, poll_for};
use lightclient::chain::Branch;
use lightclient::primitives::{Header, Network};
use lightclient::store::{Change, HeaderStore, SledStore, StoreError, repair, verify};
use mine::{check, headers, regtest};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::{TempDir, tempdir};

const HEADERS: u32 = 20_000;

/// `short` of them, or `long` where that is asked for.
fn trials(short: u32, long: u32) -> u32 {
    if std::env::var("LIGHTCLIENT_TRIALS").is_ok_and(|value| value == "long") {
        long
    } else {
        short
    }
}

fn say(what: &str) {
    // Past the test harness, which keeps what `println` says in tests that pass to itself.
    writeln!(io::stderr(), "{what}").ok();
}

/// The binary of this build, or another one to be tried.
fn binary() -> PathBuf {
    let named = std::env::var_os("LIGHTCLIENT_TRIALS_BINARY");
    named.map_or_else(|| env!("CARGO_BIN_EXE_lightclient").into(), PathBuf::from)
}

fn program(data_dir: &Path) -> Program {
    on_network(Program::at(binary(), data_dir), Network::Regtest)
}

fn chain(count: u32) -> Vec<Header> {
    headers(&Branch::genesis(regtest()), count, 20)
}

/// A store as a sync leaves it that ended (`is_closed`), or that was killed after its last change.
fn template(is_closed: bool) -> TempDir {
    let (made, kept) = (tempdir().expect("a folder"), tempdir().expect("a folder"));
    let folder = made.path().join("regtest");
    let store = SledStore::open(&folder, regtest()).expect("a store");
    let mut branch = Branch::genesis(regtest());
    for part in chain(HEADERS).chunks(4000) {
        let part = check(&mut branch, part.to_vec());
        let change = Change { append: Some(&part), ..Change::default() };
        store.commit(&change).expect("it is stored");
    }
    if is_closed {
        store.finish_bulk_load().expect("it is stored");
        drop(store);
    }
    copy(&folder, &kept.path().join("regtest"));
    kept
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

fn copy_of(template: &TempDir) -> TempDir {
    let folder = tempdir().expect("a folder");
    copy(template.path(), folder.path());
    folder
}

/// The store opens for reading and for writing, is without fault, and has at least so many headers; gives how many.
fn assert_whole(data_dir: &Path, least: u32, what: &str) -> u32 {
    let folder = data_dir.join("regtest");
    // A process that another test is just starting holds a copy of this folder's lock until it runs.
    let read =
        poll_for("the lock", PATIENCE, || match SledStore::open_to_read(&folder, regtest()) {
            Err(StoreError::InUse { .. }) => None,
            opened => Some(opened),
        });
    let read = read.expect(what);
    assert_eq!(verify(&read, regtest(), |_| ()).expect(what).fault, None, "{what}");
    let height = read.tip().height;
    drop(read);
    assert!(height >= least, "{what}: {height} after {least}");
    let store = poll_for("the lock", PATIENCE, || match SledStore::open(&folder, regtest()) {
        Err(StoreError::InUse { .. }) => None,
        opened => Some(opened),
    });
    let store = store.expect(what);
    assert_eq!(store.tip().height, height, "{what}");
    assert_eq!(verify(&store, regtest(), |_| ()).expect(what).fault, None, "{what}");
    height
}

#[test]
fn commands_that_read_and_are_killed_leave_the_store_as_it_was() {
    let templates = [template(false), template(true)];
    let mut random = StdRng::seed_from_u64(9);
    let count = trials(6, 500);
    for command in [&["status"][..], &["query", "tip"], &["verify"]] {
        for round in 0..count {
            let folder = copy_of(&templates[round as usize % 2]);
            let mut running = program(folder.path()).start(command);
            // The moment is what the trial is about.
            thread::sleep(Duration::from_micros(random.random_range(0..20_000)));
            running.kill();
            running.wait(PATIENCE);
            assert_whole(folder.path(), HEADERS, &format!("{command:?}, round {round}"));
        }
    }
    say(&format!("{count} kills of each of status, query and verify: every store opens whole"));
}

#[test]
fn flipped_bits_anywhere_in_the_files_of_a_finished_sync_cost_no_header() {
    let templates = [template(false), template(true)];
    let mut random = StdRng::seed_from_u64(10);
    let count = trials(40, 1000);
    let mut lost = 0;
    for round in 0..count {
        let folder = copy_of(&templates[round as usize % 2]);
        let database = folder.path().join("regtest").join("headers");
        let entries = fs::read_dir(&database).expect("a folder");
        let files = entries.map(|entry| entry.expect("an entry").path());
        let files: Vec<PathBuf> = files.filter(|path| path.is_file()).collect();
        let path = if round % 4 < 2 {
            database.join("db")
        } else {
            files[random.random_range(0..files.len())].clone()
        };
        let mut bytes = fs::read(&path).expect("a file");
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
        fs::write(&path, bytes).expect("a file");
        let what = format!("round {round}: byte {at} of {}", path.display());
        let verified = program(folder.path()).run(&["verify", "--repair", "--json"]);
        let verified = verified.expect_success().json();
        let height = u32::try_from(verified["height"].as_u64().expect("a height")).expect("small");
        assert!(!path.ends_with("conf") || verified["ok"] == true, "{what}: {verified}");
        // A sync that was killed has not yet written the redundant data of its last run of 131,072 headers.
        let is_closed = round % 2 == 1;
        assert!(!is_closed || height == HEADERS, "{what}: {verified}");
        lost += HEADERS - height;
        assert_whole(folder.path(), height, &what);
    }
    say(&format!(
        "{count} flipped bits: every store opens after `verify --repair`, {lost} of {} headers lost",
        u64::from(count) * u64::from(HEADERS)
    ));
}

/// Headers as `import` takes them.
fn import_file(folder: &Path, count: u32) -> PathBuf {
    let path = folder.join("chain.bin");
    let bytes: Vec<u8> = chain(count).iter().flat_map(Header::encode).collect();
    fs::write(&path, bytes).expect("a file");
    path
}

fn run_limited(limit: &str, data_dir: &Path, file: &Path) -> Finished {
    let mut command = Command::new("sh");
    let script = format!("{limit}; exec \"$@\"");
    command.args(["-c", &script, "sh"]).arg(binary());
    // With it, a panic is printed as usual besides the one line.
    command.env_remove("RUST_BACKTRACE");
    command.args(["import", "--regtest", "--data-dir"]).arg(data_dir).arg(file);
    Running::start(command, Stdio::null()).wait(PATIENCE)
}

fn assert_no_panic(ended: &Finished, what: &str) {
    let stderr = &ended.stderr;
    assert!(!stderr.contains("panicked") && !stderr.contains("RUST_BACKTRACE"), "{what}: {stderr}");
    assert!(matches!(ended.code, Some(0 | 1)), "{what}: {stderr}");
    assert!(ended.code == Some(0) || stderr.lines().count() == 1, "{what}");
}

#[test]
fn limits_of_memory_threads_and_file_sizes_are_errors_and_the_store_stays_whole() {
    let files = tempdir().expect("a folder");
    let file = import_file(files.path(), 60_000);
    let mut random = StdRng::seed_from_u64(11);
    let mut codes = BTreeMap::<String, u32>::new();
    for round in 0..trials(12, 300) {
        let folder = copy_of(&template_of_genesis());
        let limit = match round % 6 {
            0 => format!("ulimit -n {}", random.random_range(6..40)),
            _ => format!("ulimit -v {}", random.random_range(150_000..330_000)),
        };
        let ended = run_limited(&limit, folder.path(), &file);
        let what = format!("round {round}, {limit}: {:?} {}", ended.code, ended.stderr);
        assert_no_panic(&ended, &what);
        assert_whole(folder.path(), 0, &what);
        *codes.entry(format!("code {:?} signal {:?}", ended.code, ended.signal)).or_default() += 1;
    }
    say(&format!("limits: every store opens whole; {codes:?}"));
}

/// A store that holds genesis only.
fn template_of_genesis() -> TempDir {
    let folder = tempdir().expect("a folder");
    drop(SledStore::open(&folder.path().join("regtest"), regtest()).expect("a store"));
    folder
}

/// A small file system; `None` where this machine does not let one be mounted.
struct SmallDisk {
    mount_point: TempDir,
    _image: TempDir,
}

impl SmallDisk {
    fn tmpfs(kib: u32) -> Option<Self> {
        let size = format!("size={kib}k");
        Self::mount(&["-t", "tmpfs", "-o", &size, "tmpfs"], tempdir().ok()?)
    }

    fn ext4(kib: u32) -> Option<Self> {
        let folder = tempdir().ok()?;
        let image = folder.path().join("image");
        fs::File::create(&image).and_then(|file| file.set_len(u64::from(kib) * 1024)).ok()?;
        let made = Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image).output();
        made.ok().filter(|output| output.status.success())?;
        Self::mount(&["-o", "loop", image.to_str()?], folder)
    }

    fn mount(args: &[&str], image: TempDir) -> Option<Self> {
        let mount_point = tempdir().ok()?;
        let mounted = Command::new("mount").args(args).arg(mount_point.path()).output().ok()?;
        mounted.status.success().then_some(Self { mount_point, _image: image })
    }

    fn path(&self) -> &Path {
        self.mount_point.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A failed test may have left a store open.
        let _ = Command::new("umount").arg("-l").arg(self.mount_point.path()).output();
    }
}

fn stored_height(data_dir: &Path) -> u32 {
    let status = program(data_dir).run(&["status", "--json"]).expect_success().json();
    u32::try_from(status["height"].as_u64().expect("a height")).expect("small")
}

#[test]
fn a_disk_that_was_full_and_has_room_again_has_every_header_that_was_stored() {
    let files = tempdir().expect("a folder");
    let file = import_file(files.path(), 60_000);
    let mut random = StdRng::seed_from_u64(12);
    let (mut full, count) = (0, trials(6, 200));
    for round in 0..count {
        let kib = random.random_range(4_000..12_000);
        let disk =
            if round % 2 == 0 { SmallDisk::tmpfs(kib) } else { SmallDisk::ext4(kib + 2_000) };
        let Some(disk) = disk else {
            return say("SKIPPED: full disks need root, tmpfs and loop devices");
        };
        let filler = disk.path().join("filler");
        fs::write(&filler, vec![1; 3_000_000]).expect("a filler");
        let mut height = 0;
        // Twice on a full disk, and then with room.
        for attempt in 0..2 {
            let ended = run_limited("true", disk.path(), &file);
            let what =
                format!("round {round}.{attempt}, {kib} KiB: {:?} {}", ended.code, ended.stderr);
            assert_no_panic(&ended, &what);
            if ended.code != Some(0) {
                full += 1;
                let says = ["No space left on device", "make room"];
                assert!(says.iter().all(|text| ended.stderr.contains(text)), "{what}");
                assert_eq!(ended.code, Some(1), "{what}");
            }
            if disk.path().join("regtest/headers").exists() {
                let now = stored_height(disk.path());
                assert!(now >= height, "{what}: {now} after {height}");
                height = now;
            }
        }
        fs::remove_file(&filler).expect("the filler");
        if disk.path().join("regtest/headers").exists() {
            assert_whole(disk.path(), height, &format!("round {round}, {kib} KiB, with room"));
        }
    }
    say(&format!("{count} disks, {full} times full: every store opens whole"));
}

#[test]
fn a_read_only_folder_is_read_and_nothing_is_written_for_it() {
    let folder = copy_of(&template(true));
    let paths = [folder.path().join("regtest"), folder.path().join("regtest/headers")];
    for path in &paths {
        for entry in fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry")) {
            set_read_only(&entry.path());
        }
        set_read_only(path);
    }
    for command in [&["status"][..], &["query", "tip"], &["verify"], &["query", "5..9", "--raw"]] {
        let mut command_line = program(folder.path()).command(command);
        if rustix::process::geteuid().is_root() {
            // Permissions mean nothing to root.
            command_line = as_nobody(&command_line, folder.path());
        }
        let copied =
            command_line.get_args().find(|arg| arg.to_string_lossy().contains("lightclient-"));
        let copied = copied.map(PathBuf::from);
        Running::start(command_line, Stdio::null()).wait(PATIENCE).expect_success();
        copied.map(fs::remove_file).transpose().expect("the copy is removed");
    }
}

fn set_read_only(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = if path.is_dir() { 0o555 } else { 0o444 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
}

/// The same command as a user who may not write the folder.
fn as_nobody(command: &Command, data_dir: &Path) -> Command {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(data_dir, fs::Permissions::from_mode(0o555)).expect("permissions");
    let copied =
        data_dir.parent().expect("a folder").join(format!("lightclient-{}", std::process::id()));
    // By another process: one that another test is just starting would keep a file open that is written here.
    let made = Command::new("cp").arg(command.get_program()).arg(&copied).status();
    assert!(made.is_ok_and(|status| status.success()), "a copy of the program");
    let mut as_nobody = Command::new("setpriv");
    as_nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copied);
    as_nobody.args(command.get_args());
    as_nobody
}

#[test]
fn a_repair_after_a_hole_keeps_every_header() {
    let template = template(true);
    let mut random = StdRng::seed_from_u64(13);
    for round in 0..trials(3, 20) {
        let folder = copy_of(&template);
        let path = folder.path().join("regtest/headers/db");
        let mut bytes = fs::read(&path).expect("a file");
        let at = random.random_range(0..bytes.len() - 64);
        bytes[at..at + 64].fill(0);
        fs::write(&path, bytes).expect("a file");
        let repaired = repair(&folder.path().join("regtest"), regtest(), |_| ()).expect("repaired");
        assert_eq!(repaired.tip.height, HEADERS, "round {round}: {at}");
    }
}

#[test]
fn a_clock_that_is_behind_the_chain_is_no_fault_of_what_is_stored() {
    let Some(library) = faketime::library("what verify says at a wrong clock") else { return };
    let folder = copy_of(&template(true));
    for time in ["@2009-06-01 00:00:00", "@1971-01-01 00:00:00"] {
        for args in [&["verify", "--json"][..], &["verify", "--repair", "--json"]] {
            let program = with_clock(program(folder.path()), &library, time);
            let ended = program.run(args).expect_success();
            assert!(ended.stderr.contains("behind the stored chain"), "{}", ended.stderr);
            assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
            let verified = ended.json();
            assert_eq!((&verified["ok"], &verified["height"]), (&true.into(), &HEADERS.into()));
        }
    }
    assert!(!folder.path().join("regtest/headers.damaged").exists(), "nothing was cut");
}
