//! Ways in which acknowledged usage does not reach a bill, and those in which it reaches two: all of them documented.

macro_rules! losses {
    ($($name:ident = $text:literal,)*) => {
        $(pub(crate) const $name: &str = $text;)*
        pub(crate) const ALL: [&str; [$($text),*].len()] = [$($text),*];
    };
}

losses! {
    TWICE_NEW_TASK = "billed twice: an old copy, in a new task",
    TWICE_FORK = "billed twice: a copy that ran beside the original",
    TWICE_CARRIED = "billed twice: an old copy in the same task, carried",
    TWICE_MOVED_BEFORE = "billed twice: an old copy of what had moved on",
    TWICE_REMAINDER = "billed twice: an old copy in the same task, a remainder",
    CONFLICT = "conflict: AWS holds another quantity",
    EXPIRED = "expired: six hours without AWS, not carried",
    EXPIRED_LEFT = "expired: left by a task that is gone, its hour is billed",
    OLD_COPY = "gone with an old copy of the disk",
    DISK_LOST = "gone with the disk, not billed before",
    HANDED_OVER_LOST = "handed over to a ledger that was lost",
    HANDED_OVER_LATE = "handed over, cut off, and its hour closed before it was completed",
    IN_DOUBT_REFUSED = "in doubt: refused after an unknown outcome",
    IN_DOUBT_OLD = "in doubt: six hours after an unknown outcome",
    IN_DOUBT_IDENTITY = "in doubt: new identity after an unknown outcome",
    BEYOND = "over the largest quantity, not carried",
    REJECTED = "rejected by AWS",
    SETTLED_NOT_BILLED = "settled by a person: AWS does not hold it",
    REMAINDER = "remainder below a billed unit, at the end",
    COUNTED = "counted under a listing that sends nothing",
    AHEAD = "waits for an hour that a clock ahead of the world began",
    DRAINS = "over the largest quantity, still moving from hour to hour at the end",
    LEFT_OTHER_LISTING = "left by a task that is gone, under another listing",
}

/// Those that bill a unit a second time.
pub(crate) const TWICE: [&str; 5] = [TWICE_NEW_TASK, TWICE_FORK, TWICE_CARRIED, TWICE_MOVED_BEFORE, TWICE_REMAINDER];
