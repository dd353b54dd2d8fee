//! What is no fault of a data folder: that it is read-only, or that the clock is behind its chain.

use super::{LastEnd, STORED, copy_of, program, template};
use crate::support::faketime::{self, with_clock};
use crate::support::run::Running;
use crate::support::wait::PATIENCE;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn a_read_only_folder_is_read_and_nothing_is_written_for_it() {
    let folder = copy_of(&template(LastEnd::Closed));
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
fn a_clock_that_is_behind_the_chain_is_no_fault_of_what_is_stored() {
    let Some(library) = faketime::library("what verify says at a wrong clock") else { return };
    let folder = copy_of(&template(LastEnd::Closed));
    for time in ["@2009-06-01 00:00:00", "@1971-01-01 00:00:00"] {
        for args in [&["verify", "--json"][..], &["verify", "--repair", "--json"]] {
            let program = with_clock(program(folder.path()), &library, time);
            let ended = program.run(args).expect_success();
            assert!(ended.stderr.contains("behind the stored chain"), "{}", ended.stderr);
            assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
            let verified = ended.json();
            assert_eq!((&verified["ok"], &verified["height"]), (&true.into(), &STORED.into()));
        }
    }
    assert!(!folder.path().join("regtest/headers.damaged").exists(), "nothing was cut");
}
