//! The `lightclient` program: see the library of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    lightclient::run_program()
}
