//! The meter: takes what guests count, keeps it in the ledger, carries out the engine's plan. Decides nothing.
//!
//! One thread owns the engine and writes the ledger, so that what is admitted, written and applied is in one order, and
//! nobody is woken in between. Commits that arrive while the disk is busy are written together: the faster they come, the
//! more go into one transaction, so it adapts to the disk without a timer. Sends run elsewhere, and come back as answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use tollgate_metering::{Clocks, Folded, Hour, Ledger, Now, Phase, Policy, Record, SlotId, Tags, Trust, Used};
use tollgate_runtime::meter::{Commit, Desk, TagsId};

use crate::clock::Clock;
use crate::entitlement::system_random;
use crate::ledger::{self, Batch, Opened, Poisoned, Writer};
use crate::marketplace::{Answer, Marketplace, MeterUsage};
use crate::usage::{Refused, Settlement};

mod adopt;
mod attest;
mod handle;
mod limits;
mod send;
mod serve;
mod snapshot;

pub use attest::Attestation;
pub use handle::{End, Finished, Handle};
pub use snapshot::{Places, Row, Snapshot, Total};

/// What the meter has to know about the product and this process.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whom AWS sees: the ARN of the task, or the uid of the pod.
    pub identity: String,
    /// True if the task or pod is known to be older than this process: if the ledger is new, a lost one may have sent
    /// the running hour, so its usage is booked to the next.
    pub identity_is_older: bool,
    /// The rules of the listing that is used.
    pub policy: Policy,
    /// The most billed units of an hour, by dimension key; a dimension that is not named has no cap.
    pub caps: BTreeMap<String, u32>,
    /// The ids of the components, in the order of their numbers.
    pub components: Vec<String>,
    /// How guests get signatures of AWS; none where the listing does not attest.
    pub attestation: Option<Attestation>,
}

/// Owns the engine.
#[derive(Debug)]
pub struct Keeper<M> {
    ledger: Ledger,
    writer: Writer,
    marketplace: Arc<M>,
    clock: Clock,
    trust: Trust,
    options: Options,
    phase: Phase,
    sends: JoinSet<send::Sent>,
    /// Where they run: the thread of the keeper waits for the disk.
    runtime: tokio::runtime::Handle,
    /// The slot of each dimension in some hour: names that are not made anew for each unit.
    likes: Vec<SlotId>,
    /// Units of each dimension that this process booked.
    booked: Vec<u64>,
    attested_ms: Option<u64>,
    started_boot_s: u64,
    /// Since when the disk of the ledger is almost full, unix seconds.
    low_since: Option<u64>,
}

