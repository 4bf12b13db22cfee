//! The error code of each refusal, as the service model lists them for its operation.

use super::Reply;
use crate::{
    allocation::AllocationRefusal, batch_meter_usage::BatchRefusal, meter_usage::MeterRefusal,
    register_usage::RegisterRefusal, resolve_customer::ResolveRefusal,
};

/// The code and message of a refused `RegisterUsage`.
pub(crate) fn register_refusal(refusal: &RegisterRefusal) -> Reply {
    let code = match refusal {
        RegisterRefusal::CustomerNotEntitled => "CustomerNotEntitledException",
        RegisterRefusal::Disabled { .. } => "DisabledApiException",
        RegisterRefusal::InvalidProductCode { .. } => "InvalidProductCodeException",
        RegisterRefusal::InvalidPublicKeyVersion { .. } => "InvalidPublicKeyVersionException",
        RegisterRefusal::InvalidRegion { .. } => "InvalidRegionException",
        RegisterRefusal::PlatformNotSupported => "PlatformNotSupportedException",
    };
    Reply::error(code, &refusal.to_string())
}

/// The code and message of a refused `MeterUsage`; the code for an unsupported platform is a choice.
pub(crate) fn meter_refusal(refusal: &MeterRefusal, platform_error: &'static str) -> Reply {
    let code = match refusal {
        MeterRefusal::CustomerNotEntitled => "CustomerNotEntitledException",
        MeterRefusal::Disabled { .. } => "DisabledApiException",
        MeterRefusal::Duplicate { .. } => "DuplicateRequestException",
        MeterRefusal::IdempotencyConflict { .. } => "IdempotencyConflictException",
        MeterRefusal::InvalidAllocations(allocations) => allocation_code(allocations),
        MeterRefusal::InvalidDimension { .. } => "InvalidUsageDimensionException",
        MeterRefusal::InvalidEndpointRegion { .. } => "InvalidEndpointRegionException",
        MeterRefusal::InvalidProductCode { .. } => "InvalidProductCodeException",
        MeterRefusal::NoClientToken => return Reply::common("ValidationException", &refusal.to_string()),
        MeterRefusal::PlatformNotSupported => platform_error,
        MeterRefusal::TimestampOutOfBounds(_) => "TimestampOutOfBoundsException",
    };
    Reply::error(code, &refusal.to_string())
}

/// The code and message of a `BatchMeterUsage` that is refused as a whole.
pub(crate) fn batch_refusal(refusal: &BatchRefusal) -> Reply {
    let code = match refusal {
        BatchRefusal::Disabled { .. } => "DisabledApiException",
        BatchRefusal::InvalidAllocations(allocations) => allocation_code(allocations),
        BatchRefusal::InvalidCustomerIdentifier { .. } => "InvalidCustomerIdentifierException",
        BatchRefusal::InvalidDimension { .. } => "InvalidUsageDimensionException",
        BatchRefusal::InvalidLicense(_) => "InvalidLicenseException",
        BatchRefusal::InvalidProductCode { .. } => "InvalidProductCodeException",
        BatchRefusal::TimestampOutOfBounds(..) => "TimestampOutOfBoundsException",
        BatchRefusal::TwoCustomers => return Reply::common("ValidationException", &refusal.to_string()),
    };
    Reply::error(code, &refusal.to_string())
}

/// The code and message of a refused `ResolveCustomer`.
pub(crate) fn resolve_refusal(refusal: &ResolveRefusal) -> Reply {
    let code = match refusal {
        ResolveRefusal::Disabled { .. } => "DisabledApiException",
        ResolveRefusal::Expired => "ExpiredTokenException",
        ResolveRefusal::Invalid => "InvalidTokenException",
    };
    Reply::error(code, &refusal.to_string())
}

fn allocation_code(refusal: &AllocationRefusal) -> &'static str {
    match refusal {
        AllocationRefusal::Tag(_) => "InvalidTagException",
        AllocationRefusal::Usage(_) => "InvalidUsageAllocationsException",
    }
}
