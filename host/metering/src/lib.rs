//! The metering engine: pure decisions about what is recorded, sealed, sent and settled.
