//! The `dueflow` command, built beside the tests that run it as a process: cargo tells a
//! test where the executables of its own package are, and of no other.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    operator::main(std::env::args_os())
}
