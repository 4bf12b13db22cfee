//! The production host: asks AWS for entitlement, then runs and meters the vendor's components.
