//! Situations that are no fault and have to be met.

macro_rules! features {
    ($($name:ident = $text:literal,)*) => {
        /// A situation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Feature {
            $($name,)*
        }

        impl Feature {
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

features! {
    FolderInUse = "a folder is in use and not adopted",
    SecondHostRefused = "a second host on a ledger is refused",
    Repaired = "a hand-over that was cut off is completed",
    RepairedBetweenOthers = "a hand-over between two others is completed",
    Retired = "a folder has nothing left to adopt",
    LeftInFolder = "units stay in an adopted folder",
    OwnerCameBack = "an identity comes back to a folder that was adopted",
    RestoredBeforeCheckpoint = "a copy from before a checkpoint is restored",
    AdoptedLater = "adopted units go to a later hour",
    TagsFolded = "tag sets are folded into the untagged one",
}
