//! `trigger` and what it can make happen.

use clap::{Args, Subcommand};

use super::EMULATOR;

/// Arguments of `trigger`.
#[derive(Args, Debug)]
pub struct Trigger {
    /// Where the emulator listens
    #[arg(long, global = true, default_value = EMULATOR)]
    pub emulator: String,
    /// What happens.
    #[command(subcommand)]
    pub event: Event,
}

/// What can happen.
#[derive(Debug, Subcommand)]
pub enum Event {
    /// The buyer ends the subscription; containers that run go on
    Unsubscribe(Target),
    /// The buyer subscribes, again or for the first time
    Resubscribe(Target),
    /// Calls are answered with ThrottlingException
    Throttle(Scope),
    /// Calls are answered with InternalServiceErrorException
    #[command(name = "error-500")]
    Error500(Scope),
    /// Calls are answered with a 503 of a load balancer, in HTML
    #[command(name = "error-503")]
    Error503(Scope),
    /// Calls are answered with ExpiredTokenException, as if the credentials had ended
    ExpiredCredentials(Scope),
    /// BatchMeterUsage hands its records back
    Unprocessed(Scope),
    /// Calls are kept, then the connection closes without an answer
    DropAfterCommit(Scope),
    /// The connection closes before anything is kept
    DropBeforeCommit(Scope),
    /// Calls are kept, then the connection is reset
    ResetAfterCommit(Scope),
    /// The connection is reset before anything is kept
    ResetBeforeCommit(Scope),
    /// Records are kept, and answered without a MeteringRecordId
    NoRecordId(Scope),
    /// Calls are kept, and their answers end in the middle
    Truncate(Scope),
    /// Answers come late
    Delay {
        /// By how much, such as 2s
        by: Span,
        /// Which calls.
        #[command(flatten)]
        scope: Scope,
    },
    /// The Date of answers is wrong
    ClockSkew {
        /// By how much, such as 2h or -10m
        #[arg(allow_hyphen_values = true)]
        by: Span,
        /// Which calls.
        #[command(flatten)]
        scope: Scope,
    },
    /// Every call is answered with InternalServiceErrorException, for a time on the emulator's clock
    Outage {
        /// How long, such as 2h
        lasting: Span,
    },
    /// Time passes on the emulator's clock
    Advance {
        /// How much, such as 1h or 1d
        by: Span,
    },
    /// The emulator's clock runs faster than the real one
    Speed {
        /// Its seconds to one real second, such as 60
        times: u32,
    },
    /// The emulator's clock stands still
    Freeze,
    /// The emulator's clock runs as the real one
    Thaw,
    /// All faults end
    Heal,
}

/// A subscription.
#[derive(Args, Debug)]
pub struct Target {
    /// The product code; not needed if there is one product
    pub product: Option<String>,
    /// The buyer's account; the emulator's own unless given
    #[arg(long)]
    pub account: Option<String>,
}

/// Which calls a fault hits.
#[derive(Args, Debug)]
pub struct Scope {
    /// How many calls; 1 unless there is --for or --probability
    #[arg(long, value_name = "CALLS")]
    pub count: Option<u32>,
    /// For how long on the emulator's clock, such as 10m
    #[arg(long = "for", value_name = "TIME")]
    pub lasting: Option<Span>,
    /// Only this operation, such as MeterUsage
    #[arg(long)]
    pub operation: Option<String>,
    /// Only calls that name this dimension
    #[arg(long)]
    pub dimension: Option<String>,
    /// Only calls of this task, pod or instance
    #[arg(long, value_name = "ARN")]
    pub resource: Option<String>,
    /// How likely each call is hit, from 0 to 1
    #[arg(long, value_name = "P")]
    pub probability: Option<f64>,
    /// What the probability is drawn from: the same number hits the same calls
    #[arg(long, value_name = "NUMBER", requires = "probability")]
    pub seed: Option<u64>,
}

impl Scope {
    /// As the control interface wants it.
    pub fn json(&self) -> serde_json::Value {
        let mut body = serde_json::Map::new();
        let mut put =
            |key: &str, value: Option<serde_json::Value>| body.extend(value.map(|value| (key.to_owned(), value)));
        put("count", self.count.map(Into::into));
        put("for_s", self.lasting.map(|lasting| lasting.seconds.into()));
        put("operation", self.operation.clone().map(Into::into));
        put("dimension", self.dimension.clone().map(Into::into));
        put("resource", self.resource.clone().map(Into::into));
        put("probability", self.probability.map(Into::into));
        put("seed", self.seed.map(Into::into));
        body.into()
    }
}

/// A span of time on the command line: `90s`, `10m`, `2h`, `1d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its seconds; negative for the past.
    pub seconds: i64,
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a time such as 90s, 10m, 2h or 1d");
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        let seconds = number.parse::<i64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)?;
        Ok(Self { seconds })
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (count, unit) = match self.seconds {
            seconds if seconds % 3_600 == 0 => (seconds / 3_600, "h"),
            seconds if seconds % 60 == 0 => (seconds / 60, "min"),
            seconds => (seconds, "s"),
        };
        write!(out, "{count} {unit}")
    }
}
