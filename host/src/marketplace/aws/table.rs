//! The one table from what the SDK saw to our words. What is not sure to be unprocessed is `Unknown`: a wrong
//! `NotProcessed` bills somebody twice, a wrong `Unknown` only asks for an identical resend.

use tollgate_metering::Reply;

use crate::marketplace::AskError;
use crate::marketplace::codes::{self, Kind};

/// Why a call of the SDK gave no output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No byte of the request left this process: no credentials, or no connection.
    NotSent(String),
    /// AWS refused to hand out the role that signs; the error code of STS.
    NoRole(String),
    /// The request may have arrived; the reply did not, or nobody can read it.
    NoReply(String),
    /// AWS replied with an error.
    Code { status: u16, code: String },
}

impl Failure {
    /// Whether new credentials may help.
    pub(crate) fn blames_credentials(&self) -> bool {
        matches!(self, Self::Code { code, .. } if codes::sort(code) == Kind::Denied)
    }
}

/// Sorts a failed `RegisterUsage`.
pub(crate) fn ask_error(failure: Failure) -> AskError {
    let (status, code) = match failure {
        Failure::NotSent(code) | Failure::NoReply(code) => return AskError::Retry { code },
        Failure::NoRole(code) => return AskError::Denied { code },
        Failure::Code { status, code } => (status, code),
    };
    match codes::sort(&code) {
        Kind::Throttled | Kind::Internal => AskError::Retry { code },
        Kind::NotEntitled => AskError::NotEntitled { code },
        Kind::Platform => AskError::Platform { code },
        Kind::Region => AskError::Region { code },
        Kind::Denied => AskError::Denied { code },
        _ if status >= 500 => AskError::Retry { code },
        Kind::Duplicate | Kind::Tags | Kind::DryRun | Kind::Other => AskError::Listing { code },
    }
}

