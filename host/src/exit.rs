//! Each way to stop: its exit code and what the operator reads. The only printer of the host.
//!
//! Exit codes are part of the interface: orchestrators and runbooks act on them, README lists
//! them, and a test compares the two.

use std::process::ExitCode;

/// Why the host stopped. The order is that of README.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// A variable or an argument is wrong.
    Configuration,
    /// The product is damaged or missing: its signature, its manifest or one of its components.
    Product,
    /// No credentials, no region, or a place the host does not know.
    Place,
    /// The host itself failed.
    Internal,
    /// AWS did not answer within the start budget.
    NoAnswer,
    /// The ledger is damaged or cannot be written.
    Ledger,
    /// Stopped in order, but some usage is not accepted by AWS yet.
    Unsent,
    /// Another host holds the ledger.
    Locked,
    /// AWS does not sell this product on this platform or in this region.
    Platform,
    /// AWS says that this account is not entitled.
    NotEntitled,
    /// AWS does not know the listing: product code, key version, dimension, or the permission.
    Listing,
    /// A command product ended with a code of its own that is 64 or above.
    Command,
}

impl Why {
    /// Every way to stop with an error, in the order of their codes.
    pub const ALL: [Self; 12] = [
        Self::Configuration,
        Self::Product,
        Self::Place,
        Self::Internal,
        Self::NoAnswer,
        Self::Ledger,
        Self::Unsent,
        Self::Locked,
        Self::Platform,
        Self::NotEntitled,
        Self::Listing,
        Self::Command,
    ];

    /// The exit code of the process.
    pub fn code(self) -> u8 {
        match self {
            Self::Configuration => 64,
            Self::Product => 65,
            Self::Place => 69,
            Self::Internal => 70,
            Self::NoAnswer => 71,
            Self::Ledger => 73,
            Self::Unsent => 74,
            Self::Locked => 75,
            Self::Platform => 76,
            Self::NotEntitled => 77,
            Self::Listing => 78,
            Self::Command => 79,
        }
    }

    /// Two or three words for the first line of the message and for README.
    pub fn title(self) -> &'static str {
        match self {
            Self::Configuration => "bad configuration",
            Self::Product => "bad product",
            Self::Place => "unknown place",
            Self::Internal => "internal error",
            Self::NoAnswer => "no answer from AWS",
            Self::Ledger => "ledger unusable",
            Self::Unsent => "usage left unsent",
            Self::Locked => "ledger locked",
            Self::Platform => "platform not supported",
            Self::NotEntitled => "not entitled",
            Self::Listing => "listing refused",
            Self::Command => "command failed",
        }
    }
}

/// The end of the process as the operator sees it.
#[derive(Debug)]
pub struct Exit {
    /// Decides the code.
    pub why: Why,
    /// What failed and where; may have several lines.
    pub what: String,
    /// The likely cause. Empty if `what` says it.
    pub cause: String,
    /// What the operator can do next. Empty if `what` says it.
    pub next: String,
}

impl Exit {
    /// An exit with its whole message.
    pub fn new(why: Why, what: impl Into<String>, cause: impl Into<String>, next: impl Into<String>) -> Self {
        Self { why, what: what.into(), cause: cause.into(), next: next.into() }
    }

    /// Something that should not be able to fail did.
    pub fn internal(error: &anyhow::Error) -> Self {
        Self::new(
            Why::Internal,
            format!("{error:#}"),
            "a fault of the host or of the machine, not of the configuration",
            "restart the container; the ledger is whole. If it happens again, send this message to the vendor",
        )
    }

    /// The text on stderr.
    pub fn message(&self) -> String {
        let mut text = format!("tollgate-host: {} (exit {})\n", self.why.title(), self.why.code());
        for (label, words) in [("what ", &self.what), ("cause", &self.cause), ("next ", &self.next)] {
            for (index, line) in words.lines().enumerate() {
                let label = if index == 0 { format!("{label}:") } else { "      ".into() };
                text.push_str(&format!("  {label} {line}\n"));
            }
        }
        text
    }

    /// Says it to the operator and returns the code.
    #[expect(clippy::print_stderr, reason = "the one place of the host that prints")]
    pub fn report(&self) -> ExitCode {
        tracing::error!(code = self.why.code(), what = %self.what, cause = %self.cause, next = %self.next, "stopped");
        eprint!("{}", self.message());
        ExitCode::from(self.why.code())
    }
}

/// From here on a panic in any thread or task ends the process, with the code of [`Why::Internal`]. Nothing unwinds, so no
/// task runtime and no sandbox can take the panic for the end of one task and go on.
pub fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // Place, words and, with RUST_BACKTRACE, the way there: for the vendor.
        report(panic);
        let exit = Exit::internal(&anyhow::anyhow!("{panic}"));
        exit.report();
        #[expect(clippy::exit, reason = "a panic may be in a thread that main does not wait for")]
        std::process::exit(exit.why.code().into());
    }));
}

/// Where what was asked for goes.
pub fn output() -> impl std::io::Write {
    std::io::stdout().lock()
}

/// The end of a run without an error of the host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Done {
    /// Everything is sent and on disk.
    Served,
    /// A command product ended with this code, below 64.
    Command(u8),
}

impl Done {
    /// The code of the process.
    pub fn code(self) -> ExitCode {
        match self {
            Self::Served => ExitCode::SUCCESS,
            Self::Command(code) => ExitCode::from(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_in_order() {
        let codes: Vec<u8> = Why::ALL.iter().map(|why| why.code()).collect();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "{codes:?}");
    }

    #[test]
    fn a_message_says_what_cause_and_next() {
        let exit = Exit::new(Why::Locked, "the ledger is in use\nby process 7", "two hosts share a folder", "stop one");
        insta::assert_snapshot!(exit.message(), @r"
        tollgate-host: ledger locked (exit 75)
          what : the ledger is in use
                 by process 7
          cause: two hosts share a folder
          next : stop one
        ");
    }
}
