//! What the machine below says of itself, by IMDSv2.

use std::time::Duration;

use anyhow::Context;
use aws_config::imds;
use aws_config::provider_config::ProviderConfig;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;

/// A pod that cannot reach the service (hop limit 1) waits this long for nothing.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The region of the instance this container runs on.
///
/// # Errors
/// The service at `url` does not answer: there is none, or the hop limit ends before this container.
pub(crate) async fn region(url: &str) -> anyhow::Result<String> {
    // Given by value, endpoint included, so that neither profile nor environment is asked.
    let pieces = ProviderConfig::empty()
        .with_http_client(aws_smithy_http_client::Builder::new().build_http())
        .with_sleep_impl(TokioSleep::new())
        .with_time_source(SystemTimeSource::new());
    let client = imds::Client::builder()
        .configure(&pieces)
        .endpoint(url)
        .map_err(anyhow::Error::from_boxed)?
        .max_attempts(1)
        .connect_timeout(TIMEOUT)
        .read_timeout(TIMEOUT)
        .operation_timeout(TIMEOUT)
        .operation_attempt_timeout(TIMEOUT)
        .build();
    let name = client.get("/latest/meta-data/placement/region").await.context("instance metadata did not answer")?;
    Ok(name.as_ref().to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::{get, put};

    use super::*;

    /// IMDSv2 as far as it is needed: no answer without a token.
    async fn service() -> SocketAddr {
        let token = || async { ([("x-aws-ec2-metadata-token-ttl-seconds", "60")], "a token") };
        let region = |headers: HeaderMap| async move {
            match headers.get("x-aws-ec2-metadata-token") {
                Some(token) if token == "a token" => Ok("eu-central-1"),
                _ => Err(StatusCode::UNAUTHORIZED),
            }
        };
        let routes = Router::new()
            .route("/latest/api/token", put(token))
            .route("/latest/meta-data/placement/region", get(region));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, routes).await });
        address
    }

    #[tokio::test]
    async fn the_region_is_asked_for_with_a_token() {
        assert_eq!(region(&format!("http://{}", service().await)).await.unwrap(), "eu-central-1");
    }

    #[tokio::test]
    async fn nobody_there_is_an_error() {
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(region(&format!("http://{gone}")).await.is_err());
    }
}
