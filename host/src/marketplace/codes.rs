//! The names AWS gives to its errors, sorted by what they say. Knows nothing of the SDK: a new name is a new row.
//!
//! Names: the service model of `meteringmarketplace` 2016-01-14, the common errors of AWS, and the spellings that occur
//! only in the prose of the guides (`CustomerNotSubscribedException`).

/// What an error code of AWS says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Too many calls in this account and region; nothing was done.
    Throttled,
    /// A failure inside AWS; whether something was done is not known.
    Internal,
    /// The account has no subscription.
    NotEntitled,
    /// AWS sells this only to ECS tasks and EKS pods with a role of their own.
    Platform,
    /// The call and the resource are in different regions, or the region does not offer the operation.
    Region,
    /// Permission, credentials or signature; nothing was done.
    Denied,
    /// The hour has another quantity already.
    Duplicate,
    /// The allocations or their tags are wrong.
    Tags,
    /// A dry run that would have been permitted.
    DryRun,
    /// Everything else, also what we have never heard of.
    Other,
}

/// Sorts one error code.
pub(crate) fn sort(code: &str) -> Kind {
    match code {
        "ThrottlingException" | "Throttling" | "TooManyRequestsException" | "RequestLimitExceeded" | "SlowDown" => {
            Kind::Throttled
        }
        "InternalServiceErrorException"
        | "InternalServiceException"
        | "InternalFailure"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => Kind::Internal,
        "PlatformNotSupportedException" => Kind::Platform,
        "InvalidRegionException" | "InvalidEndpointRegionException" | "DisabledApiException" => Kind::Region,
        "AccessDeniedException"
        | "AccessDenied"
        | "UnauthorizedException"
        | "UnauthorizedOperation"
        | "NotAuthorized"
        | "OptInRequired"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "RequestTimeTooSkewed" => Kind::Denied,
        "DuplicateRequestException" => Kind::Duplicate,
        "InvalidTagException" | "InvalidUsageAllocationsException" => Kind::Tags,
        "DryRunOperation" => Kind::DryRun,
        _ if code.starts_with("CustomerNotEntit") || code.starts_with("CustomerNotSubscribed") => Kind::NotEntitled,
        _ => Kind::Other,
    }
}