impl<M: Marketplace> Keeper<M> {
    /// Takes an opened ledger and writes down that this process has it. Requests to AWS run in the runtime of the caller.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn start(opened: Opened, marketplace: Arc<M>, clock: Clock, options: Options) -> Result<Self, Poisoned> {
        let Opened { ledger, writer, folder: _, others: _ } = opened;
        let fresh = ledger.is_fresh();
        let clocks = clocks(&clock);
        let trust = Trust::new(clocks, ledger.alive_at());
        let at = trust.now(clocks).s;
        let started = Record::Started {
            at,
            identity: options.identity.clone(),
            boot: ledger.boots() + 1,
            first_hour_taken: fresh && options.identity_is_older,
        };
        let created = (fresh && ledger.id() == 0).then(|| Record::Created { at, ledger: random().max(1) });
        let (phase, sends, booked) = (Phase::Running, JoinSet::new(), Vec::new());
        let likes = options.policy.dimensions.iter().map(|rate| options.policy.slot(&rate.key, Hour(0))).collect();
        let mut keeper = Self {
            ledger,
            writer,
            marketplace,
            clock,
            trust,
            options,
            phase,
            sends,
            runtime: tokio::runtime::Handle::current(),
            likes,
            booked,
            attested_ms: None,
            started_boot_s: clocks.boot,
            low_since: None,
        };
        keeper.write(created.into_iter().chain([started]).collect())?;
        Ok(keeper)
    }

    /// Since when an earlier process of this ledger was granted the listing provisionally, unix seconds.
    pub fn provisional_since(&self) -> Option<u64> {
        self.ledger.provisional_since(&self.options.policy.listing)
    }

    /// Writes down that the listing was granted.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn granted(&mut self, provisional: bool) -> Result<(), Poisoned> {
        let (at, listing) = (self.now().s, self.options.policy.listing.clone());
        self.write(vec![Record::Granted { at, listing, provisional }])
    }

    /// Asks for entitlement by a zero record on its own dimension. The record is in the ledger before it is sent, and
    /// the same one for the whole hour, also after a restart.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask_entitlement(&mut self, dimension: &str) -> Result<Answer, AskError> {
        let now = self.now();
        let answer = self.ask_once(dimension, now).await?;
        // A stamp by a wrong clock is refused. The answer tells the time, so then it is asked once more.
        let corrected = Hour::of(self.now().s) != Hour::of(now.s);
        if corrected && matches!(answer.reply, tollgate_metering::Reply::Refused { .. }) {
            let now = self.now();
            return self.ask_once(dimension, now).await;
        }
        Ok(answer)
    }

    async fn ask_once(&mut self, dimension: &str, now: Now) -> Result<Answer, AskError> {
        let ask = self.ledger.ask(&self.options.policy, dimension, now.s).map_err(AskError::InUse)?;
        if let Some(asked) = ask.asked {
            self.write(vec![asked])?;
        }
        let sent = clocks(&self.clock);
        let answer = self.marketplace.meter_usage(send::wire(dimension, &ask.request)).await;
        self.saw_date(sent, answer.date);
        Ok(answer)
    }

    /// The trusted time. Where nothing is sent nobody could confirm it, and a wrong hour would cost nobody anything.
    fn now(&self) -> Now {
        let clocks = clocks(&self.clock);
        if self.options.policy.sends { self.trust.now(clocks) } else { Now { s: clocks.wall, confirmed: true } }
    }

    fn saw_date(&mut self, sent: Clocks, date: Option<u64>) {
        if let Some(date) = date {
            self.trust.date(sent, clocks(&self.clock), date);
        }
    }

    /// The order is the promise: disk first, then memory. A record that does not fit is a fault of ours; nothing of the
    /// batch is written then.
    fn write(&mut self, records: Vec<Record>) -> Result<(), Poisoned> {
        ledger::admit(&self.ledger, &records).map_err(Poisoned)?;
        let batch = Batch { used: Vec::new(), records };
        self.writer.commit(&batch)?;
        batch.records.iter().for_each(|record| self.ledger.apply(record));
        Ok(())
    }

    /// The same for usage.
    fn write_usage(&mut self, used: Vec<Used>) -> Result<(), Poisoned> {
        let refused = used.iter().find_map(|used| self.ledger.admit_used(used).err());
        if let Some(refusal) = refused {
            return Err(Poisoned(refusal.to_string()));
        }
        let batch = Batch { used, records: Vec::new() };
        self.writer.commit(&batch)?;
        batch.used.iter().for_each(|used| self.ledger.apply_used(used));
        Ok(())
    }

    /// Once a day: folds all entries into a checkpoint. It can wait until there is room for it.
    fn compact(&mut self) -> Result<(), Poisoned> {
        if self.ledger.checkpoint_due() && self.writer.fits_again() {
            let Folded { records, forgotten, after } = self.ledger.checkpoint();
            tracing::info!(entries = records.len(), archived = forgotten.len(), "folding the ledger into a checkpoint");
            self.writer.compact(&records, &forgotten)?;
            self.ledger = after;
        }
        Ok(())
    }

    /// Books, writes and answers commits that arrived together.
    fn record(&mut self, desk: &Desk, commits: Vec<Commit>) -> Result<(), Poisoned> {
        let now = self.now().s;
        // By numbers: names are looked up once a row, however many have used the same.
        let mut sums: BTreeMap<(u32, TagsId, u32), u64> = BTreeMap::new();
        for delta in commits.iter().flat_map(|commit| &commit.deltas) {
            let sum = sums.entry((delta.dimension, delta.tags, delta.component)).or_default();
            *sum = sum.saturating_add(delta.units);
        }
        let mut booked: BTreeMap<u32, u64> = BTreeMap::new();
        let mut rows = Vec::with_capacity(sums.len());
        for ((dimension, tags, component), units) in sums {
            let tags = desk.tags(tags).map_or(Tags::NONE, |set| Tags::shared(set.pairs().clone()));
            let Some(used) = self.used(dimension, component, tags, units, now) else { continue };
            let sum = booked.entry(dimension).or_default();
            *sum = sum.saturating_add(units);
            rows.push(used);
        }
        self.write_usage(rows)?;
        for commit in commits {
            commit.done.send(Ok(()));
        }
        for (dimension, units) in booked {
            if let Some(sum) = usize::try_from(dimension).ok().and_then(|number| self.booked.get_mut(number)) {
                *sum = sum.saturating_add(units);
            }
        }
        Ok(())
    }

    /// Closes an hour as a person found it to be.
    fn settle(&mut self, settlement: &Settlement) -> Result<Result<(), Refused>, Poisoned> {
        let at = self.now().s;
        match settlement.record(&self.ledger, at) {
            Ok(record) => {
                tracing::warn!(entry = record.to_text(), "an hour is settled by a person");
                self.write(vec![record]).map(Ok)
            }
            Err(refused) => Ok(Err(refused)),
        }
    }

    fn used(&self, dimension: u32, component: u32, tags: Tags, units: u64, now: u64) -> Option<Used> {
        let index = usize::try_from(dimension).ok()?;
        let (like, per) = (self.likes.get(index)?, self.options.policy.dimensions.get(index)?.per);
        let component = self.options.components.get(usize::try_from(component).ok()?).map_or("", String::as_str);
        Some(self.ledger.used(like, per, component, tags, units, now))
    }
}

/// Why entitlement could not be asked for by a zero record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The dimension holds usage in this hour: the manifest needs one of its own for the question.
    #[error("{0}")]
    InUse(tollgate_metering::AskRefusal),
    /// The ledger cannot be written.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
}

/// Wall clock and boot clock in seconds.
fn clocks(clock: &Clock) -> Clocks {
    Clocks { wall: clock.now_ms() / 1_000, boot: clock.boot_ms() / 1_000 }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    system_random(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// A dry run, sent only for the `Date` of its answer.
fn time_question(policy: &Policy, now: u64) -> Option<MeterUsage> {
    let rate = policy.dimensions.first().filter(|_| policy.sends)?;
    Some(MeterUsage {
        product_code: policy.product_code.clone(),
        dimension: rate.key.clone(),
        timestamp: now,
        quantity: 0,
        allocations: Vec::new(),
        client_token: None,
        dry_run: true,
    })
}

#[cfg(test)]
mod tests;
