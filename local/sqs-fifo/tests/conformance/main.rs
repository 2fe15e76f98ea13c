//! What SQS FIFO queues do, as AWS documents it, over the wire and with the AWS SDK.
//!
//! Every case runs against the local SQS. With the environment variable
//! `SQS_CONFORMANCE_ENDPOINT` it runs against that endpoint as well, and where the two
//! differ the table in [`differences`] must say so: `just sqs-conformance` does that with
//! ministack. Cases make queues of their own and ask for nothing but documented behaviour.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod deduplication;
mod differences;
mod endpoint;
mod errors;
mod groups;
mod messages;
mod moves;
mod polls;
mod queues;
mod receipts;
mod redrive;
mod visibility;

use std::time::Duration;

use sqs_fifo::{Sqs, SqsOptions};
use tokio::net::TcpListener;

use differences::difference;
use endpoint::At;

/// Names another endpoint to be held to the same.
const OTHER: &str = "SQS_CONFORMANCE_ENDPOINT";
/// No case takes longer, unless the endpoint hangs.
const LONGEST: Duration = Duration::from_secs(60);

/// Makes a test of each named case: an async function of [`At`].
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        mod cases {
            $(
                #[tokio::test]
                async fn $case() {
                    crate::conform(stringify!($case), super::$case).await;
                }
            )+
        }
    };
}
pub(crate) use cases;

async fn conform<F>(case: &str, run: impl Fn(At) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sqs = Sqs::start(listener, SqsOptions::default()).await.unwrap();
    tokio::time::timeout(LONGEST, run(At::new(&sqs.endpoint()))).await.unwrap();
    sqs.stop().await.unwrap();
    let Ok(endpoint) = std::env::var(OTHER) else {
        return;
    };
    let other = tokio::spawn(tokio::time::timeout(LONGEST, run(At::new(&endpoint)))).await;
    let agrees = matches!(other, Ok(Ok(())));
    match (agrees, difference(case)) {
        (true, None) => println!("agrees: {case}"),
        (false, Some(known)) => {
            println!("differs as known: {case}: {} ({})", known.other, known.source)
        }
        (false, None) => panic!("{endpoint} differs in {case}, which the table does not know"),
        (true, Some(_)) => panic!("{endpoint} agrees in {case}: take it out of the table"),
    }
}
