//! Payments that are taken now and end later.
//!
//! | file | idea |
//! |---|---|
//! | `step` | what is written down on the way of such a payment |
//! | `intake` | the file of these steps, and what a start recalls from it |
//! | `cases` | who is under way until when, and who was rejected |
//! | `letter` | the result, as it is sent |
//! | `outbox` | which letter is tried when, how often |
//! | `callback` | one attempt to hand over a letter, signed |
//! | `clerk` | the loop that ends payments and sends letters |

mod callback;
mod cases;
mod clerk;
mod intake;
mod letter;
mod outbox;
mod step;

pub(crate) use callback::Receiver;
pub use callback::{Callback, CallbackError};
pub(crate) use cases::{Case, Cases, Standing};
pub(crate) use clerk::Clerk;
pub(crate) use intake::Intake;
pub(crate) use letter::Letter;
pub(crate) use step::{Accepted, Step};
