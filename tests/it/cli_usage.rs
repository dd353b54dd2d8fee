//! Settings, mistakes and exit codes, as users meet them.

use crate::support::run::{Finished, Program, command};
use std::fs;
use std::path::Path;

fn program() -> Program {
    Program::new(env!("CARGO_BIN_EXE_lightclient"))
}

/// Asserts that a command failed with that code and told why in one line.
#[track_caller]
fn told(finished: Finished, code: i32, said: &str) {
    let finished = finished.expect_code(code);
    assert!(finished.stderr.starts_with("error: "), "{}", finished.stderr);
    assert!(finished.stderr.contains(said), "{said:?} is not in {:?}", finished.stderr);
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
    assert_eq!(finished.stdout, "");
}

/// What is typed, and a part of what is said of it.
const MISTAKES: &[(&[&str], &str)] = &[
    (&["qurey", "5"], "a similar subcommand exists: 'query'"),
    (&["query"], "<WHAT>"),
    (&["query", "--jsno", "5"], "a similar argument exists: '--json'"),
    (&["query", "abc"], "expected a height, a hash, tip, tip-6, or a negative number"),
    (&["query", "genesis"], "expected a height, a hash, tip"),
    (&["query", "00000000839a8e68"], "16 hex digits, 64 expected"),
    (&["query", "5", "--at", "2009-01-12"], "cannot be used with"),
    (&["query", "--at", "yesterday"], "YYYY-MM-DD"),
    (&["query", "1..x"], "a range is A..B, as 100..200"),
    (&["query", "--", "-0"], "expected a height, a hash, tip, tip-6, or a negative number"),
    (
        &["query", "tip", "--network", "bitcoin"],
        "unknown network \"bitcoin\": expected mainnet, testnet3",
    ),
    (&["query", "tip", "--testnet4", "--signet"], "testnet4 and signet are both chosen"),
    (&["query", "tip", "--signet-challenge", "5"], "expected a challenge script as hex digits"),
    (&["query", "tip", "-regtest", "--signet-challenge", "51"], "a signet challenge and regtest"),
    (&["query", "tip", "--color", "red"], "possible values: auto, always, never"),
    (&["query", "tip", "-v", "-q"], "cannot be used with"),
    #[cfg(not(feature = "parquet"))]
    (&["export", "headers.parquet"], "build it with `cargo install --path . --features parquet`"),
    #[cfg(not(feature = "parquet"))]
    (&["import", "headers", "--format", "parquet"], "built without Parquet"),
    (&["export", "headers.xlsx"], "use --format"),
    (&["export", "headers", "--format", "xlsx"], "expected bin, hex, csv, jsonl"),
    (&["export", "-"], "standard input and output have no extension: use --format"),
    (&["export", "hints"], "no file is named: lightclient export hints FILE"),
    (&["export", "one.bin", "two.bin"], "is no format"),
    (&["import", "my.hints"], "a hints file holds no headers"),
    (&["import", "a.bin", "--min-chain-work", "lots"], "chain work as 1 to 64 hex digits"),
    (&["sync", "--connect", "http://host"], "expected HOST[:PORT]"),
    (&["sync", "--peers", "0"], "a number from 1 to 125"),
    (&["sync", "--timeout", "0"], "expected whole seconds above 0, got \"0\""),
    (&["sync", "--timeout", "abc"], "expected whole seconds above 0, got \"abc\""),
    (&["sync", "--timeout", "-1"], "expected whole seconds above 0, got \"-1\""),
    (&["serve", "--timeout", "2"], "`serve` runs until it is stopped"),
    (&["serve", "--rpc-user", "a:b", "--rpc-password", "c"], "a user name has no colon"),
    (&["sync", "--stop-height", "abc"], "expected a height, a whole number from 0 on"),
    (&["sync", "--connect", "127.0.0.1:99999"], "expected a port from 1 to 65535"),
    (&["sync", "--trace", "hex"], "as --trace=hex"),
    (&["query", "--trace", "hex"], "as --trace=hex"),
    (&["query", "99999999999999999999"], "99999999999999999999 is greater than any height"),
    (&["peers", "--crawl", "abc"], "expected a whole number above 0"),
    (&["peers", "--crawl", "-1"], "expected a whole number above 0"),
    (&["ping", "127.0.0.1:1", "-c", "0"], "expected a whole number above 0"),
    (&["ping", "127.0.0.1:1", "--timeout", "0"], "expected whole seconds from 1 to 3600"),
    (&["export", "a.bin", "--from", "top"], "expected a height, a hash, tip"),
    (&["export", "csv", "a.bin", "--format", "bin"], "cannot be used with"),
    (&["export", "-", "--format", "csv", "--json"], "leave --json out"),
    (&["import", "a.bin", "--from", "-10"], "the tip is not known before the command has run"),
    (&["import", "a.bin", "--to", "tip"], "the tip is not known before the command has run"),
    (
        &["import", "a.bin", "--from", "10", "--to", "5"],
        "the range ends before it starts: from height 10 to 5",
    ),
    (&["import", "csv"], "no file is named: lightclient import csv FILE"),
    (&["import", "-"], "use --format bin, hex, csv or jsonl\n"),
    (
        &["block", "abc"],
        "expected a height, a hash, tip, tip-6, or a negative number (-1 is the tip)",
    ),
    (&["block", "1..x"], "one block expected, got a range"),
    (&["block", "5", "--verbosity", "2"], "--verbosity 1 and 2 are for --json"),
    (&["block", "5", "--verbosity", "3", "--json"], "possible values: 0, 1, 2"),
    (&["block", "5", "--raw", "-", "--json"], "leave --json out, or name a file"),
    (&["man", "--json"], "a manual page is roff"),
    (&["completions", "bash", "--json"], "leave --json out"),
    (&["man", "query", "extra"], "there is no command \"query extra\""),
    (&["man", "nothing"], "there is no command \"nothing\""),
    (&["mempool", "--address", "a\x1b[2Jb"], "a\\u{1b}[2Jb is not a valid address"),
];

