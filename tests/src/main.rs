//! The `dueflow` command, built beside the tests that run it as a process: cargo tells a
//! test where the executables of its own package are, and of no other.

use std::process::ExitCode;

fn main() -> ExitCode {
    operator::main(std::env::args_os())
}
