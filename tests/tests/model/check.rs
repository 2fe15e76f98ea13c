//! Runs a check and prints what a person needs to follow it.

use std::fmt::Write;

use stateright::{Checker, HasDiscoveries, Model, Path};

use crate::action::Action;
use crate::protocol::Protocol;
use crate::rules::{Broken, Scenario};
use crate::world::World;

/// Walks every state of the scenario.
///
/// # Panics
/// With the shortest counterexample, when a property does not hold.
#[track_caller]
pub(crate) fn holds(scenario: Scenario, broken: Option<Broken>) {
    let told = format!("{scenario:?}, broken: {broken:?}");
    let checker = Protocol { scenario, broken }
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    println!("{} states, {} deep: {told}", checker.unique_state_count(), checker.max_depth());
    let broken: Vec<_> = checker
        .discoveries()
        .into_iter()
        .map(|(property, path)| format!("not kept: {property}\n{}", story(path)))
        .collect();
    assert!(broken.is_empty(), "{told}\n{}", broken.join("\n"));
}

/// Shows that `property` does not hold, and prints the shortest way to where it does not.
///
/// # Panics
/// When every state keeps the property.
#[track_caller]
pub(crate) fn fails(scenario: Scenario, broken: Option<Broken>, property: &'static str) {
    let told = format!("{scenario:?}, broken: {broken:?}");
    let checker = Protocol { scenario, broken }
        .checker()
        .finish_when(HasDiscoveries::AllOf([property].into()))
        .spawn_bfs()
        .join();
    let Some(path) = checker.discovery(property) else {
        panic!("{} states keep this: {property}\n{told}", checker.unique_state_count());
    };
    println!("{told}\nnot kept: {property}\n{}", story(path));
}

/// The steps, one a line, and the state they lead to.
fn story(path: Path<World, Action>) -> String {
    let mut story = String::new();
    let mut last = None;
    for (step, (world, action)) in path.into_vec().into_iter().enumerate() {
        if let Some(action) = action {
            let _ = writeln!(story, "{:>4} {action:?}", step + 1);
        }
        last = Some(world);
    }
    if let Some(world) = last {
        let _ = writeln!(story, "{world:#?}");
    }
    story
}