#[test]
fn a_usage_error_is_one_helpful_line() {
    let program = program();
    for (args, said) in MISTAKES {
        told(program.run(args), 2, said);
    }
    assert!(!program.data_dir().exists(), "nothing was made");
}

#[test]
fn with_nothing_stored_commands_advise_a_sync_and_create_no_files() {
    let program = program();
    for args in [&["query", "tip"][..], &["status"], &["verify"], &["export", "x.bin"]] {
        told(program.run(args), 6, "nothing is stored yet for mainnet");
    }
    assert!(!program.data_dir().exists());
}

#[test]
fn an_unreadable_data_folder_is_not_reported_as_empty() {
    let folder = tempfile::tempdir().expect("a folder");
    // Permissions keep nobody out who runs the tests as root: a file in the folder's place does.
    let file = folder.path().join("data");
    fs::write(&file, "no folder").expect("a file");
    let program = Program::at(env!("CARGO_BIN_EXE_lightclient"), &file);
    for args in [&["query", "tip"][..], &["status"], &["verify"], &["export", "x.bin"]] {
        told(program.run(args), 1, "data/mainnet/headers: Not a directory");
    }
}

#[test]
fn flags_override_the_environment_which_overrides_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("lightclient.toml");
    let at = || Program::at(env!("CARGO_BIN_EXE_lightclient"), folder.path());
    let network = |program: &Program, args: &[&str]| {
        let said = program.run(args).expect_code(6).stderr;
        let name = said.split("for ").nth(1).and_then(|rest| rest.split(' ').next());
        name.unwrap_or_default().to_owned()
    };
    assert_eq!(network(&at(), &["status"]), "mainnet");
    fs::write(&config, "network = \"regtest\"\n").expect("a file");
    assert_eq!(network(&at(), &["status"]), "regtest");
    let with_env = at().env("LIGHTCLIENT_NETWORK", "signet");
    assert_eq!(network(&with_env, &["status"]), "signet");
    assert_eq!(network(&with_env, &["status", "--testnet4"]), "testnet4");
    assert_eq!(network(&with_env, &["status", "--network", "testnet3"]), "testnet3");
    let elsewhere = folder.path().join("other.toml");
    fs::write(&elsewhere, "network = \"testnet4\"\n").expect("a file");
    let elsewhere = elsewhere.to_str().expect("text");
    assert_eq!(network(&at(), &["status", "--config", elsewhere]), "testnet4");
    for (args, chosen) in [
        (&["--network", "main"][..], "mainnet"),
        (&["--network", "MAINNET"], "mainnet"),
        (&["--network", "test"], "testnet3"),
        (&["--chain", "Signet"], "signet"),
        (&["--chain=main"], "mainnet"),
        (&["-chain=main"], "mainnet"),
        (&["-regtest"], "regtest"),
        (&["-testnet"], "testnet3"),
        (&["--testnet"], "testnet3"),
        (&["-testnet4"], "testnet4"),
    ] {
        assert_eq!(network(&with_env, &[&["status"], args].concat()), chosen, "{args:?}");
    }
    let custom = at().run(&["status", "-signetchallenge=51"]).expect_code(6).stderr;
    assert!(custom.contains("for signet in") && custom.contains("/signet-54d26fbd"), "{custom}");
}

