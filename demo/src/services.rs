//! The services of a demo: started together, and asked at the end what they used.

use shared::telemetry::Samples;

use super::options::DemoOptions;
use super::report::ProcessReport;
use crate::local_world::{Process, SERVICES, World, usage_of};

/// Partitions of the index `due` in a demo: the default.
pub(super) const DUE_SHARDS: u16 = 16;

/// What the services say when they have ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Their metrics.
    pub(super) samples: Vec<Samples>,
    /// What each process used, and this one.
    pub(super) used: Vec<ProcessReport>,
    /// Which did not end in order.
    pub(super) problems: Vec<String>,
}

/// Starts each service, the dispatcher as often as the options say, with `settings` on top,
/// and waits until all are ready.
pub(super) async fn start_services(
    world: &World,
    options: &DemoOptions,
    settings: &[(&'static str, String)],
) -> anyhow::Result<Vec<Process>> {
    let mut processes = Vec::new();
    for service in SERVICES {
        let copies = if service == "dispatcher" { options.dispatchers } else { 1 };
        for copy in 1..=copies {
            let name = if copies == 1 { service.to_owned() } else { format!("{service}-{copy}") };
            let mut with = options.faults.settings_of(service);
            with.extend_from_slice(settings);
            processes.push(world.spawn(service, &name, &with)?);
        }
    }
    for process in &mut processes {
        process.ready().await?;
    }
    if options.faults.asynchronous {
        world.call_back(&["confirmer"])?;
    }
    Ok(processes)
}

/// Ends them; `payments` is what their use is divided by.
pub(super) async fn stop_services(processes: Vec<Process>, payments: u64) -> anyhow::Result<Ended> {
    let mut ended = Ended::default();
    for mut process in processes {
        ended.samples.push(process.samples().await?);
        let report = |usage| ProcessReport::new(&process.name, usage, payments);
        ended.used.extend(process.usage().map(report));
        let name = process.name.clone();
        match process.stop().await {
            Ok(status) if status.success() => {}
            Ok(status) => ended.problems.push(format!("{name} ended with {status}")),
            Err(error) => ended.problems.push(error.to_string()),
        }
    }
    let own = |usage| ProcessReport::new("demo (outside world)", usage, payments);
    ended.used.extend(usage_of("self").map(own));
    Ok(ended)
}
