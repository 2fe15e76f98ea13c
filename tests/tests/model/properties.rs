//! What must hold in every state, however it was reached.

use domain::Status;
use stateright::Property;

use crate::protocol::Protocol;
use crate::rules::{Scenario, WayToRest};
use crate::world::{Payment, Place, Settled, Version, World};

pub(crate) const SETTLED_ONCE: &str = "no payment is settled twice";
pub(crate) const PROCESSED_IS_SETTLED: &str = "PROCESSED bears a transaction of the journal";
pub(crate) const SETTLED_IS_NOTICED: &str = "no settlement of a FAILED payment goes unnoticed";
pub(crate) const CANCELLED_IS_UNPAID: &str = "a cancelled payment is not paid";
pub(crate) const IN_ORDER: &str = "an account's payments are posted in order";
pub(crate) const UNDECIDED_IS_UNPAID: &str =
    "what was changed is paid so only after a person has said that it is right";
pub(crate) const NOT_EARLY: &str = "nothing is posted before its day";
pub(crate) const CARRIED: &str = "what has not ended is carried by something durable";
pub(crate) const RESTS_ENDED: &str = "where nothing is left to do, every payment has ended";
pub(crate) const COMES_TO_REST: &str = "left alone, the work comes to an end";

/// Longest way to rest that is tried: steps of somebody, one after the other.
const LONGEST_WAY: usize = 200;

pub(crate) fn of(scenario: &Scenario) -> Vec<Property<Protocol>> {
    let mut properties = safe();
    match scenario.way_to_rest {
        WayToRest::Followed => properties.push(Property::always(COMES_TO_REST, comes_to_rest)),
        WayToRest::NotFollowed => {}
    }
    properties
}

fn safe() -> Vec<Property<Protocol>> {
    vec![
        Property::always(SETTLED_ONCE, |_: &Protocol, world: &World| {
            world.payments.iter().all(|payment| payment.journal.len() <= 1)
        }),
        Property::always(PROCESSED_IS_SETTLED, |_: &Protocol, world: &World| {
            world.payments.iter().all(|payment| {
                let settled = |id: u8| usize::from(id) < payment.journal.len();
                payment.status != Status::Processed || payment.transaction.is_some_and(settled)
            })
        }),
        Property::always(SETTLED_IS_NOTICED, |_: &Protocol, world: &World| {
            world.payments.iter().enumerate().all(|(place, payment)| noticed(world, place, payment))
        }),
        Property::always(CANCELLED_IS_UNPAID, |_: &Protocol, world: &World| {
            world
                .payments
                .iter()
                .all(|payment| !payment.was_cancelled || payment.journal.is_empty())
        }),
        Property::always(UNDECIDED_IS_UNPAID, |_: &Protocol, world: &World| {
            world.payments.iter().all(|payment| {
                let changed = |one: &Settled| one.version == Version::Changed;
                payment.decided || !payment.journal.iter().any(changed)
            })
        }),
        Property::always(NOT_EARLY, |_: &Protocol, world: &World| !world.early),
        Property::always(IN_ORDER, |_: &Protocol, world: &World| !world.overtaken),
        Property::always(CARRIED, |_: &Protocol, world: &World| {
            world.payments.iter().enumerate().all(|(place, payment)| carried(world, place, payment))
        }),
        Property::always(RESTS_ENDED, |protocol: &Protocol, world: &World| {
            all_ended(protocol, world) || protocol.next_progress(world).is_some()
        }),
    ]
}

/// A settlement of a FAILED payment lies in the dead-letter queue as a conflict, is on its
/// way there, or the item itself says that its outcome must be asked for.
fn noticed(world: &World, place: Place, payment: &Payment) -> bool {
    payment.status != Status::Failed
        || payment.journal.is_empty()
        || payment.conflict
        || world.confirmations.iter().any(|one| one.payment == place)
        || !payment.surely_unpaid()
}

/// Something that survives every process will bring the payment on, or before a person.
fn carried(world: &World, place: Place, payment: &Payment) -> bool {
    let confirmed = world.confirmations.iter().any(|one| one.payment == place);
    let carried = match payment.status {
        Status::Processed | Status::Cancelled => true,
        // A confirmation of it becomes a conflict's letter.
        Status::Failed => payment.conflict || confirmed,
        Status::Pending => confirmed,
        Status::Scheduled => false,
    };
    carried
        || payment.letters > 0
        || payment.raw_letter
        // The opening of its day queues it.
        || (payment.status == Status::Scheduled && payment.ahead)
        || world.relay.checkpoint <= place
        || world.queue.iter().any(|message| message.payment == place)
}

fn all_ended(protocol: &Protocol, world: &World) -> bool {
    world.queue.is_empty()
        && world.confirmations.is_empty()
        && world.payments.iter().enumerate().all(|(place, payment)| match payment.status {
            Status::Processed | Status::Cancelled => true,
            Status::Failed => payment.letters > 0 || payment.conflict,
            Status::Scheduled => protocol.scenario.malformed == Some(place) && payment.raw_letter,
            Status::Pending => false,
        })
}

/// From this state on, without further faults and decisions, the work is finite. Where it
/// ends is a state that is checked itself.
fn comes_to_rest(protocol: &Protocol, world: &World) -> bool {
    let first = protocol.next_progress(world);
    std::iter::successors(first, |world| protocol.next_progress(world)).nth(LONGEST_WAY).is_none()
}
