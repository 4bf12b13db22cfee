//! Clients as everybody uses them: what they obey, the host must not.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_marketplacemetering::primitives::DateTime;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use tokio::process::Command;

use super::rows::{Client, Row, Signs};
use crate::install;

/// Set in a process that is to be the client.
const INSTEAD: &str = "TOLLGATE_TEST_CLIENT";
const PATIENCE: Duration = Duration::from_secs(60);

const BOTO: &str = "import boto3
boto3.client('meteringmarketplace').meter_usage(ProductCode='c', Timestamp=1, UsageDimension='d', UsageQuantity=1)
";

/// If this process is a client and no test, it asks, and true.
#[expect(clippy::disallowed_methods, reason = "how a process learns what it is")]
pub(super) fn was_one() -> bool {
    if std::env::var_os(INSTEAD).is_none() {
        return false;
    }
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    threads.block_on(ask());
    true
}

/// With everything at its default. The HTTP client is the SDK's default one, which is a feature of its crate that nobody
/// here needs otherwise: proxies by environment, roots of the machine.
async fn ask() {
    let http = Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    });
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http).load().await;
    let call = aws_sdk_marketplacemetering::Client::new(&config).meter_usage();
    let call = call.product_code("c").timestamp(DateTime::from_secs(1)).usage_dimension("d").usage_quantity(1);
    // Nobody here answers like AWS; where it asked is what counts.
    drop(call.send().await);
}

/// Lets the row's client ask, with what the row sets or without.
pub(super) async fn run(test: &str, row: &Row, set: &[(&str, String)], region: Option<String>, token: &Path) {
    let mut command = match row.client {
        Client::Rust => {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args([test, "--exact", "--nocapture"]);
            command
        }
        Client::Boto => {
            let mut command = Command::new(python());
            command.args(["-c", BOTO]);
            command
        }
        Client::Dynamic => Command::new("true"),
    };
    command.env_clear().env(INSTEAD, "1").env("AWS_MAX_ATTEMPTS", "1");
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").stdin(Stdio::null()).kill_on_drop(true);
    match row.signs {
        Signs::Keys => command.env("AWS_ACCESS_KEY_ID", "AKIACLIENT").env("AWS_SECRET_ACCESS_KEY", "s"),
        Signs::Token => command
            .env("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/client")
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", token),
        Signs::Nothing => &mut command,
    };
    // The one is read by the one client, the other by the other.
    command.envs(["AWS_REGION", "AWS_DEFAULT_REGION"].iter().zip(region.iter().cycle()));
    command.envs(set.iter().map(|(name, value)| (*name, value)));
    // How it ends says nothing; that it ends is enough.
    let ended = tokio::time::timeout(PATIENCE, command.output()).await;
    drop(ended.unwrap().unwrap());
}

/// A Python with boto3; installed when it is asked for the first time, which needs a network.
pub(super) fn python() -> PathBuf {
    install::python().join("bin/python")
}
