//! What goes wrong, and how often: other rates for each seed, many of them zero, in some seeds all.

use std::collections::BTreeSet;

use crate::random::{Rng, hash};

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident $kind:ident $most:literal,)*) => {
        /// Something that goes wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// Every fault.
            pub const ALL: &[Self] = &[$(Self::$name),*];
            /// Their names, in the same order.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

            /// A chance out of a million an opportunity, or how many in a run: at most this.
            fn most(self) -> (Kind, u64) {
                match self { $(Self::$name => (Kind::$kind, $most),)* }
            }
        }
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// At each opportunity, out of a million.
    Chance,
    /// Begins at random instants: so many in a run for the world.
    World,
    /// The same for each pod.
    Pod,
}

faults! {
    /// The process dies before a batch is on disk.
    CrashBeforeWrite Chance 15_000,
    /// The process dies when a batch is on disk and nobody knows yet.
    CrashAfterWrite Chance 15_000,
    /// The disk says no; nothing was written.
    WriteError Chance 8_000,
    /// The disk says no, and all was written.
    WriteErrorDurable Chance 8_000,
    /// The process dies between the entry and the first byte.
    CrashBeforeSend Chance 30_000,
    /// The process dies when the request has left.
    CrashAfterSend Chance 30_000,
    /// The process dies when the reply is there.
    CrashBeforeAnswer Chance 30_000,
    /// A request never arrives.
    RequestLost Chance 200_000,
    /// A reply never arrives.
    ReplyLost Chance 200_000,
    /// A request arrives up to ten minutes later.
    RequestLate Chance 150_000,
    /// A reply arrives after everybody stopped waiting.
    ReplyLate Chance 150_000,
    /// No connection.
    NoConnection Chance 150_000,
    /// Throttled once.
    Throttled Chance 300_000,
    /// 5xx, and AWS took the record.
    ErrorTaken Chance 150_000,
    /// 5xx, and AWS did not take the record.
    ErrorNotTaken Chance 150_000,
    /// 200 without a record id.
    NoRecordId Chance 100_000,
    /// A pod that starts is a new one with the disk of the old.
    ReplacedWithDisk Chance 400_000,
    /// A pod that starts is a new one, and was given the folder of the old as its own.
    FolderRenamed Chance 100_000,
    /// A pod that starts is a new one; the disk is gone.
    ReplacedWithoutDisk Chance 150_000,
    /// A container starts again in its pod, on an empty disk.
    DiskLost Chance 300_000,
    /// A container starts again in its pod, on an old copy of its disk.
    OldCopy Chance 150_000,
    /// A new pod starts on an old copy of the disk.
    OldCopyInNewPod Chance 150_000,
    /// The operator chose another listing.
    OtherListing Chance 60_000,
    /// A new version of the product has another price unit.
    OtherPer Chance 100_000,
    /// The wall clock is wrong when a process starts.
    WrongClockAtStart Chance 60_000,
    /// More than fits into one record.
    HugeUse Chance 10_000,
    /// The service does not answer for hours: no connection.
    Unreachable World 3,
    /// The service swallows requests for hours.
    BlackHole World 3,
    /// The service answers 5xx for hours.
    ServerErrors World 3,
    /// The service throttles for hours.
    ThrottleStorm World 3,
    /// The role is wrong for hours.
    AccessDenied World 2,
    /// The subscription is gone for hours.
    Unsubscribed World 2,
    /// Tags are refused for hours.
    TagsRefused World 2,
    /// One dimension is refused for hours.
    DimensionRefused World 2,
    /// The volume is copied, and a new pod runs on the copy beside the original.
    Forked World 1,
    /// The wall clock jumps ahead.
    ClockAhead Pod 3,
    /// The wall clock jumps back.
    ClockBack Pod 3,
    /// The wall clock stands still.
    ClockFrozen Pod 2,
    /// The container is paused for hours.
    Paused Pod 3,
    /// The process is killed.
    Killed Pod 6,
    /// The process is told to end.
    Stopped Pod 5,
    /// The disk is full for a while.
    DiskFull Pod 2,
    /// A rolling update: the new pod starts on the same volume before the old one ends.
    Rolled Pod 2,
    /// A second host starts on the folder of a pod that runs.
    SecondHost Pod 2,
}

impl Fault {
    /// Those that end a process at a step of its own.
    pub const CRASHES: &[Self] = &[
        Self::CrashBeforeWrite,
        Self::CrashAfterWrite,
        Self::CrashBeforeSend,
        Self::CrashAfterSend,
        Self::CrashBeforeAnswer,
    ];
}

