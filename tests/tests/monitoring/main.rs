//! What operators watch with: alert rules, dashboards and runbooks name only what the services
//! export and what the command line takes, and Prometheus takes them all.
//!
//! | file | idea |
//! |---|---|
//! | `exported` | what a query names, against the metrics of the services |
//! | `rules` | the alert rules, and that each has a test |
//! | `dashboards` | the dashboards |
//! | `runbooks` | runbooks, and the commands in them |
//! | `prometheus` | promtool and a real Prometheus |

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod dashboards;
mod exported;
mod prometheus;
mod rules;
mod runbooks;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}
