//! How dueflow treats a transaction service that goes down, or can take half as much, with
//! real processes and in real time. Exit status 1 when a demand is missed.
//!
//! `cargo bench -p tests --bench backpressure -- [outage|halving] [SECONDS]`
//!
//! What the service can take is bounded far below what the machine can do, so that the
//! machine's own speed decides nothing; a run in which it does all the same is not judged.
//!
//! | file | idea |
//! |---|---|
//! | `load` | the world, its services, and a writer who keeps a backlog standing |
//! | `watch` | what the transaction service saw, second by second |
//! | `demands` | what must hold |

mod demands;
mod load;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;

use crate::demands::Demands;
use crate::load::Load;

/// Until the dispatchers have found out what the service can take.
const WARM_UP: Duration = Duration::from_secs(45);
/// What came before is measured for so long.
const BASELINE: Duration = Duration::from_secs(30);
/// After that long, all must be as it was.
const RECOVERY: Duration = Duration::from_secs(30);
/// How long an outage, or the time after the capacity has halved, is by default.
const SECONDS: u64 = 60;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<ExitCode> {
    // cargo adds --bench.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let (which, seconds) = match arguments.as_slice() {
        [] => ("both", None),
        [word] if word.parse::<u64>().is_ok() => ("both", Some(word)),
        [which] => (which.as_str(), None),
        [which, seconds] => (which.as_str(), Some(seconds)),
        _ => bail!("usage: backpressure [outage|halving] [SECONDS]"),
    };
    let seconds = seconds.map_or(Ok(SECONDS), |seconds| seconds.parse())?;
    let length = Duration::from_secs(seconds);
    let mut demands = Demands::default();
    match which {
        "outage" => Box::pin(outage(length, &mut demands)).await?,
        "halving" => Box::pin(halving(length, &mut demands)).await?,
        "both" => {
            Box::pin(outage(length, &mut demands)).await?;
            Box::pin(halving(length, &mut demands)).await?;
        }
        other => bail!("{other:?} is neither outage nor halving"),
    }
    println!("\n{demands}");
    Ok(if demands.met() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The service cannot be reached for `length`.
async fn outage(length: Duration, demands: &mut Demands) -> anyhow::Result<()> {
    println!("outage of {length:?}");
    let mut load = Load::start().await?;
    load.watch("warm-up", WARM_UP).await?;
    let before = load.watch("before", BASELINE).await?;
    before.must_fill_capacity()?;

    load.go_down();
    load.until_circuits_open().await?;
    let asked = load.requests();
    let began = tokio::time::Instant::now();
    load.watch("down", length).await?;
    let (asked, took) = (load.requests() - asked, began.elapsed());
    let most = load::DISPATCHERS as u64 * (took.as_secs() + 1);
    demands.add(
        asked <= most,
        format!("{asked} requests in {:.0} s of outage; at most {most}", took.as_secs_f64()),
    );

    load.come_back();
    let returning = load.watch("returning", RECOVERY).await?;
    let after = load.watch("after", BASELINE).await?;
    let back = returning.first_second_at(0.9 * before.rate);
    demands.add(
        after.rate >= 0.9 * before.rate,
        format!(
            "{:.1} payments/s from 30 s after the return on, {:.1} before: {:.0} % (at least 90); \
             five seconds at 90 % had passed {} after the return",
            after.rate,
            before.rate,
            100.0 * after.rate / before.rate,
            back.map_or("more than 30 s".to_owned(), |second| format!("{second} s"))
        ),
    );
    load.end(demands).await
}

/// The service has half its workers from some moment on.
async fn halving(length: Duration, demands: &mut Demands) -> anyhow::Result<()> {
    println!("capacity halves, {length:?} are measured from 30 s later on");
    let mut load = Load::start().await?;
    load.watch("warm-up", WARM_UP).await?;
    let before = load.watch("before", BASELINE).await?;
    before.must_fill_capacity()?;

    load.halve();
    load.watch("halved", RECOVERY).await?;
    let after = load.watch("after", length).await?;
    demands.add(
        after.p99 <= 2 * before.p99,
        format!(
            "p99 {} ms from 30 s after the capacity halved on, {} ms before: {:.2} times (at most 2)",
            after.p99.as_millis(),
            before.p99.as_millis(),
            after.p99.as_secs_f64() / before.p99.as_secs_f64()
        ),
    );
    demands.add(
        after.used >= 0.9,
        format!("{:.1} % of what it can take is used (at least 90)", 100.0 * after.used),
    );
    load.end(demands).await
}