#[test]
fn errors_in_settings_name_the_mistake() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("lightclient.toml");
    let at = || Program::at(env!("CARGO_BIN_EXE_lightclient"), folder.path());
    for (text, said) in [
        ("peer = 8", "unknown key \"peer\": the keys are network, signet-challenge, data-dir"),
        ("peers = 0", "peers: expected a number from 1 to 125, got \"0\""),
        ("network = \"bitcoin\"", "network: expected mainnet, testnet3"),
        ("peers = 8\n[peers", "line 2"),
    ] {
        fs::write(&config, text).expect("a file");
        told(at().run(&["status"]), 2, said);
    }
    fs::write(&config, "").expect("a file");
    let with_env = at().env("LIGHTCLIENT_TIMEOUT", "soon");
    told(with_env.run(&["status"]), 2, "environment variable LIGHTCLIENT_TIMEOUT: expected whole");
    told(at().run(&["status", "--config", "gone.toml"]), 2, "configuration file gone.toml");
}

#[test]
fn settings_that_are_not_used_may_be_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("lightclient.toml");
    fs::write(&config, "peers = 0").expect("a file");
    let wrong = Program::at(env!("CARGO_BIN_EXE_lightclient"), folder.path())
        .env("LIGHTCLIENT_NETWORK", "bitcoin")
        .env("LIGHTCLIENT_CONFIG", "gone.toml");
    for args in [&["completions", "bash"][..], &["man"], &["man", "sync"]] {
        assert_eq!(wrong.run(args).expect_success().stderr, "", "{args:?}");
    }
    fs::remove_file(&config).expect("the file");
    told(wrong.run(&["status"]), 2, "environment variable LIGHTCLIENT_NETWORK: expected");
    let wrong = Program::at(env!("CARGO_BIN_EXE_lightclient"), folder.path())
        .env("LIGHTCLIENT_NETWORK", "bitcoin");
    told(wrong.run(&["status", "--regtest"]), 6, "nothing is stored yet for regtest");
}

#[test]
fn help_completions_and_the_manual_go_to_standard_output() {
    let program = program();
    for args in [&["--help"][..], &["query", "--help"], &["--version"], &["man"], &["man", "sync"]]
    {
        let finished = program.run(args).expect_success();
        assert!(!finished.stdout.is_empty() && finished.stderr.is_empty(), "{args:?}");
    }
    let version = program.run(&["--version"]).expect_success().stdout;
    let version = version.strip_prefix("lightclient ").expect("the program's name").trim();
    let (number, commit) = version.split_once(' ').unwrap_or((version, "()"));
    assert_eq!(number, env!("CARGO_PKG_VERSION"));
    assert!(commit.starts_with('(') && commit.ends_with(')'), "{version}");
    let page = program.run(&["man", "import"]).expect_success().stdout;
    assert!(page.contains(".SH NOTES\n.PP\nEvery header is checked"), "{page}");
    assert!(page.contains(".nf\n  lightclient import headers.bin\n"), "{page}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = program.run(&["completions", shell]).expect_success().stdout;
        assert!(script.contains("lightclient") && script.contains("query"), "{shell}");
    }
    let bare = command(Path::new(env!("CARGO_BIN_EXE_lightclient"))).output().expect("it runs");
    assert_eq!((bare.status.code(), bare.stdout.len()), (Some(2), 0));
    assert!(String::from_utf8_lossy(&bare.stderr).contains("Usage: lightclient"));
    told(program.run::<&str>(&[]), 2, "requires a subcommand");
}

#[test]
fn every_command_has_a_page_and_pages_refer_to_existing_pages() {
    let program = program();
    let page = program.run(&["man", "proof", "verify"]).expect_success().stdout;
    assert!(
        page.contains("lightclient proof verify") || page.contains("lightclient\\-proof"),
        "{page}"
    );
    for args in [&["man"][..], &["man", "sync"], &["man", "proof"]] {
        let page = program.run(args).expect_success().stdout;
        let version = format!("lightclient {}", env!("CARGO_PKG_VERSION"));
        assert!(
            page.lines().any(|line| line.starts_with(".TH ") && line.contains(&version)),
            "{page}"
        );
        assert!(!page.contains("help(1)"), "{page}");
    }
}

