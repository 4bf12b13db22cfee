//! The metering service as its documentation describes it: a small model, written for nothing but this.
//!
//! Sources: the operation page of `MeterUsage` and the seller guide, as collected in the project's notes on AWS metering,
//! section 4. What they leave open is an option of the run.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_metering::{Allocation, Request};

use crate::shape::Shape;

/// AWS recognises a record by these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The number of the task or pod.
    pub(crate) identity: u32,
    pub(crate) dimension: usize,
    /// Hours since 1970.
    pub(crate) hour: u64,
}

/// What will be billed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) quantity: u32,
    pub(crate) allocations: Vec<Allocation>,
    pub(crate) record_id: String,
    /// Which ledger it came from.
    pub(crate) folder: usize,
}

/// What the service says. The name of a variant is the rule that said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Taken { record_id: String },
    SameAgain { record_id: String },
    DryRun,
    Duplicate,
    TokenReused,
    NotEntitled,
    TooOld,
    InTheFuture,
    UnknownDimension,
    TagsRefused,
    BadAllocations,
}

impl Said {
    /// Every rule, for the report.
    pub(crate) const RULES: [&str; 11] = [
        "taken",
        "same-again",
        "dry-run",
        "duplicate",
        "token-reused",
        "not-entitled",
        "too-old",
        "in-the-future",
        "unknown-dimension",
        "tags-refused",
        "bad-allocations",
    ];

    pub(crate) fn rule(&self) -> usize {
        match self {
            Self::Taken { .. } => 0,
            Self::SameAgain { .. } => 1,
            Self::DryRun => 2,
            Self::Duplicate => 3,
            Self::TokenReused => 4,
            Self::NotEntitled => 5,
            Self::TooOld => 6,
            Self::InTheFuture => 7,
            Self::UnknownDimension => 8,
            Self::TagsRefused => 9,
            Self::BadAllocations => 10,
        }
    }
}

/// The service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Aws {
    held: BTreeMap<Key, Held>,
    /// Hours that a ledger has at AWS, under whatever identity: (folder, dimension, hour).
    by_folder: BTreeSet<(usize, usize, u64)>,
    tokens: BTreeMap<String, (Key, u32)>,
    /// Resources whose first call was answered: they stay entitled.
    known: BTreeSet<u32>,
    ids: u64,
    wide_window: bool,
    window_first: bool,
    pub(crate) subscribed: bool,
    pub(crate) tags_refused: bool,
    pub(crate) refused_dimension: Option<usize>,
}

const WINDOW_S: u64 = 6 * 3_600;
/// How far ahead a timestamp may be: undocumented; what a signature may be off.
const AHEAD_S: u64 = 300;

impl Aws {
    pub(crate) fn new(shape: &Shape) -> Self {
        let (wide_window, window_first) = (shape.wide_window, shape.window_first);
        Self { wide_window, window_first, subscribed: true, ..Self::default() }
    }

    pub(crate) fn holds(&self, key: Key) -> Option<&Held> {
        self.held.get(&key)
    }

    /// True if anything of this hour of a ledger is billed, under whatever identity.
    pub(crate) fn billed(&self, folder: usize, dimension: usize, hour: u64) -> bool {
        self.by_folder.contains(&(folder, dimension, hour))
    }

    /// One call of `MeterUsage`.
    pub(crate) fn meter(
        &mut self,
        now: u64,
        (identity, folder): (u32, usize),
        dimension: usize,
        request: &Request,
        dry: bool,
    ) -> Said {
        if dry {
            return Said::DryRun;
        }
        if !self.known.contains(&identity) && !self.subscribed {
            return Said::NotEntitled;
        }
        if self.refused_dimension == Some(dimension) {
            return Said::UnknownDimension;
        }
        let key = Key { identity, dimension, hour: request.timestamp / 3_600 };
        let late = self.outside(now, request.timestamp);
        if let Some(late) = late.clone().filter(|_| self.window_first) {
            return late;
        }
        if let Some(refused) = self.malformed(request) {
            return refused;
        }
        let token = (key, request.quantity);
        if self.tokens.get(&request.token).is_some_and(|known| *known != token) {
            return Said::TokenReused;
        }
        if let Some(held) = self.held.get(&key) {
            let same = held.quantity == request.quantity && held.allocations == request.allocations;
            return if same { Said::SameAgain { record_id: held.record_id.clone() } } else { Said::Duplicate };
        }
        if let Some(late) = late {
            return late;
        }
        self.known.insert(identity);
        self.ids += 1;
        let record_id = format!("R{}", self.ids);
        let (quantity, allocations) = (request.quantity, request.allocations.clone());
        self.held.insert(key, Held { quantity, allocations, record_id: record_id.clone(), folder });
        self.by_folder.insert((folder, dimension, key.hour));
        self.tokens.insert(request.token.clone(), token);
        Said::Taken { record_id }
    }

    fn outside(&self, now: u64, timestamp: u64) -> Option<Said> {
        let from = if self.wide_window { now - now % 3_600 } else { now };
        if timestamp > now + AHEAD_S {
            return Some(Said::InTheFuture);
        }
        (timestamp + WINDOW_S < from).then_some(Said::TooOld)
    }

    fn malformed(&self, request: &Request) -> Option<Said> {
        let allocations = &request.allocations;
        if allocations.is_empty() {
            return None;
        }
        let sum: u64 = allocations.iter().map(|part| u64::from(part.quantity)).sum();
        let sets: BTreeSet<_> = allocations.iter().map(|part| &part.tags).collect();
        let keys: BTreeSet<_> = allocations.iter().flat_map(|part| part.tags.pairs()).map(|(key, _)| key).collect();
        if sum != u64::from(request.quantity) || sets.len() != allocations.len() || sets.len() > 2_500 || keys.len() > 5
        {
            return Some(Said::BadAllocations);
        }
        self.tags_refused.then_some(Said::TagsRefused)
    }
}
