//! The fault matrix: every misbehaviour of peers, clients and servers, and what the program does about it. The tables are
//! `docs/faults.md`.

mod clients;
mod control;
mod names;
mod page;
mod peers;
mod said;

use crate::support::wait::Watched;
use page::{Measured, Table, check};
use std::thread;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

/// How many rows are measured at the same time: most of their time is waiting.
const WORKERS: usize = 16;

const INTRODUCTION: &str = "\
# What faults do

What the program does when peers, clients, name servers and proxies misbehave. A test (`tests/it/fault_matrix`) makes this page by
running the program against each of them, and fails if something on it is no longer so: `UPDATE_DOCS=1 cargo test --test it
fault_matrix` writes the page again. Times and peaks of memory are upper bounds, which hold for a debug build on a busy machine
with two cores. Words in capitals stand for what differs from run to run: PEER, SERVER and PROXY for the addresses of those that
misbehave, FOLDER for the data folder, PROCESS, HASH, TIME, DATE, BYTES, and N for a measured number.
";

#[test]
fn the_page_about_faults_says_what_the_program_does() {
    let tables = vec![
        peers::table(),
        names::of_dns(),
        names::of_proxies(),
        clients::over_http(),
        clients::inbound(),
        control::clients(),
        control::servers(),
    ];
    check(INTRODUCTION, &measure(tables));
}

/// Measures all rows, some at the same time.
fn measure(tables: Vec<Table>) -> Vec<Measured> {
    let (mut measured, mut jobs) = (Vec::new(), Vec::new());
    for (at, Table { title, text, columns, jobs: more }) in tables.into_iter().enumerate() {
        jobs.extend(more.into_iter().enumerate().map(|(place, job)| (at, place, job)));
        measured.push(Measured { title, text, columns, rows: Vec::new() });
    }
    // Taken from the end.
    jobs.reverse();
    let (jobs, rows) = (Watched::new(jobs), Watched::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some((at, place, job)) = jobs.change(Vec::pop) {
                    let row = job();
                    rows.change(|rows| rows.push((at, place, row)));
                }
            });
        }
    });
    let mut rows = rows.change(std::mem::take);
    rows.sort_by_key(|(at, place, _)| (*at, *place));
    for (at, _, row) in rows {
        measured[at].rows.push(row);
    }
    measured
}
