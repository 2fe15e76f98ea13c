//! The dispatcher as an executable of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    dispatcher::main(std::env::args().skip(1))
}
