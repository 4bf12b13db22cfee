//! Every row of a ledger as it stands in its tables, and the check that nobody but a host wrote them.
//!
//! Read by the thread that owns the file, checked by whoever asked: a check never holds up usage.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use sha2::{Digest, Sha256};
use tollgate_metering::{Hour, Payer, Record, SlotId, Tags, Used};

use super::chain::Link;
use super::witness::{Head, Seen};
use super::{Archive, Loaded};

/// The hash of a row of usage has this many bytes.
const ROW_HASH_BYTES: usize = 8;
/// What is said of a row with another.
const CHANGED: &str = "its hash does not fit; the row was changed";
/// Room for the text of most rows.
const HASHED_BYTES: usize = 256;

/// A whole ledger, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Table `usage`, with what stands in table `recent`, by key.
    pub usage: Vec<UsageRow>,
    /// Table `recorded`, with the same, by key.
    pub recorded: Vec<RecordedRow>,
    /// Table `chain`: the number of the first entry that is kept.
    pub first: u64,
    /// Table `chain`: the hash before that entry.
    pub before: [u8; 32],
    /// Table `transitions`, by number.
    pub transitions: Vec<Entry>,
    /// Where the archive begins and ends; it is read page by page.
    pub archive: Archive,
    /// What the file `lock` says about the end of the ledger.
    pub(super) witness: Seen,
}

/// What names a row of table `recorded`, and begins the name of a row of `usage`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The id of the listing.
    pub listing: String,
    /// `self`.
    pub payer: String,
    /// The key of the dimension.
    pub dimension: String,
    /// Hours since 1970.
    pub hour: i64,
}

/// A row of table `usage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// Listing, payer, dimension, hour.
    pub key: Key,
    /// `key:value,...`, escaped as in an entry; empty for units without tags.
    pub tags: String,
    /// The id of the component.
    pub component: String,
    /// Units per billed unit.
    pub per: i64,
    /// Units of the guest.
    pub units: i64,
    /// Of `units`: counted in another hour.
    pub late: i64,
    /// When the last of them came, unix seconds.
    pub at: i64,
    /// See `Hashed`.
    pub hash: Vec<u8>,
}

/// A row of table `recorded`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRow {
    /// Listing, payer, dimension, hour.
    pub key: Key,
    /// Units of the guest.
    pub units: i64,
}

/// A row of table `transitions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: i64,
    /// The text of [`Record::to_text`].
    pub text: String,
    /// The hash over the entry before, the number and the text.
    pub hash: Vec<u8>,
}

/// A ledger whose rows are as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) loaded: Loaded,
    pub(super) head: Head,
}

impl Image {
    /// Adds usage that stands in table `recent`. That makes no row right which is not as it was written.
    pub(super) fn add(&mut self, recent: impl Iterator<Item = Used>) -> Result<(), String> {
        let (mut rows, mut sums) = (Vec::new(), BTreeMap::<Key, i64>::new());
        for used in recent {
            let row = UsageRow::of(&used).ok_or("table recent: a number is too large")?;
            let sum = sums.entry(row.key.clone()).or_default();
            *sum = sum.saturating_add(row.units);
            match self.usage.binary_search_by(|have| have.name().cmp(&row.name())) {
                Ok(index) => self.usage[index].add(&row)?,
                Err(_) => rows.push(row),
            }
        }
        self.usage.append(&mut rows);
        self.usage.sort_by(|one, next| one.name().cmp(&next.name()));
        for have in &mut self.recorded {
            have.units = have.units.saturating_add(sums.remove(&have.key).unwrap_or_default());
        }
        self.recorded.extend(sums.into_iter().map(|(key, units)| RecordedRow { key, units }));
        self.recorded.sort_by(|one, next| one.key.cmp(&next.key));
        Ok(())
    }

    /// The first row that is not as it was written, by table and key; else everything, and where it ends.
    pub(super) fn check(&self) -> Result<Whole, String> {
        // Thousands of rows share a few tag sets.
        let mut read = BTreeMap::new();
        let used = self.usage.iter().map(|row| row.used(&mut read)).collect::<Result<Vec<_>, _>>()?;
        self.check_counters()?;
        let (records, mut head) = self.check_chain()?;
        let past = records.iter().map(|record| match record {
            Record::Past { balance, .. } => balance.recorded,
            _ => 0,
        });
        head.recorded = past.sum::<u128>() + used.iter().map(|used| u128::from(used.units)).sum::<u128>();
        self.check_witness(&head)?;
        Ok(Whole { loaded: Loaded { used, records, before: self.first.saturating_sub(1) }, head })
    }

