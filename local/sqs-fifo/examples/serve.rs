//! Serves SQS FIFO queues on 127.0.0.1:4100 until Ctrl-C: `cargo run --example serve`.
//!
//! With the AWS CLI, and `test` as access key and secret:
//!
//! ```sh
//! export AWS_ENDPOINT_URL_SQS=http://127.0.0.1:4100 AWS_REGION=us-east-1
//! aws sqs create-queue --queue-name orders.fifo --attributes FifoQueue=true
//! ```

use std::error::Error;

use sqs_fifo::{Sqs, SqsOptions};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:4100").await?;
    let sqs = Sqs::start(listener, SqsOptions::default()).await?;
    println!("SQS FIFO on {}", sqs.endpoint());
    tokio::signal::ctrl_c().await?;
    for ((queue, operation), count) in sqs.calls() {
        println!("{count} × {operation} {queue}");
    }
    sqs.stop().await?;
    Ok(())
}
