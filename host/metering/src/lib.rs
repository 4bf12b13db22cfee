//! The metering engine: pure decisions about what is recorded, sealed, sent and settled.
//!
//! The state ([`Ledger`]) is a fold over [`Record`]s and [`Used`] sums. [`plan()`] says what is due, [`Ledger::answer`] what a
//! reply means; both only return records for somebody else to write. Time is unix seconds and an argument, and so are the
//! identity and randomness.
//!
//! Absent on purpose: clocks, files, sockets, threads, hashing, configuration, and every dependency.
#![no_std]

extern crate alloc;

mod allocation;
mod backoff;
mod hour;
mod ledger;
mod plan;
mod record;
mod reply;
mod slot;
mod trust;
mod units;

pub use allocation::{Allocation, Split, split};
pub use backoff::backoff_s;
pub use hour::{HOUR_S, Hour, offset_s, window_end};
pub use ledger::{Balance, Checkpoint, Folded, Handing, Ledger, Question, Refusal};
pub use plan::{Alarm, Ask, AskRefusal, Phase, Policy, Rate, Standing, State, Step, Verdict, next_due, plan};
pub use record::{Close, End, HandedOver, Part, Record, TextError, Used};
pub use reply::Reply;
pub use slot::{Attempts, Form, Life, Payer, Request, Slot, SlotId};
pub use trust::{Clocks, Now, Trust};
pub use units::{Buckets, QUANTITY_MAX, Tags};
