//! Adopts what other identities left on the same volume: at the start, once the listing is granted.

use tollgate_metering::{Handing, Now, Phase, Record, Step, plan};

use super::Keeper;
use crate::ledger::{Other, Poisoned};
use crate::marketplace::Marketplace;

/// Why an adoption went no further.
enum Stopped {
    /// The own ledger cannot be written.
    Own(Poisoned),
    /// The other one cannot. What it handed over before is found by the next start.
    Other(String),
}

impl<M: Marketplace> Keeper<M> {
    /// Takes over what these ledgers have left and may hand over. They are free again when this returns.
    ///
    /// # Errors
    /// The own ledger cannot be written. Errors of the others are told, and leave them to the next start.
    pub async fn adopt(&mut self, mut others: Vec<Other>) -> Result<(), Poisoned> {
        if others.is_empty() || !self.options.policy.sends {
            return Ok(());
        }
        self.learn_time().await;
        let now = self.now();
        self.repair_between(&mut others, now);
        for mut other in others {
            match self.adopt_one(&mut other, now).await {
                Ok(()) => self.retire(other),
                Err(Stopped::Own(poisoned)) => return Err(poisoned),
                Err(Stopped::Other(problem)) => {
                    tracing::error!(folder = %other.path().display(), problem, "a ledger on this volume cannot be adopted");
                }
            }
        }
        Ok(())
    }

    /// Hand-overs between two others that were cut off when the one that adopted ended.
    fn repair_between(&self, others: &mut [Other], now: Now) {
        for to in 0..others.len() {
            for from in (0..others.len()).filter(|&from| from != to) {
                let repaired = others[to].ledger.repair_from(&others[from].ledger, now, &self.options.policy);
                if let Err(problem) = others[to].write(repaired) {
                    tracing::error!(folder = %others[to].path().display(), problem, "a hand-over cannot be completed");
                }
            }
        }
    }

    async fn adopt_one(&mut self, other: &mut Other, now: Now) -> Result<(), Stopped> {
        let started = Record::Started {
            at: now.s,
            identity: self.options.identity.clone(),
            boot: other.ledger.boots() + 1,
            first_hour_taken: false,
        };
        other.write(vec![started]).map_err(Stopped::Other)?;
        // Whatever is in doubt or too old has its end, before the rest is handed over. Nothing is sent from here.
        loop {
            let steps = plan(&other.ledger, now, &self.options.policy, Phase::Running);
            let writes = steps.into_iter().filter_map(|step| match step {
                Step::Write(records) => Some(records),
                Step::Send { .. } => None,
            });
            let writes: Vec<Record> = writes.flatten().collect();
            if writes.is_empty() {
                break;
            }
            other.write(writes).map_err(Stopped::Other)?;
        }
        let Handing { repaired, handed, adopted } = self.ledger.adopt_from(&other.ledger, now, &self.options.policy);
        let (folder, repairs, adoptions) = (other.path().display().to_string(), repaired.len(), adopted.len());
        self.write(repaired).map_err(Stopped::Own)?;
        // The order is the promise: once this is on disk, the other can never send them.
        other.write(handed).map_err(Stopped::Other)?;
        self.write(adopted).map_err(Stopped::Own)?;
        let in_doubt = other.ledger.balance().in_doubt;
        tracing::info!(folder, adoptions, repairs, in_doubt, "the ledger of another task or pod was adopted");
        Ok(())
    }

    fn retire(&self, other: Other) {
        let arrived = |handed: &_| self.ledger.has_adopted(&other.ledger, handed);
        if other.ledger.leaves(arrived) {
            tracing::warn!(folder = %other.path().display(), "units stay in this ledger: their hour is already billed, or they are of another listing");
            return;
        }
        if let Err(error) = other.retire() {
            tracing::warn!(%error, "an adopted ledger could not be marked as done");
        }
    }
}
