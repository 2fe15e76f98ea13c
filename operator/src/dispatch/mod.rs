//! `dueflow dispatch`: whether dispatching is stopped, stopping it, and going on.
//!
//! | module | holds |
//! |---|---|
//! | `options` | arguments |
//! | `report` | what the commands print |

mod options;
mod report;

use std::process::ExitCode;

use jiff::Timestamp;
use shared::aws::Aws;
use shared::config::Common;
use shared::dispatch_stop::{
    DispatchStop, DispatchStops, LiftResult, StopCause, StopId, StopTable,
};

pub use options::DispatchCommand;
use options::{ResumeOptions, StatusOptions, StopOptions};
use report::{OutputFormat, Said};

use crate::actions::{ActionRun, Intent};
use crate::start::{InstallationCheck, start};

impl DispatchCommand {
    pub(crate) fn start(self) -> ExitCode {
        start(InstallationCheck::Any, async |run| dispatch(&run.common, self).await)
    }
}

async fn dispatch(common: &Common, command: DispatchCommand) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await;
    let stops = StopTable::new(aws.dynamodb("control"), common.names.control_table());
    let (said, json) = match command {
        DispatchCommand::Status(StatusOptions { json }) => (status(&stops).await?, json),
        DispatchCommand::Stop(options) => {
            let json = options.json;
            let because = Some(options.reason.clone());
            let intent = Intent { command: "dispatch stop", because, what: "stop".to_owned() };
            // What has to stop does not wait for a log.
            let said = stop(&stops, &options).await?;
            match ActionRun::begin(&aws, &common.names, intent).await {
                Ok(actions) => actions.end(said.outcome()).await,
                Err(error) => eprintln!("dueflow: {error}"),
            }
            (said, json)
        }
        DispatchCommand::Resume(ResumeOptions { id, because, json }) => {
            let Some(id) = id else { return finish(&nothing_named(&stops).await?, json) };
            let what = format!("resume {id}");
            let intent = Intent { command: "dispatch resume", because, what };
            let actions = ActionRun::begin(&aws, &common.names, intent).await?;
            let said = resume(&stops, id).await?;
            actions.end(said.outcome()).await;
            (said, json)
        }
    };
    finish(&said, json)
}

fn finish(said: &Said, json: bool) -> anyhow::Result<ExitCode> {
    said.print(if json { OutputFormat::Json } else { OutputFormat::Text })?;
    Ok(if said.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn status(stops: &dyn DispatchStops) -> anyhow::Result<Said> {
    Ok(stops.read().await?.map_or(Said::Going, Said::Stands))
}

async fn stop(stops: &dyn DispatchStops, options: &StopOptions) -> anyhow::Result<Said> {
    let by = options.by.clone().or_else(|| std::env::var("USER").ok());
    let by = by.unwrap_or_else(|| "an operator without a name".to_owned());
    let own = DispatchStop::new(StopCause::ByHand, &options.reason, &by, 0, Timestamp::now());
    let stands = stops.place(&own).await?;
    Ok(if stands.id == own.id { Said::Stopped(stands) } else { Said::StoodBefore(stands) })
}

async fn nothing_named(stops: &dyn DispatchStops) -> anyhow::Result<Said> {
    Ok(stops.read().await?.map_or(Said::NothingToResume, Said::NotNamed))
}

/// Removes the stop that the operator names, and no other: one that came since has a reason of
/// its own.
async fn resume(stops: &dyn DispatchStops, id: StopId) -> anyhow::Result<Said> {
    Ok(match stops.lift(id).await? {
        LiftResult::Now => Said::Resumed(id),
        LiftResult::NoneThere => Said::NothingToResume,
        LiftResult::Another(stop) => Said::Another(*stop),
    })
}
