use domain::Status;
use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::testing::{TODAY, TestDispatcher, payment};

/// Longer than any receive takes.
const WHILE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn nothing_is_received_while_the_confirmer_is_behind_and_then_it_is_again() {
    let mut world = TestDispatcher::new();
    let (confirmer, in_step) = watch::channel(false);
    world.receiver.conditions.in_step = InStep::of(in_step);
    let payment = payment("ACC-1", TODAY);
    world.hold(&payment, Status::Scheduled, 0);
    world.wait_for_delivery(&[&payment]);
    let shutdown = Shutdown::new(Duration::ZERO);
    let receiving = tokio::spawn(world.receiver.clone().run(shutdown.clone()));
    tokio::time::sleep(WHILE).await;
    assert_eq!(world.submissions(), 0);
    confirmer.send_replace(true);
    let since = Instant::now();
    while world.submissions() == 0 {
        assert!(since.elapsed() < WHILE, "not received again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    shutdown.request();
    receiving.await.unwrap();
}
