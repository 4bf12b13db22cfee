//! What both of them answer.

use wasip3::http::types::{Fields, Response};
use wasip3::{wit_bindgen, wit_future, wit_stream};

pub fn answer() -> Response {
    let (mut writer, reader) = wit_stream::new();
    let (done, trailers) = wit_future::new(|| Ok(None));
    let (response, _) = Response::new(Fields::new(), Some(reader), trailers);
    wit_bindgen::spawn_local(async move {
        writer.write_all(b"hello\n".to_vec()).await;
        drop(writer);
        drop(done);
    });
    response
}