/// Decides what strikes. A chance is decided by the seed, the fault and the number of the opportunity alone.
#[derive(Debug, Clone)]
pub(crate) struct Faults {
    seed: u64,
    rates: Vec<u64>,
    chances: Vec<u64>,
    pub(crate) fired: Vec<u64>,
    pub(crate) healed: bool,
    spared: BTreeSet<(Fault, u64)>,
    off: BTreeSet<Fault>,
    /// The next point at which a process could be made to crash.
    pub(crate) steps: u64,
    crash_at: Option<u64>,
    /// Which occurrences struck, for the shrinker.
    pub(crate) struck: Vec<(Fault, u64)>,
}

/// What a run leaves out, and what it does on top.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Faults that never strike.
    pub off: BTreeSet<Fault>,
    /// Single occurrences that do not strike.
    pub spared: BTreeSet<(Fault, u64)>,
    /// Commits of guests that do not happen.
    pub unused: BTreeSet<u64>,
    /// The process that reaches this crash point dies there.
    pub crash_at: Option<u64>,
}

impl Faults {
    pub(crate) fn new(seed: u64, changes: &Changes) -> Self {
        let mut dice = Rng::new(seed, 1);
        // Of many faults at once each hides the others: most runs have a few, and some have none.
        let one_in = dice.pick(&[1, 2, 2, 3, 4, 8]);
        let none = dice.one_in(32);
        let rate = |fault: &Fault| {
            let most = fault.most().1;
            let rate = dice.between(most.div_ceil(10), most);
            if dice.one_in(one_in) && !none { rate } else { 0 }
        };
        let rates = Fault::ALL.iter().map(rate).collect();
        let zeros = vec![0; Fault::ALL.len()];
        Self {
            seed,
            rates,
            chances: zeros.clone(),
            fired: zeros,
            healed: false,
            spared: changes.spared.clone(),
            off: changes.off.clone(),
            steps: 0,
            crash_at: changes.crash_at,
            struck: Vec::new(),
        }
    }

    /// True if the fault strikes at this opportunity.
    pub(crate) fn strikes(&mut self, fault: Fault) -> bool {
        let (at, n) = (fault as usize, self.chances[fault as usize]);
        self.chances[at] += 1;
        if self.healed || self.rates[at] == 0 {
            return false;
        }
        let strikes = hash(self.seed, 100 + at as u64, n) % 1_000_000 < self.rates[at];
        strikes && self.strike(fault, n)
    }

    /// A step at which a process may die.
    pub(crate) fn crashes(&mut self, fault: Fault) -> bool {
        let step = self.steps;
        self.steps += 1;
        if self.crash_at == Some(step) {
            self.fired[fault as usize] += 1;
            return true;
        }
        self.strikes(fault)
    }

    /// The process that reaches this step dies there.
    pub(crate) fn crash_at(&mut self, step: u64) {
        self.crash_at = Some(step);
    }

    /// How often a fault of the world or of a pod begins in this run.
    pub(crate) fn occurrences(&self, fault: Fault) -> u64 {
        if fault.most().0 == Kind::Chance { 0 } else { self.rates[fault as usize] }
    }

    /// Those that begin at instants of their own: for each pod, or once for all.
    pub(crate) fn scheduled() -> impl Iterator<Item = (Fault, bool)> {
        let kinds = Fault::ALL.iter().map(|&fault| (fault, fault.most().0));
        kinds.filter(|(_, kind)| *kind != Kind::Chance).map(|(fault, kind)| (fault, kind == Kind::Pod))
    }

    /// Whether the `n`-th occurrence of a scheduled fault happens.
    pub(crate) fn begins(&mut self, fault: Fault, n: u64) -> bool {
        !self.healed && self.strike(fault, n)
    }

    /// A number about the latest opportunity of a fault, both ends included.
    pub(crate) fn amount(&self, fault: Fault, first: u64, last: u64) -> u64 {
        let at = fault as usize;
        first + hash(self.seed, 200 + at as u64, self.chances[at] + self.fired[at]) % (last - first + 1)
    }

    pub(crate) fn any(&self) -> bool {
        self.fired.iter().any(|&fired| fired > 0)
    }

    fn strike(&mut self, fault: Fault, n: u64) -> bool {
        if self.off.contains(&fault) || self.spared.contains(&(fault, n)) {
            return false;
        }
        self.fired[fault as usize] += 1;
        self.struck.push((fault, n));
        true
    }
}
