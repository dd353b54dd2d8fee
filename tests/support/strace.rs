//! What a program gives the kernel, as strace sees it.

use std::collections::HashSet;
use std::env;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Whether strace may trace here; says what is skipped if not.
///
/// # Panics
/// If it may not and `CI` is `true`: there a skipped test would look like a passed one.
pub fn can_trace() -> bool {
    let status = Command::new("strace").args(["-f", "true"]).stderr(Stdio::null()).status();
    let can = status.is_ok_and(|status| status.success());
    if !can {
        let message = "SKIPPED, no strace that may trace: what the kernel sees with a proxy\n";
        assert!(env::var("CI").as_deref() != Ok("true"), "{message}");
        // Past the test harness, which keeps what `eprintln` says in tests that pass to itself.
        io::stderr().write_all(message.as_bytes()).ok();
    }
    can
}

/// The command under strace, which writes down whatever could name a peer to the kernel.
pub fn traced(command: &Command, log: &Path) -> Command {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o"]).arg(log);
    traced.arg(command.get_program()).args(command.get_args());
    let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    traced.envs(set.collect::<Vec<(&OsStr, &OsStr)>>());
    traced
}

/// `ip:port` of each internet address in strace's lines.
///
/// # Panics
/// If one cannot be read: it would be missing.
pub fn addresses_in(log: &str) -> HashSet<String> {
    let between = |line: &str, from: &str, to: &str| {
        let rest = line.split_once(from)?.1;
        Some(rest.split_once(to)?.0.to_owned())
    };
    let address = |line: &str| {
        let port = between(line, "_port=htons(", ")")?;
        let four = between(line, "inet_addr(\"", "\"");
        let ip = four.or_else(|| between(line, "inet_pton(AF_INET6, \"", "\""))?;
        Some(format!("{ip}:{port}"))
    };
    let internet = log.lines().filter(|line| line.contains("AF_INET"));
    internet.map(|line| address(line).unwrap_or_else(|| panic!("no address: {line}"))).collect()
}