/// Sorts a failed `MeterUsage`.
pub(crate) fn reply(failure: Failure, dry_run: bool) -> Reply {
    let (status, code) = match failure {
        Failure::NotSent(code) | Failure::NoRole(code) => return Reply::NotProcessed { code },
        Failure::NoReply(detail) => return Reply::Unknown { detail },
        Failure::Code { status, code } => (status, code),
    };
    match codes::sort(&code) {
        Kind::Throttled => Reply::NotProcessed { code },
        Kind::Internal => Reply::Unknown { detail: code },
        // Whatever a failing server calls it: nobody knows how far it came.
        _ if status >= 500 => Reply::Unknown { detail: format!("{code} with status {status}") },
        Kind::Denied => Reply::NotProcessed { code },
        Kind::NotEntitled => Reply::NotEntitled { code },
        Kind::Duplicate => Reply::Duplicate,
        Kind::Tags => Reply::InvalidTags { code },
        Kind::DryRun if dry_run => Reply::DryRunOk,
        Kind::DryRun | Kind::Platform | Kind::Region | Kind::Other => Reply::Refused { code },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures() -> Vec<Failure> {
        let code = |status, code: &str| Failure::Code { status, code: code.into() };
        vec![
            Failure::NotSent("no connection: refused".into()),
            Failure::NoRole("InvalidIdentityToken".into()),
            Failure::NoReply("timeout".into()),
            code(400, "ThrottlingException"),
            code(503, "ThrottlingException"),
            code(500, "InternalServiceErrorException"),
            code(502, "Bad Gateway"),
            code(503, "AccessDeniedException"),
            code(400, "AccessDeniedException"),
            code(403, "ExpiredTokenException"),
            code(400, "UnauthorizedException"),
            code(400, "CustomerNotEntitledException"),
            code(400, "CustomerNotSubscribedException"),
            code(400, "PlatformNotSupportedException"),
            code(400, "InvalidRegionException"),
            code(400, "InvalidEndpointRegionException"),
            code(400, "DisabledApiException"),
            code(400, "DuplicateRequestException"),
            code(400, "IdempotencyConflictException"),
            code(400, "InvalidTagException"),
            code(400, "InvalidUsageAllocationsException"),
            code(400, "TimestampOutOfBoundsException"),
            code(400, "InvalidProductCodeException"),
            code(400, "InvalidPublicKeyVersionException"),
            code(400, "SomethingNewException"),
            code(412, "DryRunOperation"),
        ]
    }

    #[test]
    fn every_failure_of_meter_usage_has_its_row() {
        let rows: Vec<String> =
            failures().into_iter().map(|f| format!("{f:?} -> {:?}", reply(f.clone(), true))).collect();
        insta::assert_snapshot!(rows.join("\n"), @r#"
        NotSent("no connection: refused") -> NotProcessed { code: "no connection: refused" }
        NoRole("InvalidIdentityToken") -> NotProcessed { code: "InvalidIdentityToken" }
        NoReply("timeout") -> Unknown { detail: "timeout" }
        Code { status: 400, code: "ThrottlingException" } -> NotProcessed { code: "ThrottlingException" }
        Code { status: 503, code: "ThrottlingException" } -> NotProcessed { code: "ThrottlingException" }
        Code { status: 500, code: "InternalServiceErrorException" } -> Unknown { detail: "InternalServiceErrorException" }
        Code { status: 502, code: "Bad Gateway" } -> Unknown { detail: "Bad Gateway with status 502" }
        Code { status: 503, code: "AccessDeniedException" } -> Unknown { detail: "AccessDeniedException with status 503" }
        Code { status: 400, code: "AccessDeniedException" } -> NotProcessed { code: "AccessDeniedException" }
        Code { status: 403, code: "ExpiredTokenException" } -> NotProcessed { code: "ExpiredTokenException" }
        Code { status: 400, code: "UnauthorizedException" } -> NotProcessed { code: "UnauthorizedException" }
        Code { status: 400, code: "CustomerNotEntitledException" } -> NotEntitled { code: "CustomerNotEntitledException" }
        Code { status: 400, code: "CustomerNotSubscribedException" } -> NotEntitled { code: "CustomerNotSubscribedException" }
        Code { status: 400, code: "PlatformNotSupportedException" } -> Refused { code: "PlatformNotSupportedException" }
        Code { status: 400, code: "InvalidRegionException" } -> Refused { code: "InvalidRegionException" }
        Code { status: 400, code: "InvalidEndpointRegionException" } -> Refused { code: "InvalidEndpointRegionException" }
        Code { status: 400, code: "DisabledApiException" } -> Refused { code: "DisabledApiException" }
        Code { status: 400, code: "DuplicateRequestException" } -> Duplicate
        Code { status: 400, code: "IdempotencyConflictException" } -> Refused { code: "IdempotencyConflictException" }
        Code { status: 400, code: "InvalidTagException" } -> InvalidTags { code: "InvalidTagException" }
        Code { status: 400, code: "InvalidUsageAllocationsException" } -> InvalidTags { code: "InvalidUsageAllocationsException" }
        Code { status: 400, code: "TimestampOutOfBoundsException" } -> Refused { code: "TimestampOutOfBoundsException" }
        Code { status: 400, code: "InvalidProductCodeException" } -> Refused { code: "InvalidProductCodeException" }
        Code { status: 400, code: "InvalidPublicKeyVersionException" } -> Refused { code: "InvalidPublicKeyVersionException" }
        Code { status: 400, code: "SomethingNewException" } -> Refused { code: "SomethingNewException" }
        Code { status: 412, code: "DryRunOperation" } -> DryRunOk
        "#);
    }

    #[test]
    fn every_failure_of_register_usage_has_its_row() {
        let rows: Vec<String> =
            failures().into_iter().map(|f| format!("{f:?} -> {:?}", ask_error(f.clone()))).collect();
        insta::assert_snapshot!(rows.join("\n"), @r#"
        NotSent("no connection: refused") -> Retry { code: "no connection: refused" }
        NoRole("InvalidIdentityToken") -> Denied { code: "InvalidIdentityToken" }
        NoReply("timeout") -> Retry { code: "timeout" }
        Code { status: 400, code: "ThrottlingException" } -> Retry { code: "ThrottlingException" }
        Code { status: 503, code: "ThrottlingException" } -> Retry { code: "ThrottlingException" }
        Code { status: 500, code: "InternalServiceErrorException" } -> Retry { code: "InternalServiceErrorException" }
        Code { status: 502, code: "Bad Gateway" } -> Retry { code: "Bad Gateway" }
        Code { status: 503, code: "AccessDeniedException" } -> Denied { code: "AccessDeniedException" }
        Code { status: 400, code: "AccessDeniedException" } -> Denied { code: "AccessDeniedException" }
        Code { status: 403, code: "ExpiredTokenException" } -> Denied { code: "ExpiredTokenException" }
        Code { status: 400, code: "UnauthorizedException" } -> Denied { code: "UnauthorizedException" }
        Code { status: 400, code: "CustomerNotEntitledException" } -> NotEntitled { code: "CustomerNotEntitledException" }
        Code { status: 400, code: "CustomerNotSubscribedException" } -> NotEntitled { code: "CustomerNotSubscribedException" }
        Code { status: 400, code: "PlatformNotSupportedException" } -> Platform { code: "PlatformNotSupportedException" }
        Code { status: 400, code: "InvalidRegionException" } -> Region { code: "InvalidRegionException" }
        Code { status: 400, code: "InvalidEndpointRegionException" } -> Region { code: "InvalidEndpointRegionException" }
        Code { status: 400, code: "DisabledApiException" } -> Region { code: "DisabledApiException" }
        Code { status: 400, code: "DuplicateRequestException" } -> Listing { code: "DuplicateRequestException" }
        Code { status: 400, code: "IdempotencyConflictException" } -> Listing { code: "IdempotencyConflictException" }
        Code { status: 400, code: "InvalidTagException" } -> Listing { code: "InvalidTagException" }
        Code { status: 400, code: "InvalidUsageAllocationsException" } -> Listing { code: "InvalidUsageAllocationsException" }
        Code { status: 400, code: "TimestampOutOfBoundsException" } -> Listing { code: "TimestampOutOfBoundsException" }
        Code { status: 400, code: "InvalidProductCodeException" } -> Listing { code: "InvalidProductCodeException" }
        Code { status: 400, code: "InvalidPublicKeyVersionException" } -> Listing { code: "InvalidPublicKeyVersionException" }
        Code { status: 400, code: "SomethingNewException" } -> Listing { code: "SomethingNewException" }
        Code { status: 412, code: "DryRunOperation" } -> Listing { code: "DryRunOperation" }
        "#);
    }

    #[test]
    fn a_dry_run_reply_to_a_real_record_is_refused() {
        let failure = Failure::Code { status: 412, code: "DryRunOperation".into() };
        assert_eq!(reply(failure, false), Reply::Refused { code: "DryRunOperation".into() });
    }
}
