//! The confirmer as an executable of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    confirmer::main(std::env::args().skip(1))
}
