//! What wit-bindgen makes of the contract. Private, so that a change of the generator is no change of this crate.
#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::use_self,
    reason = "generated code"
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "tollgate:metering/imports",
});
