//! The AWS Marketplace Metering Service on localhost.
