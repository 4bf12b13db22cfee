//! From the end of the meter to the end of the process.

use tokio::task::JoinError;

use crate::exit::{Exit, Why};
use crate::ledger::Poisoned;
use crate::meter::{End, Finished};

/// Nothing is left unsent, or why that is not so.
pub(super) fn of_meter(end: Result<End, JoinError>) -> Result<(), Exit> {
    match end {
        Ok(End::Finished(Finished { unsent: 0 })) => Ok(()),
        Ok(End::Finished(Finished { unsent })) => Err(Exit::new(
            Why::Unsent,
            format!("{unsent} usage records are not accepted by AWS yet; they are in the ledger"),
            "AWS was throttled, down or out of reach while the container stopped, or the grace period is too short",
            "start the container again with the same ledger within six hours of their hour, and it sends them",
        )),
        Ok(End::NotEntitled { code }) => Err(Exit::new(
            Why::NotEntitled,
            format!("AWS refused the first usage record of this task or pod: {code}"),
            "the permission to meter was there at the start, the subscription was not",
            "subscribe to the product in AWS Marketplace with this account, then start the container again",
        )),
        Ok(End::Poisoned(poisoned_by)) => Err(poisoned(&poisoned_by)),
        Err(error) => Err(Exit::internal(&anyhow::Error::new(error).context("the meter ended by a fault"))),
    }
}

pub(super) fn poisoned(poisoned: &Poisoned) -> Exit {
    Exit::new(
        Why::Ledger,
        poisoned.to_string(),
        "the volume is full, was taken away, or its disk fails",
        "give the volume space or replace it, then start the container again; everything acknowledged so far is on it",
    )
}
