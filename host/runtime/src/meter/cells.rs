//! The numbers that one instance counts in, as machine code sees them.
//!
//! `builtin/counter.wat` is compiled into the guest and counts here without asking anybody. What it relies on, and what
//! makes that safe:
//!
//! - It finds the [`Window`] at the start of the store's data, which is where `Guest` has it; both layouts are asserted.
//!   The window points into the cells and at the generation. Both are kept alive by the `Counters` beside it in `Guest`,
//!   and stay where they are: a store ends before its data, and its machine code runs in no other store.
//! - It reads a cell only after it compared the number of the dimension, so no number leads out of the cells.
//! - It writes one word, `used`, and only if the sum stays below `bound` in the generation for which the bounds were set.
//!   A bound is at most [`BOUND_MAX`], so the sum of it and 32 bits does not wrap. Cells of dimensions that the host
//!   measures have the bound zero, so it never writes them. Everything else it leaves to [`Cells::ask`].
//! - `used` of a guest's dimension is written by nobody else while the guest runs: [`Cells::ask`] is called by the guest,
//!   on its thread. So it may load, add and store without a lock. Others read it at any time, and must not empty it; what
//!   was taken is remembered in [`Account::sent`]. An aligned word of 64 bits is read and written whole by the processors
//!   we compile for, as by a relaxed atomic.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

use super::gate::Gate;
use super::{Outcome, Shared, Source};

/// The bound of a dimension without a limit. More than an instance can count, and far from where a sum would wrap.
const BOUND_MAX: u64 = 1 << 62;

/// What machine code is told about the counters of its instance: addresses and a number, as it loads them.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Window {
    /// Where the cells begin.
    cells: u64,
    /// How many there are after the first.
    dimensions: u64,
    /// Where the generation of the meter is.
    generation: u64,
}

/// One dimension; in front of them one whose `used` is the generation for which the bounds hold.
#[repr(C)]
#[derive(Debug, Default)]
struct Cell {
    /// Units since the instance began. Never goes down.
    used: AtomicU64,
    /// `used` may become any number below it without asking. Zero: none.
    bound: AtomicU64,
}

// The offsets that counter.wat has as numbers.
const _: () = {
    assert!(std::mem::offset_of!(Window, cells) == 0 && size_of::<Window>() == 24);
    assert!(std::mem::offset_of!(Window, dimensions) == 8 && std::mem::offset_of!(Window, generation) == 16);
    assert!(size_of::<Cell>() == 16 && align_of::<Cell>() == 8);
    assert!(std::mem::offset_of!(Cell, used) == 0 && std::mem::offset_of!(Cell, bound) == 8);
};

/// What the host knows of a cell and machine code does not see.
#[derive(Debug, Default)]
struct Account {
    /// Units admitted by the gate. Without a limit they are admitted when they are taken, and this may be behind `used`.
    charged: AtomicU64,
    /// Units that went into commits.
    sent: AtomicU64,
}

/// The cells of one instance.
#[derive(Debug)]
pub(super) struct Cells {
    cells: Box<[Cell]>,
    /// One a dimension.
    accounts: Box<[Account]>,
}

impl Cells {
    pub(super) fn new(shared: &Shared) -> Self {
        let generation = shared.generation.load(Acquire);
        let cell = |(dimension, gate): (&super::Dimension, &Gate)| {
            let free = dimension.source == Source::Guest && !gate.limited();
            Cell { used: AtomicU64::new(0), bound: AtomicU64::new(if free { BOUND_MAX } else { 0 }) }
        };
        let seen = if shared.stopped.load(Relaxed) { 0 } else { generation };
        let head = Cell { used: AtomicU64::new(seen), bound: AtomicU64::new(0) };
        let cells = std::iter::once(head).chain(shared.dimensions.iter().zip(&shared.gates).map(cell)).collect();
        Self { cells, accounts: shared.dimensions.iter().map(|_| Account::default()).collect() }
    }

    pub(super) fn window(&self, shared: &Shared) -> Window {
        Window {
            cells: self.cells.as_ptr().expose_provenance() as u64,
            dimensions: self.accounts.len() as u64,
            generation: (&raw const shared.generation).expose_provenance() as u64,
        }
    }

    /// Adds units of a dimension that guests count, asking for each. Not while [`Cells::ask`] runs on another thread.
    pub(super) fn add(&self, shared: &Shared, dimension: u32, units: u32) -> Outcome {
        let Some((cell, account, Source::Guest)) = self.of(shared, dimension) else { return Outcome::Unknown };
        let outcome = shared.admit(dimension, units);
        if outcome == Outcome::Counted {
            // In this order, so that nobody who settles in between finds units that are not charged.
            account.charged.fetch_add(u64::from(units), Relaxed);
            cell.used.fetch_add(u64::from(units), Relaxed);
        }
        outcome
    }

