//! In place of the example's own.

use wstd::http::StatusCode;

pub struct Refusal {
    pub status: StatusCode,
    pub text: String,
}

pub fn count(_: Option<&str>, _: u64) -> Result<(), Refusal> {
    Ok(())
}
