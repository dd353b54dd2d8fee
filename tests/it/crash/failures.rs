//! Kills, power cuts, full and read-only disks, failing calls and limits, at random moments of every task.

use super::round::{Task, World};
use super::{program, say, trials};
use crate::support::disk::{Disk, skip};
use crate::support::failing::{FailingCalls, Failure};
use crate::support::run::Finished;
use crate::support::wait::PATIENCE;
use rand::RngExt;
use rustix::process::geteuid;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use tempfile::tempdir;

/// A file system with room for what is stored and not much more, in KiB.
const SMALL_DISK: u32 = 24 << 10;

#[test]
fn whatever_is_killed_loses_nothing_that_was_acknowledged() {
    let mut world = World::new(31);
    for round in trials(14) {
        let (task, folder) = (World::task(round), tempdir().expect("a folder"));
        world.prepare(task, folder.path());
        let mut running = world.start(task, folder.path(), &[]);
        world.wait_for_a_moment(task);
        running.kill();
        let ended = running.wait(PATIENCE);
        world.check(task, &ended, folder.path(), &format!("kill {round}"));
    }
    world.tell("kill -9");
}

#[test]
fn a_power_cut_during_any_command_loses_nothing_that_was_acknowledged() {
    let mut world = World::new(32);
    on_a_disk("power cuts", &mut world, |world, disk, task| {
        let switch = disk.power_switch();
        let mut running = world.start(task, &disk.folder(), &[]);
        world.wait_for_a_moment(task);
        switch.cut();
        // It may go on for a while on what is in memory, and has to see in the end that its disk is gone.
        running.interrupt();
        running.wait(PATIENCE)
    });
}

#[test]
fn a_disk_that_becomes_read_only_during_any_command_loses_nothing_that_was_acknowledged() {
    let mut world = World::new(33);
    on_a_disk("disks that become read-only", &mut world, |world, disk, task| {
        let running = world.start(task, &disk.folder(), &[]);
        world.wait_for_a_moment(task);
        disk.make_read_only();
        world.wait_for_end(task, running)
    });
}

/// Lets something happen to the disk below a task, and checks what is on it once it has been mounted again.
fn on_a_disk(what: &str, world: &mut World, happen: impl Fn(&mut World, &Disk, Task) -> Finished) {
    let Some(mut disk) = Disk::ext4_or_skip_loudly(what) else { return };
    for round in trials(7) {
        let task = World::task(round);
        // What is copied there has to be on the disk before anything happens.
        disk.unmount();
        disk.format();
        disk.mount();
        world.prepare(task, &disk.folder());
        disk.unmount();
        disk.mount();
        let ended = happen(world, &disk, task);
        disk.unmount();
        disk.mount();
        world.check(task, &ended, &disk.folder(), &format!("{what}, {round}"));
    }
    world.tell(what);
}

#[test]
fn a_disk_that_was_full_and_has_room_again_has_every_header_that_was_stored() {
    let mut world = World::new(34);
    let disks = [Disk::tmpfs(SMALL_DISK), Disk::ext4(SMALL_DISK)].into_iter().collect();
    let disks: Vec<Disk> = match disks {
        Ok(disks) => disks,
        Err(reason) => return skip(&format!("full disks (root, tmpfs, loop devices): {reason}")),
    };
    let mut full = 0;
    for round in trials(14) {
        let (task, disk) = (World::task(round), &disks[world.random.random_range(0..2)]);
        let (data_dir, filler) = (disk.folder(), disk.folder().with_file_name("filler"));
        world.prepare(task, &data_dir);
        let room = world.random.random_range(0..4 << 20);
        let filled = vec![1; usize::try_from(free_bytes(&data_dir)).expect("a small disk") - room];
        fs::write(&filler, filled).expect("a filler");
        let running = world.start(task, &data_dir, &[]);
        let ended = world.wait_for_end(task, running);
        let what = format!("round {round}, {room} bytes of room: {task:?} {}", ended.stderr);
        if ended.code == Some(1) {
            full += 1;
            let says = ["No space left on device", "make room"];
            assert!(says.iter().all(|text| ended.stderr.contains(text)), "{what}");
            if task != Task::Repair && data_dir.join("regtest/headers").exists() {
                program(&data_dir).run(&["status"]).expect_success();
            }
        }
        fs::remove_file(&filler).expect("the filler");
        world.check(task, &ended, &data_dir, &what);
        fs::remove_dir_all(&data_dir).expect("a folder");
    }
    world.tell(&format!("disks, {full} of them too full"));
}

fn free_bytes(path: &Path) -> u64 {
    let disk = rustix::fs::statvfs(path).expect("a file system");
    disk.f_bavail * disk.f_frsize
}

#[test]
fn calls_that_fail_as_on_a_broken_disk_are_errors_and_lose_nothing_that_was_acknowledged() {
    let Some(failing) = FailingCalls::build_or_skip_loudly("calls that fail with EIO") else {
        return;
    };
    let mut world = World::new(35);
    let mut calls = BTreeMap::<(Task, char), u64>::new();
    let mut failed = 0;
    for round in trials(21) {
        let (task, folder) = (World::task(round), tempdir().expect("a folder"));
        world.prepare(task, folder.path());
        let failure = a_failure(&mut world, &failing, &mut calls, (task, folder.path()));
        if task == Task::Repair && matches!(failure, Failure::Block(_)) {
            // The block is damage enough: with a hole elsewhere, both may hit pages that only the other one could restore.
            world.prepare_intact(folder.path());
        }
        let running = world.start(task, folder.path(), &failing.prefix(folder.path(), failure));
        let ended = world.wait_for_end(task, running);
        failed += u32::from(ended.code == Some(1));
        let what = format!("round {round}: {failure:?}");
        world.check(task, &ended, folder.path(), &what);
    }
    world.tell(&format!("EIO, which {failed} commands reported"));
}

