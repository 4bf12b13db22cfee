//! `POST /?width=320` with a JPEG, PNG or WebP answers with the thumbnail, in the same format or in the one named by `&format=`.
//! A header `x-team: red` puts the usage in that team's bucket. `GET /healthz` is free.

use wstd::http::{Body, Error, Method, Request, Response, StatusCode, Uri};

use crate::meter;
use crate::picture::{self, Format, Problem};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let answer = match (request.method(), request.uri().path()) {
        (&Method::GET, "/healthz") => text(StatusCode::OK, "ok"),
        (&Method::POST, "/") => thumbnail(request).await?,
        (_, "/" | "/healthz") => text(StatusCode::METHOD_NOT_ALLOWED, "POST a picture to /?width=320"),
        _ => text(StatusCode::NOT_FOUND, "POST a picture to /?width=320"),
    };
    Ok(answer)
}

async fn thumbnail(request: Request<Body>) -> Result<Response<Body>, Error> {
    let (width, format) = match wanted(request.uri()) {
        Ok(wanted) => wanted,
        Err(problem) => return Ok(text(StatusCode::BAD_REQUEST, problem)),
    };
    let team = request.headers().get("x-team").map(|team| String::from_utf8_lossy(team.as_bytes()).into_owned());
    let mut body = request.into_body();
    let small = match picture::thumbnail(body.contents().await?, width, format) {
        Ok(small) => small,
        Err(problem) => return Ok(text(status(&problem), &problem.to_string())),
    };
    // Counted when the work is done and before it is delivered: a picture that cannot be read costs nothing, and none leaves uncounted.
    if let Err(refusal) = meter::count(team.as_deref(), small.pixels) {
        return Ok(text(refusal.status, &refusal.text));
    }
    Ok(Response::builder().header("content-type", small.format.media_type()).body(Body::from(small.bytes))?)
}

/// Width and format of the query.
fn wanted(uri: &Uri) -> Result<(u32, Option<Format>), &'static str> {
    let mut width = None;
    let mut format = None;
    for pair in uri.query().unwrap_or_default().split('&') {
        match pair.split_once('=') {
            Some(("width", value)) => width = value.parse().ok().filter(|width| picture::WIDTHS.contains(width)),
            Some(("format", value)) => format = Some(Format::named(value).ok_or("format is jpeg, png or webp")?),
            _ => {}
        }
    }
    Ok((width.ok_or("width is a number from 1 to 4096")?, format))
}

fn status(problem: &Problem) -> StatusCode {
    match problem {
        Problem::UnknownFormat => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Problem::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Problem::Damaged(_) => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn text(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{text}\n")));
    *response.status_mut() = status;
    response
}
