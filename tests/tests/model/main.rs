//! A small model of the protocol, checked exhaustively with `stateright`.
//!
//! The model holds one or two payments, the relay, `payments.fifo`, two dispatchers, the
//! transaction service, the confirmer, an operator and an owner. Each call that leaves a
//! process is one step, so a process can die, or stand still and go on as a zombie, between
//! any two. Statuses change by the product's own `transition`. Every order of every step is
//! walked; the number of faults, rejections and replays is bounded.
//!
//! `intact` shows that no state breaks a property. `broken` breaks one rule at a time and
//! shows that the right property notices. `cargo test -p tests --test model -- --nocapture`
//! prints each counterexample, the shortest there is, step by step.
//!
//! What the model takes for granted: a dispatcher sends one request for each attempt it
//! counted; a conditional write is atomic; the service settles a key at most once while it
//! remembers it, and remembers it for the retention; a rejection is not remembered. Not in
//! the model: time limits and pauses (a step may happen at any time instead), batches beyond
//! two, leases (two relays at once send what a restarted one sends again), the redrive of SQS
//! after 100 deliveries.

mod action;
mod broken;
mod check;
mod dispatcher;
mod intact;
mod properties;
mod protocol;
mod rules;
mod surroundings;
mod world;
