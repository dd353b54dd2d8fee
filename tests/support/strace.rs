//! Finds the addresses that a program passes to the kernel, with strace.

use std::collections::HashSet;
use std::env;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Returns whether strace can trace programs on this machine. If not, prints what is skipped.
///
/// # Panics
/// If strace cannot trace and `CI` is `true`: in CI, a skipped test would look like a passed one.
pub fn can_trace() -> bool {
    let status = Command::new("strace").args(["-f", "true"]).stderr(Stdio::null()).status();
    let can = status.is_ok_and(|status| status.success());
    if !can {
        let message = "SKIPPED, no strace that may trace: what the kernel sees with a proxy\n";
        assert!(env::var("CI").as_deref() != Ok("true"), "{message}");
        // Written directly, because the test harness hides what `eprintln` prints in tests that pass.
        io::stderr().write_all(message.as_bytes()).ok();
    }
    can
}

/// Returns the command under strace, which logs all calls that could pass a peer's address to the kernel.
pub fn traced(command: &Command, log: &Path) -> Command {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o"]).arg(log);
    traced.arg(command.get_program()).args(command.get_args());
    let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    traced.envs(set.collect::<Vec<(&OsStr, &OsStr)>>());
    traced
}

/// Returns each internet address in strace's log as `ip:port`.
///
/// # Panics
/// If an address cannot be parsed, because the result would lack it.
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
