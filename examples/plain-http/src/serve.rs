//! `POST /` with a text answers with its numbers as JSON. `GET /healthz` answers `ok`.

use wstd::http::{Body, Error, Method, Request, Response, StatusCode};

use crate::words::Words;

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let route = (request.method().clone(), request.uri().path().to_owned());
    let (status, media_type, text) = match (route.0, route.1.as_str()) {
        (Method::GET, "/healthz") => (StatusCode::OK, "text/plain", "ok\n".to_owned()),
        (Method::POST, "/") => {
            let mut body = request.into_body();
            match std::str::from_utf8(body.contents().await?) {
                Ok(text) => (StatusCode::OK, "application/json", Words::of(text).json()),
                Err(_) => (StatusCode::BAD_REQUEST, "text/plain", "the text is not UTF-8\n".to_owned()),
            }
        }
        (_, "/" | "/healthz") => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "POST a text to /\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "text/plain", "POST a text to /\n".to_owned()),
    };
    Ok(Response::builder().status(status).header("content-type", media_type).body(Body::from(text))?)
}
