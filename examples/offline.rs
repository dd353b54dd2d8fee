//! A sync of real headers without internet: `cargo run --release --example offline`.
//!
//! A peer on loopback serves the first 32,260 real mainnet headers. The program downloads and checks them, is
//! interrupted half-way, continues from there, and answers queries from the stored chain. Every command is printed
//! before its output, so that it can be repeated by hand.
//!
//! `cargo run --release --example offline -- --serve` only starts the peer with a slow connection, and prints the
//! peer's address, to try commands by hand. The peer ends when standard input ends.
#![allow(clippy::print_stdout, reason = "showing what happens is what this program is for")]

// Included by its path, because `support` is not a crate.
#[allow(dead_code, reason = "a part of what the tests use is enough for this example")]
#[path = "../tests/support/mod.rs"]
mod support;

use lightclient::primitives::Network;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use support::chain::mainnet_start;
use support::peer::ScriptedPeer;
use support::record::Seen;
use support::run::{Finished, Running, command};
use support::script::Script;
use support::served::SharedChain;
use support::wait::{PATIENCE, poll_for};
use tempfile::TempDir;

/// The last header of the fixture: the fourth block of the first period with another difficulty.
const TIP_HEIGHT: u32 = 32_259;
const TIP: &str = "000000008a5b32a0610b2b0eeb5390e30e157324bf28c09ab83ccbb99184c38b";

/// Bits of block 32256, the first ever to differ from genesis'.
const FIRST_NEW_BITS: &str = "1d00d86a";

