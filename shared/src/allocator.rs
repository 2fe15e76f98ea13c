//! The allocator of every executable: jemalloc, for Rust and, where the platform allows it, for C
//! (`SQLite` in the local `DynamoDB`). [ADR-20](../docs/adr/0020-jemalloc.md) has the figures.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;
