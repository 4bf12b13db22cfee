//! The operations of the service, by name.

/// One of the four operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    /// A software-as-a-service product reports usage of its customers.
    BatchMeterUsage,
    /// A container or an instance reports its own usage.
    MeterUsage,
    /// A container asks whether it may run, and is metered by AWS from then on.
    RegisterUsage,
    /// A software-as-a-service product asks who stands behind a registration token.
    ResolveCustomer,
}

impl Operation {
    /// The operation that `X-Amz-Target` names.
    pub(crate) fn of_target(target: &str) -> Option<Self> {
        let name = target.strip_prefix(TARGET_PREFIX)?;
        ALL.into_iter().find(|operation| operation.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BatchMeterUsage => "BatchMeterUsage",
            Self::MeterUsage => "MeterUsage",
            Self::RegisterUsage => "RegisterUsage",
            Self::ResolveCustomer => "ResolveCustomer",
        }
    }
}

const ALL: [Operation; 4] =
    [Operation::BatchMeterUsage, Operation::MeterUsage, Operation::RegisterUsage, Operation::ResolveCustomer];

/// What stands before the operation's name in `X-Amz-Target`.
pub(crate) const TARGET_PREFIX: &str = "AWSMPMeteringService.";
