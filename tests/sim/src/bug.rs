//! Mistakes that are planted on purpose, one at a time: a simulator that cannot find them proves nothing.

macro_rules! bugs {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A mistake of the driver, or of what it hands to the engine.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug {
            $($(#[$doc])* $name,)*
        }

        impl Bug {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

bugs! {
    /// The oracle itself claims that nothing may be billed: fails at once.
    Canary,
    /// The guest hears that its usage is on disk before it is.
    AckBeforeDurable,
    /// The request leaves before the entry of its try is on disk.
    SendBeforeAttempted,
    /// A new pod believes to be the one before it.
    KeepOldIdentity,
    /// Throttled is taken for accepted.
    ThrottleAccepted,
    /// A second try carries another quantity.
    OtherQuantity,
    /// A failed write is taken for a good one.
    IgnoreStoreError,
    /// One commit in thirty is acknowledged and forgotten.
    LoseCommit,
    /// A batch of usage is written a second time after the first.
    CommitTwice,
    /// AWS holds another quantity, and that is taken for accepted.
    DuplicateAccepted,
    /// What is too old is dropped without an entry.
    DropAtSixHours,
    /// An unknown outcome is taken for not processed, and may be carried.
    UnknownNotProcessed,
    /// Tries under way at a crash are taken for never sent.
    ForgetPending,
    /// A timeout is taken for a refusal.
    TimeoutRefused,
    /// The timestamp is that of the try.
    StampOfTry,
    /// Each try has a client token of its own.
    TokenOfTry,
    /// A reply is given to another record under way.
    ReplyToOther,
    /// The wall clock is believed, whatever it says.
    BelieveClock,
    /// The first hour of a new ledger in an old pod is taken for unsent.
    FirstHourFree,
    /// A 200 without a record id is taken for accepted under an invented one.
    InventRecordId,
    /// The sealed hour is sent without its allocations on the second try.
    DropTagsOnRetry,
    /// A listing that sends nothing sends.
    SendFree,
    /// What another task left is adopted a second time.
    AdoptTwice,
    /// The other ledger hears of a hand-over only after it was adopted.
    HandOverAfterAdopted,
    /// The other ledger never hears of it.
    AdoptWithoutHandOver,
    /// The lock of a folder is not looked at.
    IgnoreLock,
    /// A checkpoint leaves out one hour.
    DropFromCheckpoint,
    /// Two tag sets change places in a request.
    WrongTags,
    /// Units are counted under another tag set than the guest said.
    CountUnderOtherTags,
}
