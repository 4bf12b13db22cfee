//! Logs: JSON lines on stderr, so that a command product keeps stdout for itself.

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::FormatTime;

use crate::clock::Clock;

/// Starts logging for the life of the process. `filter` is that of `TOLLGATE_LOG`; times are those of `clock`.
///
/// A second call in one process changes nothing.
pub fn start(filter: &str, clock: Clock) {
    // An error means that somebody who composes the library has set up logging already.
    let _ = tracing::subscriber::set_global_default(subscriber(filter, clock));
}

/// What [`start`] sets up, for somebody who composes the library and wants to see the log as well.
pub fn subscriber(filter: &str, clock: Clock) -> impl Subscriber + Send + Sync {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_timer(Stamp(clock))
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .finish()
}

struct Stamp(Clock);

impl FormatTime for Stamp {
    fn format_time(&self, writer: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        let millis = i64::try_from(self.0.now_ms()).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(millis) {
            Ok(at) => write!(writer, "{at:.3}"),
            Err(_) => write!(writer, "{millis}"),
        }
    }
}
