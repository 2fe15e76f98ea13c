# `just` lists the recipes.
default:
    @just --list

# Everything CI runs.
ci:
    bash .ci/run

# Format, lint and document.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# All tests; with cargo-nextest when it is installed.
test:
    if command -v cargo-nextest >/dev/null; then cargo nextest run --workspace; else cargo test --workspace; fi

# The demo, with any options: `just demo --payments 100000`.
demo *options:
    cargo run --release -- demo {{ options }}

# All benchmarks.
bench:
    cargo bench --workspace

# What SQS FIFO does, asked of the local SQS and of ministack (needs Python; a port below is taken).
sqs-conformance port="4566":
    bash local/sqs-fifo/tests/conformance/ministack.sh {{ port }}

# AWS CLI v1, the newest boto3 and an old one against `dueflow local` (needs Python).
aws-clients:
    bash local/tests/aws_clients/run.sh

# Licences, sources and duplicate versions of dependencies (needs cargo-deny).
deny:
    cargo deny check licenses bans sources

# Seed after seed of real processes that are killed and frozen: `just chaos 3600`.
chaos seconds="60":
    CHAOS_SECONDS={{ seconds }} cargo test -p tests --test chaos chaos_for -- --ignored --nocapture

# A transaction service that is down for so long, or can take half as much: `just backpressure 600`.
backpressure seconds="60":
    cargo bench -p tests --bench backpressure -- {{ seconds }}

# Seeds of the simulation: `just simulate 0..10000`.
simulate seeds="0..10000":
    DUEFLOW_SIMULATION_SEEDS={{ seeds }} cargo test -p tests --test simulation whatever_happens -- --nocapture

# The larger scenarios of the protocol's model.
model:
    cargo test -p tests --test model -- --ignored

# Removes each guard in a copy and demands that its test fails: `just guards`, `just guards archive`.
guards name="":
    DUEFLOW_GUARDS={{ name }} cargo test -p tests --test guards each_guard -- --ignored --nocapture

# One fuzz target for so long (needs cargo-fuzz): `just fuzz answers 120`.
fuzz target seconds="120":
    cp Cargo.lock tests/fuzz/Cargo.lock
    RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir tests/fuzz -s none {{ target }} -- -max_total_time={{ seconds }}