/// A block that cannot be read, or a moment of the task from which on writes or syncs fail.
fn a_failure(
    world: &mut World,
    failing: &FailingCalls,
    calls: &mut BTreeMap<(Task, char), u64>,
    (task, data_dir): (Task, &Path),
) -> Failure {
    let kind = ['r', 'w', 's'][world.random.random_range(0..3)];
    if let Some(db) = fs::metadata(data_dir.join("regtest/headers/db")).ok().filter(|_| kind == 'r')
    {
        return Failure::Block(world.random.random_range(0..db.len()) / 4096 * 4096);
    }
    let kind = if kind == 'r' { 'w' } else { kind };
    let all = *calls.entry((task, kind)).or_insert_with(|| {
        let folder = tempdir().expect("a folder");
        world.prepare(task, folder.path());
        let counted = Failure::Calls { kind, from: 0, count: 0 };
        let running = world.start(task, folder.path(), &failing.prefix(folder.path(), counted));
        world.wait_for_end(task, running);
        failing.calls()
    });
    // Once or for good: a second try that succeeds must not hide that something is missing.
    let count = world.random.random_range(0..2);
    Failure::Calls { kind, from: world.random.random_range(1..=all + 1), count }
}

#[test]
fn limits_of_memory_threads_and_files_are_errors_and_lose_nothing_that_was_acknowledged() {
    let mut world = World::new(36);
    let files = tempdir().expect("a folder");
    let user = geteuid().is_root().then_some(60_000 + std::process::id() % 5000);
    if user.is_some() {
        world.let_others_run(files.path());
    } else {
        say("limits of threads: skipped without root, since those of a user count together");
    }
    for round in trials(21) {
        let (task, folder) = (World::task(round), tempdir().expect("a folder"));
        world.prepare(task, folder.path());
        let prefix = match (world.random.random_range(0..3), user) {
            (0, Some(user)) => {
                give(folder.path(), user);
                few_threads(world.random.random_range(1..40), user)
            }
            (1, _) => limited(&format!("--nofile={}", world.random.random_range(6..40))),
            _ => {
                let bytes = world.random.random_range(150_000_u64..400_000) * 1024;
                limited(&format!("--as={bytes}"))
            }
        };
        let running = world.start(task, folder.path(), &prefix);
        let ended = world.wait_for_end(task, running);
        world.check(task, &ended, folder.path(), &format!("round {round}, {prefix:?}"));
    }
    world.tell("limits");
}

#[test]
fn a_server_ends_at_a_signal_however_few_threads_it_may_have() {
    let mut world = World::new(37);
    if !geteuid().is_root() {
        return say("few threads: skipped without root, since those of a user count together");
    }
    let files = tempdir().expect("a folder");
    world.let_others_run(files.path());
    let user = 65_000 + std::process::id() % 500;
    for threads in 14..30 {
        let folder = tempdir().expect("a folder");
        world.prepare(Task::Serve, folder.path());
        give(folder.path(), user);
        let running = world.start(Task::Serve, folder.path(), &few_threads(threads, user));
        let ended = world.wait_for_end(Task::Serve, running);
        // Until its handlers are set, the signal itself ends it.
        assert!(ended.signal.is_none_or(|signal| signal == 15), "{threads} threads: {ended:?}");
    }
}

/// A command in front of another one, which runs it with a limit.
fn limited(limit: &str) -> Vec<String> {
    ["prlimit", limit].map(str::to_owned).to_vec()
}

/// A command in front of another one, which runs it as a user that may have so many threads.
fn few_threads(threads: u32, user: u32) -> Vec<String> {
    let ids = [format!("--reuid={user}"), format!("--regid={user}")];
    let setpriv = ["setpriv", "--clear-groups"].map(str::to_owned).to_vec();
    [setpriv, ids.to_vec(), limited(&format!("--nproc={threads}"))].concat()
}

/// Makes a user the owner of a folder and of all that is in it.
fn give(folder: &Path, user: u32) {
    chown(folder, Some(user), Some(user)).expect("root may");
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        if path.is_dir() {
            give(&path, user);
        } else {
            chown(path, Some(user), Some(user)).expect("root may");
        }
    }
}

impl World {
    /// Puts the program and the file that is imported where every user may read them.
    fn let_others_run(&mut self, folder: &Path) {
        let (program, file) = (folder.join("lightclient"), folder.join("chain.bin"));
        // By another process: one that another test is just starting would keep a file open that is written here.
        let made = std::process::Command::new("cp").arg(&self.binary).arg(&program).status();
        assert!(made.is_ok_and(|status| status.success()), "a copy of the program");
        fs::copy(&self.file, &file).expect("a copy");
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("permissions");
        (self.binary, self.file) = (program, file);
    }
}