    /// What machine code could not decide. Only for the guest of this instance, on its thread: nobody else may touch the
    /// bounds. Takes units ahead where that is possible, so that it is seldom asked.
    pub(super) fn ask(&self, shared: &Shared, dimension: u32, units: u32) -> Outcome {
        // Before anything that it stands for.
        let generation = shared.generation.load(Acquire);
        let Some((cell, account, Source::Guest)) = self.of(shared, dimension) else { return Outcome::Unknown };
        let Some(gate) = shared.gate(dimension) else { return Outcome::Unknown };
        if shared.stopped.load(Relaxed) {
            return Outcome::Stopped;
        }
        if self.cells[0].used.load(Relaxed) != generation {
            self.renew(shared);
            self.cells[0].used.store(generation, Relaxed);
        }
        cell.give_back(account, gate);
        let outcome = self.add(shared, dimension, units);
        if outcome == Outcome::Counted && gate.limited() {
            let ahead = gate.take_ahead();
            account.charged.fetch_add(ahead, Relaxed);
            let bound = if ahead == 0 { 0 } else { account.charged.load(Relaxed).saturating_add(1) };
            cell.bound.store(bound.min(BOUND_MAX), Relaxed);
        }
        outcome
    }

    /// Adds what the host measured; any thread may call it.
    pub(super) fn measured(&self, shared: &Shared, dimension: u32, units: u64) {
        if let (Some((cell, account, Source::Host(_))), Some(gate)) =
            (self.of(shared, dimension), shared.gate(dimension))
        {
            let part = gate.admit_part(units);
            account.charged.fetch_add(part, Relaxed);
            cell.used.fetch_add(part, Relaxed);
        }
    }

    pub(super) fn dirty(&self) -> bool {
        self.dimensions().any(|(cell, account)| cell.used.load(Relaxed) != account.sent.load(Relaxed))
    }

    /// What was counted since the last call, by number of the dimension. One caller at a time.
    pub(super) fn take(&self, shared: &Shared) -> impl Iterator<Item = (u32, u64)> {
        (0_u32..).zip(self.dimensions().zip(&shared.gates)).map(|(dimension, ((cell, account), gate))| {
            let used = cell.settle(account, gate);
            (dimension, used - account.sent.swap(used, Relaxed))
        })
    }

    /// Returns what was taken ahead. While the guest does not run.
    pub(super) fn close(&self, shared: &Shared) {
        for ((cell, account), gate) in self.dimensions().zip(&shared.gates) {
            cell.give_back(account, gate);
        }
    }

    /// Sets all bounds by what was decided since. Only for the guest, as [`Cells::ask`].
    fn renew(&self, shared: &Shared) {
        for (((cell, account), gate), dimension) in self.dimensions().zip(&shared.gates).zip(&shared.dimensions) {
            cell.give_back(account, gate);
            if dimension.source == Source::Guest && !gate.limited() {
                cell.bound.store(BOUND_MAX, Relaxed);
            }
        }
    }

    fn dimensions(&self) -> impl Iterator<Item = (&Cell, &Account)> {
        self.cells[1..].iter().zip(&self.accounts)
    }

    fn of<'a>(&'a self, shared: &Shared, dimension: u32) -> Option<(&'a Cell, &'a Account, Source)> {
        let index = usize::try_from(dimension).ok()?;
        let source = shared.dimensions.get(index)?.source;
        Some((self.cells.get(index + 1)?, self.accounts.get(index)?, source))
    }
}

impl Cell {
    /// Has all that is used admitted, each unit once; says what is used.
    fn settle(&self, account: &Account, gate: &Gate) -> u64 {
        let used = self.used.load(Relaxed);
        let charged = account.charged.fetch_max(used, Relaxed);
        if used > charged {
            gate.note(used - charged);
        }
        used
    }

    /// Ends what was taken ahead.
    fn give_back(&self, account: &Account, gate: &Gate) {
        if self.bound.load(Relaxed) == BOUND_MAX && !gate.limited() {
            return;
        }
        self.bound.store(0, Relaxed);
        let used = self.settle(account, gate);
        let ahead = account.charged.load(Relaxed) - used;
        account.charged.fetch_sub(ahead, Relaxed);
        gate.give_back(ahead);
    }
}
