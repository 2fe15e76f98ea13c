//! The confirmer as an executable of its own.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    confirmer::main(std::env::args().skip(1))
}
