//! Usage, entitlement and standing for Rust components that run under Tollgate.