    /// Both directions: a counter without usage is as wrong as usage without a counter.
    fn check_counters(&self) -> Result<(), String> {
        let mut sums: BTreeMap<&Key, i128> = BTreeMap::new();
        // The rows of a slot stand together, thousands of them.
        for rows in self.usage.chunk_by(|row, next| row.key == next.key) {
            *sums.entry(&rows[0].key).or_default() += rows.iter().map(|row| i128::from(row.units)).sum::<i128>();
        }
        for RecordedRow { key, units } in &self.recorded {
            match sums.remove(key) {
                Some(sum) if sum == i128::from(*units) => {}
                sum => {
                    let sum = sum.unwrap_or_default();
                    return Err(format!("table recorded, row {key}: says {units}, table usage comes to {sum}"));
                }
            }
        }
        match sums.first_key_value() {
            Some((key, sum)) => Err(format!("table recorded, row {key}: is missing, table usage comes to {sum}")),
            None => Ok(()),
        }
    }

    fn check_chain(&self) -> Result<(Vec<Record>, Head), String> {
        let end = self.check_links()?;
        let record = |entry: &Entry| {
            Record::from_text(&entry.text).map_err(|error| format!("table transitions, seq {}: {error}", entry.seq))
        };
        Ok((self.transitions.iter().map(record).collect::<Result<_, _>>()?, end))
    }

    /// Whether each entry follows from the one before. Where they end; units are not counted.
    pub(super) fn check_links(&self) -> Result<Head, String> {
        let mut head = Head { seq: self.first.saturating_sub(1), link: Link(self.before), recorded: 0 };
        for entry in &self.transitions {
            let seq = head.seq + 1;
            if u64::try_from(entry.seq) != Ok(seq) {
                return Err(format!("table transitions, seq {seq}: is missing"));
            }
            head = Head { seq, link: head.link.next(seq, &entry.text), ..head };
            if entry.hash != head.link.0 {
                let before = if seq == self.first { " or the row of table chain" } else { "" };
                return Err(format!("table transitions, seq {seq}: its hash does not fit; it{before} was changed"));
            }
        }
        Ok(head)
    }

