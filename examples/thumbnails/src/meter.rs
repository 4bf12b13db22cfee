//! What the buyer pays for. All of the product that knows Tollgate is in this file.

use tollgate::{CountError, Dimension, Tags, TagsError};
use wstd::http::StatusCode;

static IMAGES: Dimension = Dimension::new("images");
/// Counted in pixels: the manifest's `per` makes gigapixels of them and keeps the remainder.
static GIGAPIXELS: Dimension = Dimension::new("gigapixels");

/// Why a thumbnail may not be delivered, as the client shall read it.
pub struct Refusal {
    pub status: StatusCode,
    pub text: String,
}

/// Counts one picture of so many pixels, in the bucket of a team if one is named.
pub fn count(team: Option<&str>, pixels: u64) -> Result<(), Refusal> {
    let Some(tags) = team.map(bucket).transpose()?.flatten() else {
        // The dimension with a limit comes first: its refusal must not leave the other one counted.
        GIGAPIXELS.add(pixels)?;
        return Ok(IMAGES.add(1)?);
    };
    GIGAPIXELS.add_tagged(tags, pixels)?;
    Ok(IMAGES.add_tagged(tags, 1)?)
}

/// The team's bucket, or none when the host keeps no further one: the picture is then counted without a team.
fn bucket(team: &str) -> Result<Option<Tags>, Refusal> {
    match Tags::new([("team", team)]) {
        Ok(tags) => Ok(Some(tags)),
        Err(TagsError::TooMany) => Ok(None),
        Err(TagsError::Stopped) => Err(CountError::Stopped { counted: 0 }.into()),
        Err(error) => Err(Refusal { status: StatusCode::BAD_REQUEST, text: format!("x-team: {error}") }),
    }
}

impl From<CountError> for Refusal {
    fn from(error: CountError) -> Self {
        let status = match error {
            CountError::OverLimit { .. } => StatusCode::TOO_MANY_REQUESTS,
            CountError::Stopped { .. } => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, text: error.to_string() }
    }
}