#[test]
fn all_pages_are_written_by_one_call_and_have_their_usual_sections() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("man1");
    let path = out.to_str().expect("text");
    let written = program().run(&["man", "--out", path]).expect_success().stdout;
    let names: Vec<&str> = written.lines().filter_map(|line| line.rsplit('/').next()).collect();
    for name in ["lightclient.1", "lightclient-sync.1", "lightclient-proof-verify.1"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for name in names {
        let page = fs::read_to_string(out.join(name)).expect("a page");
        for section in [".SH ENVIRONMENT", ".SH FILES", ".SH \"EXIT STATUS\""] {
            assert!(page.contains(section), "{name}: {section}");
        }
        assert!(page.contains("LIGHTCLIENT_DATA_DIR") && !page.contains("help(1)"), "{name}");
    }
}

/// What bash offers when a line is completed at its end.
fn completed(line: &str) -> Vec<String> {
    let script = r#"
        source <("$1" completions bash)
        read -ra COMP_WORDS <<< "$2"
        [[ $2 == *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _lightclient_words lightclient "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}" 2>/dev/null
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let binary = env!("CARGO_BIN_EXE_lightclient");
    let bash = command(Path::new("bash")).args(["-c", script, "bash", binary, line]).output();
    let text = String::from_utf8(bash.expect("bash").stdout).expect("text");
    text.lines().filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_offers_words_and_files_for_arguments_and_options_where_one_is_begun() {
    assert_eq!(completed("lightclient query "), ["tip"]);
    assert_eq!(completed("lightclient query t"), ["tip"]);
    // Nothing of ours: bash then offers files.
    for line in ["lightclient export csv ", "lightclient proof verify ", "lightclient import bin x"]
    {
        assert_eq!(completed(line), [""; 0], "{line}");
    }
    let formats = completed("lightclient export ");
    assert!(["bin", "csv", "hints"].iter().all(|name| formats.contains(&(*name).to_owned())));
    assert!(formats.iter().all(|word| !word.starts_with('-')), "{formats:?}");
    assert!(completed("lightclient query --").contains(&"--at".to_owned()));
    assert!(completed("lightclient ").contains(&"query".to_owned()));
    assert_eq!(completed("lightclient query --color a"), ["auto", "always"]);
}

#[test]
fn completions_list_the_formats() {
    let script = program().run(&["completions", "bash"]).expect_success().stdout;
    assert!(script.contains("bin hex csv jsonl"), "{script}");
}

#[cfg(target_os = "linux")]
#[test]
fn help_that_cannot_be_written_is_a_failure() {
    for args in [&["--help"][..], &["sync", "--help"], &["--version"], &["man"]] {
        let full = fs::File::options().write(true).open("/dev/full").expect("a device");
        let mut bare = command(Path::new(env!("CARGO_BIN_EXE_lightclient")));
        let ended = bare.args(args).stdout(full).output().expect("it runs");
        assert_eq!(ended.status.code(), Some(1), "{args:?}");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(
            said.starts_with("error: cannot write to standard output: No space left"),
            "{said}"
        );
    }
}

#[test]
fn an_unusable_data_folder_is_named_with_advice() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    let at = Program::at(env!("CARGO_BIN_EXE_lightclient"), &file);
    for args in [&["import", "csv", "/dev/null"][..], &["sync", "--no-dns"]] {
        let said = format!("cannot use {}/mainnet: ", file.display());
        let ended = at.run(args).expect_code(1);
        assert!(ended.stderr.starts_with(&format!("error: {said}")), "{}", ended.stderr);
        assert!(ended.stderr.ends_with(": choose another --data-dir\n"), "{}", ended.stderr);
    }
    let gone = folder.path().join("gone.csv");
    let gone = gone.to_str().expect("text");
    told(program().run(&["import", gone]), 1, "gone.csv: No such file or directory");
    told(program().run(&["import", gone]), 1, ": check the path");
}

#[test]
fn help_is_also_a_command() {
    let said = |args: &[&str]| {
        let run = command(Path::new(env!("CARGO_BIN_EXE_lightclient"))).args(args).output();
        run.expect("it runs")
    };
    for (asked, option) in
        [(&["help"][..], &["--help"][..]), (&["help", "sync"], &["sync", "--help"])]
    {
        let (asked, option) = (said(asked), said(option));
        assert_eq!((asked.status.code(), option.status.code()), (Some(0), Some(0)));
        assert!(!asked.stdout.is_empty() && asked.stdout == option.stdout);
    }
    let nothing = said(&["help", "nothing"]);
    assert_eq!(nothing.status.code(), Some(2));
    let told = String::from_utf8_lossy(&nothing.stderr);
    assert!(told.contains("unrecognized subcommand 'nothing'"), "{told}");
}
