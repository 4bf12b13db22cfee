//! What an answer of the metering service says about one record, sorted by what is known afterwards.
//!
//! The caller that talks to AWS translates a reply into one of these words and decides nothing; what follows from it is
//! decided by the plan, with the history of the record at hand.

use alloc::string::String;

/// The answer to one `MeterUsage` request.
///
/// The codes are those of the `MeterUsage` reference; they travel along for the ledger and the operator, no decision is
/// taken from their text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// HTTP 200 with a record id: the service holds exactly what was sent.
    Accepted {
        /// `MeteringRecordId`, opaque.
        record_id: String,
    },
    /// The service certainly did not take the record: throttling, access denied, wrong or expired credentials or
    /// signature, or no connection was made.
    NotProcessed {
        /// The error code, or a word for the kind of connection failure.
        code: String,
    },
    /// Nobody knows whether the record was taken: 5xx, timeout, a broken or unreadable reply, 200 without a record id.
    Unknown {
        /// What was seen instead of an answer.
        detail: String,
    },
    /// `DuplicateRequestException`: the service holds another quantity for this hour, dimension and resource.
    Duplicate,
    /// `CustomerNotEntitledException` and its relatives: no subscription.
    NotEntitled {
        /// The error code.
        code: String,
    },
    /// `InvalidTagException` or `InvalidUsageAllocationsException`: the split by tags was refused, the record not taken.
    InvalidTags {
        /// The error code.
        code: String,
    },
    /// Any other refusal: this record will never be taken as it is.
    Refused {
        /// The error code.
        code: String,
    },
    /// `DryRunOperation`: permitted, and nothing was recorded. Only an answer to a dry run.
    DryRunOk,
}
