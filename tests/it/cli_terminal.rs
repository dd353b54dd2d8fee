//! What is seen on a terminal: results above the bar, and nothing of the bar left in them.

use crate::support::chain::{extend_chain, regtest_chain};
use crate::support::peer::Announce;
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::{light_client, sync_with};
use crate::support::wait::{PATIENCE, Watched, poll_for};
use lightclient::primitives::Network;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::Read;
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

/// A command on a terminal of its own, and everything that was written there.
struct Terminal {
    columns: usize,
    child: Child,
    written: Arc<Watched<Vec<u8>>>,
}

impl Terminal {
    fn start(command: Command, columns: u16) -> Self {
        Self::of_kind(command, columns, "xterm")
    }

    fn of_kind(mut command: Command, columns: u16, term: &str) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let screen = openpt(flags).expect("a terminal");
        grantpt(&screen).expect("a terminal");
        unlockpt(&screen).expect("a terminal");
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&screen, size).expect("a size");
        let name = ptsname(&screen, Vec::new()).expect("a name").into_string().expect("text");
        let side = || File::options().read(true).write(true).open(&name).expect("the other side");
        command.stdin(side()).stdout(side()).stderr(side());
        command.env("TERM", term);
        let child = command.spawn().expect("it starts");
        let written: Arc<Watched<Vec<u8>>> = Arc::default();
        let shared = Arc::clone(&written);
        thread::spawn(move || {
            let (mut screen, mut buffer) = (File::from(screen), [0; 4096]);
            // When the last one has left the terminal, reading it fails.
            while let Ok(length @ 1..) = screen.read(&mut buffer) {
                shared.change(|written| written.extend_from_slice(&buffer[..length]));
            }
        });
        Self { columns: usize::from(columns), child, written }
    }

    /// The lines on the screen, those that go on in the next row put together.
    fn lines(&self) -> Vec<String> {
        let mut screen = Screen { columns: self.columns, ..Screen::default() };
        screen.write(&String::from_utf8_lossy(&self.written.lock()));
        let mut lines = vec![String::new()];
        for row in screen.rows {
            let is_full = row.len() == self.columns;
            lines.last_mut().expect("one at least").extend(row);
            if !is_full {
                lines.push(String::new());
            }
        }
        lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
    }

    fn wait_for(&self, what: &str) {
        poll_for(what, PATIENCE, || {
            self.lines().iter().any(|line| line.contains(what)).then_some(())
        });
    }

    fn interrupt(&mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("it runs");
        poll_for("its end", PATIENCE, || self.child.try_wait().expect("a child")).code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// As much of a terminal as bars need.
#[derive(Default)]
struct Screen {
    columns: usize,
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Screen {
    fn write(&mut self, text: &str) {
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            match next {
                '\r' => self.column = 0,
                '\n' => self.row += 1,
                '\u{1b}' => {
                    let mut number = String::new();
                    // After the bracket, digits and then a letter.
                    let letter = rest.find(|c| {
                        number.extend(Some(*c).filter(char::is_ascii_digit));
                        c.is_ascii_alphabetic()
                    });
                    self.obey(letter, number.parse().unwrap_or(1));
                }
                _ => self.put(next),
            }
        }
    }

    fn obey(&mut self, letter: Option<char>, number: usize) {
        match letter {
            Some('A') => self.row = self.row.saturating_sub(number),
            Some('B') => self.row += number,
            Some('C') => self.column += number,
            Some('D') => self.column = self.column.saturating_sub(number),
            Some('K') => self.current().clear(),
            Some('J') => {
                let (row, column) = (self.row, self.column);
                self.current().truncate(column);
                self.rows.truncate(row + 1);
            }
            // Colours, and whether the cursor is seen.
            Some('m' | 'h' | 'l') => {}
            other => panic!("{other:?} is not known"),
        }
    }

    fn current(&mut self) -> &mut Vec<char> {
        let rows = self.rows.len().max(self.row + 1);
        self.rows.resize(rows, Vec::new());
        &mut self.rows[self.row]
    }

    fn put(&mut self, next: char) {
        if self.column == self.columns {
            (self.row, self.column) = (self.row + 1, 0);
        }
        let column = self.column;
        let row = self.current();
        row.resize(row.len().max(column + 1), ' ');
        row[column] = next;
        self.column += 1;
    }
}

#[test]
fn new_blocks_are_whole_lines_above_the_bar_at_any_width() {
    for columns in [34, 50, 80, 120] {
        let mut headers = regtest_chain(100, 1, 600);
        let peer = Script::honest().start(&SharedChain::new(Network::Regtest, &headers));
        let program = light_client(BINARY, Network::Regtest);
        let command = program.command(&sync_with(&[&peer], &["--follow"]));
        let mut terminal = Terminal::start(command, columns);
        terminal.wait_for("following");
        peer.record()
            .wait_for("sendheaders", PATIENCE, |seen| seen.has("sendheaders").then_some(()));
        for count in 1..=3 {
            headers = extend_chain(&headers, 1, count, 600);
            peer.extend(&headers[headers.len() - 1..], Announce::AsAsked);
            terminal.wait_for(&headers.last().expect("a header").hash().to_string());
        }
        terminal.wait_for("following");
        assert_eq!(terminal.interrupt(), Some(130));
        terminal.wait_for("interrupted");
        let lines = terminal.lines();
        for height in 101..=103 {
            let hash = headers[height].hash();
            let told = format!("{height}  {hash}  ");
            assert!(lines[height - 100].starts_with(&told), "{columns} columns: {lines:#?}");
        }
        assert!(lines[0].starts_with("caught up at 100  "), "{columns} columns: {lines:#?}");
        assert!(lines[4].starts_with("regtest at height 103: "), "{columns} columns: {lines:#?}");
    }
}

/// Runs a sync that follows until it has caught up, and returns everything that its terminal was sent.
fn followed(term: &str, locale: &str) -> String {
    let peer = Script::honest();
    let peer = peer.start(&SharedChain::new(Network::Regtest, &regtest_chain(100, 1, 600)));
    let program = light_client(BINARY, Network::Regtest);
    let mut command = program.command(&sync_with(&[&peer], &["--follow", "--color", "auto"]));
    command.env("LC_ALL", locale);
    let mut terminal = Terminal::of_kind(command, 80, term);
    poll_for("the sync", PATIENCE, || {
        let status = program.run(&["status", "--json"]);
        (status.code == Some(0) && status.json()["following"] == true).then_some(())
    });
    kill_process(Pid::from_child(&terminal.child), Signal::INT).expect("it runs");
    poll_for("its end", PATIENCE, || terminal.child.try_wait().expect("a child"));
    let written = terminal.written.lock().clone();
    String::from_utf8_lossy(&written).into_owned()
}

#[test]
fn a_dumb_terminal_gets_plain_text() {
    for term in ["dumb", ""] {
        let written = followed(term, "C.UTF-8");
        assert!(!written.contains('\u{1b}'), "{term:?}: {written:?}");
    }
    let written = followed("xterm", "C");
    assert!(written.is_ascii() && written.contains("looking for peers"), "{written:?}");
}

#[test]
fn a_narrow_terminal_gets_fewer_columns() {
    let program = light_client(BINARY, Network::Regtest);
    let peer = Script::honest();
    let peer = peer.start(&SharedChain::new(Network::Regtest, &regtest_chain(10, 1, 600)));
    program.run(&sync_with(&[&peer], &[])).expect_success();
    for (columns, names) in [
        (160, &["height", "time (UTC)", "hash", "bits", "difficulty"][..]),
        (80, &["height", "hash"]),
        (100, &["height", "time (UTC)", "hash"]),
    ] {
        let mut terminal = Terminal::start(program.command(&["query", "0..10"]), columns);
        terminal.wait_for("      10  ");
        let ended = poll_for("its end", PATIENCE, || terminal.child.try_wait().expect("a child"));
        assert_eq!(ended.code(), Some(0));
        let lines = terminal.lines();
        let head: Vec<&str> =
            lines[0].split("  ").map(str::trim).filter(|name| !name.is_empty()).collect();
        assert_eq!(head, names, "{columns} columns");
        let longest = lines.iter().map(|line| line.chars().count()).max();
        assert!(longest.is_some_and(|longest| longest <= usize::from(columns)), "{lines:#?}");
    }
}
