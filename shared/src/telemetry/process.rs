//! What this process uses, under the names that all clients of Prometheus give it, and what it
//! was built from.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use super::metric::Metric;

/// The commit that the executable was built from, or `unknown` (`build.rs`).
pub const REVISION: &str = env!("DUEFLOW_BUILT_FROM");
/// The version of dueflow.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

const BUILD: Metric = Metric::measured_gauge(
    "dueflow_build_info",
    "1; the labels say which version runs, and from which commit it was built",
);
const CPU: Metric =
    Metric::float_counter("process_cpu_seconds_total", "CPU time used, user and system");
const START: Metric =
    Metric::measured_gauge("process_start_time_seconds", "Unix time at which the process started");
const RESIDENT: Metric =
    Metric::measured_gauge("process_resident_memory_bytes", "Memory held in RAM");
const VIRTUAL: Metric = Metric::measured_gauge("process_virtual_memory_bytes", "Memory mapped");
const THREADS: Metric = Metric::measured_gauge("process_threads", "Threads of the process");
const OPEN_FDS: Metric =
    Metric::measured_gauge("process_open_fds", "File descriptors that are open");
const MAX_FDS: Metric =
    Metric::measured_gauge("process_max_fds", "File descriptors that may be open at once");

/// All of them.
pub const ALL: &[Metric] = &[BUILD, CPU, START, RESIDENT, VIRTUAL, THREADS, OPEN_FDS, MAX_FDS];

/// Measures this process. Figures that the system does not give, as without `/proc`, are not on
/// the page.
pub(super) fn measure() {
    metrics::gauge!(BUILD.name, "version" => VERSION, "revision" => REVISION).set(1.0);
    let _ = measure_stat();
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is the folder that is being read.
        OPEN_FDS.set(open.count().saturating_sub(1) as f64);
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        MAX_FDS.set(most as f64);
    }
}

fn measure_stat() -> Option<()> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // proc_pid_stat(5): the name, field 2, may hold spaces and brackets.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    let tick = clock_ticks_per_second() as f64;
    CPU.set((field(14)? + field(15)?) / tick);
    THREADS.set(field(20)?);
    VIRTUAL.set(field(23)?);
    RESIDENT.set(field(24)? * page_size() as f64);
    let system = fs::read_to_string("/proc/stat").ok()?;
    let booted = system.lines().find_map(|line| line.strip_prefix("btime "))?;
    START.set(booted.parse::<f64>().ok()? + field(22)? / tick);
    Some(())
}