/// Bytes per second of the slow peer. The whole chain takes two seconds, which leaves time for an interruption.
const SLOW: f64 = 1_300_000.0;

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some("--serve") {
        serve();
        return ExitCode::SUCCESS;
    }
    match offline() {
        Ok(()) => {
            println!(
                "\nSeen: {} real headers verified and stored, one interruption, one resumption, no fault.",
                TIP_HEIGHT + 1
            );
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("\nNot as expected: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn serve() {
    let chain = SharedChain::new(Network::Mainnet, &mainnet_start());
    let peer = Script::honest().rate(SLOW / 3.0).start(&chain);
    println!("{}", peer.connect());
    // An error of standard input ends the peer too.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
}

fn offline() -> Result<(), String> {
    let binary = build()?;
    let chain = SharedChain::new(Network::Mainnet, &mainnet_start());
    let slow = Script::honest().rate(SLOW).start(&chain);
    let fast = Script::honest().start(&chain);
    let shell = Shell::new(binary)?;

    let half_way = interrupted_sync(&shell, &slow)?;
    shell.run(&sync_from(&fast), 0)?;
    expect(
        shell.height_and_hash()? == (TIP_HEIGHT, TIP.to_owned()),
        "the whole chain is not stored",
    )?;
    println!("# It went on from height {half_way}.");

    let retarget = shell.run(&["query", "32256"], 0)?;
    expect(
        retarget.stdout.contains(FIRST_NEW_BITS),
        "block 32256 has not the bits of the first retarget",
    )?;
    let tip = shell.run(&["query", "tip"], 0)?;
    expect(tip.stdout.contains(TIP), "the tip is another one")?;
    shell.run(&["status"], 0)?;

    let again = [sync_from(&fast), vec!["--json".to_owned()]].concat();
    let again = shell.run(&again, 0)?.json();
    expect(again["headers_added"] == 0, "a second sync added headers")?;
    shell.run(&["verify"], 0)?;
    Ok(())
}

/// Starts a sync with the slow peer, stops it as Ctrl-C does, and returns the height that the sync reached.
fn interrupted_sync(shell: &Shell, peer: &ScriptedPeer) -> Result<u32, String> {
    let mut sync = shell.start(&sync_from(peer));
    poll_for("half of the headers", PATIENCE, || {
        let half = peer.record().look(Seen::answered) >= 18;
        (half || !sync.is_running()).then_some(())
    });
    println!("^C");
    sync.interrupt();
    shown(sync.wait(PATIENCE), 130)?;
    let (height, _) = shell.height_and_hash()?;
    expect(
        height > 0 && height < TIP_HEIGHT,
        "the interruption left nothing to resume, or nothing to do",
    )?;
    Ok(height)
}

/// Returns the arguments of a sync with one peer. Mainnet's minimum chain work is far above the work of its first
/// 32,260 headers, so without `--min-chain-work 0`, the program would not report the sync as complete.
fn sync_from(peer: &ScriptedPeer) -> Vec<String> {
    ["sync", "--mainnet", "--connect", &peer.connect(), "--min-chain-work", "0"]
        .map(str::to_owned)
        .to_vec()
}

fn expect(condition: bool, otherwise: &str) -> Result<(), String> {
    condition.then_some(()).ok_or_else(|| otherwise.to_owned())
}

/// Runs commands as a user would type them, with a temporary data folder.
struct Shell {
    binary: PathBuf,
    data: TempDir,
}

impl Shell {
    fn new(binary: PathBuf) -> Result<Self, String> {
        let data =
            TempDir::with_prefix("lightclient-offline-").map_err(|error| error.to_string())?;
        println!("$ export LIGHTCLIENT_DATA_DIR={}", data.path().display());
        Ok(Self { binary, data })
    }

    fn command<S: AsRef<str>>(&self, args: &[S]) -> Command {
        let mut command = command(&self.binary);
        command.env("LIGHTCLIENT_DATA_DIR", self.data.path()).args(args.iter().map(AsRef::as_ref));
        command
    }

    fn start<S: AsRef<str>>(&self, args: &[S]) -> Running {
        let words: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
        println!("\n$ lightclient {}", words.join(" "));
        Running::start(self.command(args), Stdio::null())
    }

    fn run<S: AsRef<str>>(&self, args: &[S], code: i32) -> Result<Finished, String> {
        shown(self.start(args).wait(PATIENCE), code)
    }

    /// Returns height and hash of the stored tip, without printing the command.
    fn height_and_hash(&self) -> Result<(u32, String), String> {
        let status = Running::start(self.command(&["status", "--json"]), Stdio::null());
        let status = status.wait(PATIENCE).expect_success().json();
        let height = status["height"].as_u64().and_then(|height| u32::try_from(height).ok());
        let hash = status["hash"].as_str().map(str::to_owned);
        height.zip(hash).ok_or_else(|| format!("status names no height and hash: {status}"))
    }
}

/// Prints the output of a command, and checks its exit code.
fn shown(finished: Finished, code: i32) -> Result<Finished, String> {
    print!("{}{}", finished.stderr, finished.stdout);
    if finished.code == Some(code) {
        return Ok(finished);
    }
    Err(format!("the exit code is {:?}, not {code}", finished.code))
}

/// Builds the program from the same sources as this example, and returns its path.
///
/// `cargo run --example` builds the library only. Naming the example again makes the features of all dependencies the
/// same, so that nothing but the program itself is left to build.
fn build() -> Result<PathBuf, String> {
    let own = env::current_exe().map_err(|error| error.to_string())?;
    let folder =
        own.parent().and_then(Path::parent).ok_or("this example is not in a target folder")?;
    let binary = folder.join("lightclient");
    let Some(cargo) = env::var_os("CARGO") else {
        let how = "start it as: cargo run --release --example offline";
        return binary.is_file().then_some(binary).ok_or_else(|| how.to_owned());
    };
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    eprintln!("building lightclient: the first time takes minutes");
    let built = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--bin",
            "lightclient",
            "--example",
            "offline",
            "--profile",
            profile,
        ])
        .arg("--target-dir")
        .arg(folder.parent().unwrap_or(folder))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .map_err(|error| error.to_string())?;
    expect(built.success(), "the program could not be built")?;
    Ok(binary)
}