    /// Whether the second place can be read. A start does without it, because a power cut may tear it; whoever looks for
    /// changes wants to know.
    pub(super) fn check_witness_line(&self) -> Result<(), String> {
        match self.witness {
            Seen::Unreadable => {
                Err("file lock: is not as a host writes it; a power cut or somebody changed it".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn check_witness(&self, head: &Head) -> Result<(), String> {
        let witness = match &self.witness {
            // After a power cut the line may be torn; the next start writes it anew.
            Seen::Nothing | Seen::Unreadable => return Ok(()),
            Seen::Missing if self.transitions.is_empty() => return Ok(()),
            Seen::Missing => {
                let lost = "is gone or empty, and the ledger beside it is not: the database may be an older copy";
                return Err(format!("file lock: {lost}"));
            }
            Seen::Head(witness) => witness,
        };
        let at =
            |seq: u64| seq.checked_sub(self.first).and_then(|index| self.transitions.get(usize::try_from(index).ok()?));
        let before = witness.seq + 1 < self.first;
        let anchor = witness.seq + 1 == self.first && witness.link.0 == self.before;
        let fits = before || anchor || at(witness.seq).is_some_and(|entry| entry.hash == witness.link.0);
        if !fits && witness.seq > head.seq {
            let (first, last) = (head.seq + 1, witness.seq);
            return Err(format!("table transitions, seq {first} to {last}: are missing, the file lock knows of them"));
        }
        if !fits {
            return Err(format!("table transitions, seq {}: is not the one that the file lock knows", witness.seq));
        }
        if witness.recorded > head.recorded {
            let missing = witness.recorded - head.recorded;
            return Err(format!("table usage: {missing} units are missing, the file lock knows of them"));
        }
        Ok(())
    }
}

/// What the hash of a row of usage is of: all its columns but the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashed<'a> {
    pub(super) listing: &'a str,
    pub(super) payer: &'a str,
    pub(super) dimension: &'a str,
    pub(super) hour: i64,
    pub(super) tags: &'a str,
    pub(super) component: &'a str,
    /// Per, units, late, at.
    pub(super) numbers: [i64; 4],
}

impl Hashed<'_> {
    /// The first 8 bytes of SHA-256 over the columns as text, a zero byte between them.
    pub(super) fn hash(self) -> [u8; ROW_HASH_BYTES] {
        let Self { listing, payer, dimension, hour, tags, component, numbers: [per, units, late, at] } = self;
        let mut text = String::with_capacity(HASHED_BYTES);
        // Nothing can go wrong with writing to memory.
        let _ =
            write!(text, "{listing}\0{payer}\0{dimension}\0{hour}\0{tags}\0{component}\0{per}\0{units}\0{late}\0{at}");
        let mut hash = [0; ROW_HASH_BYTES];
        hash.iter_mut().zip(Sha256::digest(text)).for_each(|(to, from)| *to = from);
        hash
    }
}

impl UsageRow {
    /// The row that begins with this. `None`: a number is too large.
    fn of(used: &Used) -> Option<Self> {
        let Used { slot: SlotId { listing, payer: Payer::Own, dimension, hour }, per, component, tags, .. } = used;
        let (listing, payer, dimension) = (listing.clone(), "self".to_owned(), dimension.clone());
        let number = |value: u64| i64::try_from(value).ok();
        let mut row = Self {
            key: Key { listing, payer, dimension, hour: hour.0.into() },
            tags: tags.to_text(),
            component: component.clone(),
            per: number(*per)?,
            units: number(used.units)?,
            late: number(used.late)?,
            at: number(used.at)?,
            hash: Vec::new(),
        };
        row.hash = row.hash_of().to_vec();
        Some(row)
    }

    /// What it is called among all.
    fn name(&self) -> (&Key, &str, &str) {
        (&self.key, &self.tags, &self.component)
    }

    /// Adds what another says of the same.
    fn add(&mut self, more: &Self) -> Result<(), String> {
        if self.hash != self.hash_of() {
            return Err(format!("{self}: {CHANGED}"));
        }
        let (units, late) = (self.units.checked_add(more.units), self.late.checked_add(more.late));
        let (Some(units), Some(late), true) = (units, late, self.per == more.per) else {
            return Err(format!("{self}: what table recent says cannot be added to it"));
        };
        (self.units, self.late, self.at) = (units, late, self.at.max(more.at));
        self.hash = self.hash_of().to_vec();
        Ok(())
    }

    /// The hash that the row should have.
    fn hash_of(&self) -> [u8; ROW_HASH_BYTES] {
        let Self { key, tags, component, per, units, late, at, hash: _ } = self;
        let Key { listing, payer, dimension, hour } = key;
        let numbers = [*per, *units, *late, *at];
        Hashed { listing, payer, dimension, hour: *hour, tags, component, numbers }.hash()
    }

    fn used<'a>(&'a self, read: &mut BTreeMap<&'a str, Tags>) -> Result<Used, String> {
        let wrong = |what: &str| format!("{self}: {what}");
        if self.hash != self.hash_of() {
            return Err(wrong(CHANGED));
        }
        let tags = match read.get(self.tags.as_str()) {
            Some(tags) => tags.clone(),
            None => {
                let tags = Tags::from_text(&self.tags).ok_or_else(|| wrong("tags: not a tag set"))?;
                read.insert(&self.tags, tags.clone());
                tags
            }
        };
        let number =
            |name: &str, value: i64| u64::try_from(value).map_err(|_| wrong(&format!("{name}: {value} is below zero")));
        Ok(Used {
            slot: self.key.slot().map_err(|what| wrong(&what))?,
            per: number("per", self.per)?,
            component: self.component.clone(),
            tags,
            units: number("units", self.units)?,
            late: number("late", self.late)?,
            at: number("at", self.at)?,
        })
    }
}

impl Key {
    /// The key as the engine knows it.
    pub(super) fn slot(&self) -> Result<SlotId, String> {
        if self.payer != "self" {
            return Err(format!("payer: {:?} is not one of this version", self.payer));
        }
        let hour = u32::try_from(self.hour).map_err(|_| format!("hour: {} is not an hour", self.hour))?;
        let (listing, dimension) = (self.listing.clone(), self.dimension.clone());
        Ok(SlotId { listing, payer: Payer::Own, dimension, hour: Hour(hour) })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {}, {}, {})", self.listing, self.payer, self.dimension, self.hour)
    }
}

impl fmt::Display for UsageRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key { listing, payer, dimension, hour } = &self.key;
        write!(f, "table usage, row ({listing}, {payer}, {dimension}, {hour}, {}, {})", self.tags, self.component)
    }
}
