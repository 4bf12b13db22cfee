//! A fault on demand: tests see what a panic does in any thread or task that logs.

use std::fmt::{Debug, Write as _};

use tollgate_host::clock::Clock;
use tollgate_host::log;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Panics wherever an event with these words is logged.
struct Tripwire(String);

/// Logs as the host does, until somebody says `words`.
pub(super) fn set(words: &str, filter: &str, clock: &Clock) {
    let logs = log::subscriber(filter, clock.clone()).with(Tripwire(words.to_owned()));
    // Nobody has set up logging before.
    let _ = tracing::subscriber::set_global_default(logs);
}

impl<S: Subscriber> Layer<S> for Tripwire {
    #[expect(clippy::panic, reason = "that is what it is for")]
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // The panic is reported in the log as well.
        if std::thread::panicking() {
            return;
        }
        let mut said = Said(String::new());
        event.record(&mut said);
        if said.0.contains(&self.0) {
            panic!("the test said so");
        }
    }
}

/// The values of all fields of an event.
struct Said(String);

impl Visit for Said {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        // Strings take everything.
        let _ = writeln!(self.0, "{value:?}");
    }
}
