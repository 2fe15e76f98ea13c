//! The stream-relay as an executable of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    stream_relay::main(std::env::args().skip(1))
}
