//! What crosses between the part that runs guests and the part that keeps the ledger.
//!
//! The running side holds a [`Meter`]: it counts, and asks that counts become durable. The keeping side holds a
//! [`Desk`]: it receives [`Commit`]s, answers each when it is on disk, sets the limits, and says when to stop. Both only
//! exchange messages and atomics, so that they can later live in two processes.
//!
//! Absent on purpose: time, hours, prices, storage, AWS. A unit counted here has no hour yet; the keeper books it.

mod cells;
mod counters;
mod desk;
mod gate;
mod group;
mod names;
mod tags;

use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{mpsc, oneshot};

pub(crate) use cells::Window;
pub use counters::Counters;
pub use desk::{Commits, Desk};
pub(crate) use group::Group;
use group::Wanted;
pub use tags::{TagRefusal, TagSet, TagsId};

use crate::clock::Stopwatch;

/// Commits that may wait for the keeper; one more makes the committing instance wait.
const COMMITS_PENDING_MAX: usize = 4096;
/// Attestations that may wait for the keeper; one more is refused as too often.
const ATTESTS_PENDING_MAX: usize = 16;
/// The longest nonce AWS takes, in bytes.
const NONCE_BYTES_MAX: usize = 255;

/// Something the host measures by itself, so that a guest need not count it and cannot bypass it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// Requests delivered to the guest.
    Requests,
    /// Responses of the guest with a status from 200 to 299.
    ResponsesOk,
    /// Bytes of request bodies read by the host for the guest.
    RequestBytes,
    /// Bytes of response bodies produced by the guest.
    ResponseBytes,
    /// Milliseconds of processor time spent in the guest.
    ComputeMs,
    /// Milliseconds from delivery to the guest until its response ended.
    WallMs,
}

impl Measure {
    /// Every measure, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::Requests, Self::ResponsesOk, Self::RequestBytes, Self::ResponseBytes, Self::ComputeMs, Self::WallMs];

    /// The name in a manifest, without its `host:` prefix, such as `request-bytes`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::ResponsesOk => "responses-ok",
            Self::RequestBytes => "request-bytes",
            Self::ResponseBytes => "response-bytes",
            Self::ComputeMs => "compute-ms",
            Self::WallMs => "wall-ms",
        }
    }
}

/// Who counts the units of a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The guest, through the `counter` interface.
    Guest,
    /// The host; a guest that names such a dimension is told it is unknown.
    Host(Measure),
}

/// One dimension of the product. Its place in the list given to [`open`] is its number everywhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// The key in the catalogue of AWS Marketplace.
    pub key: String,
    /// Who counts it.
    pub source: Source,
    /// Tag keys that units of this dimension may be allocated to; empty: none.
    pub tag_keys: Vec<String>,
}

/// Units of one dimension and one tag set, never zero, in the unit of the guest (before `per` of the manifest).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The number of the component that used the units.
    pub component: u32,
    /// The number of the dimension.
    pub dimension: u32,
    /// The allocation bucket; [`TagsId::UNTAGGED`] for none.
    pub tags: TagsId,
    /// How many units were added since they were last committed.
    pub units: u64,
}

/// A request to make units durable.
#[derive(Debug)]
pub struct Commit {
    /// What to record: all of it or nothing. Of one instance, or of several that commit together.
    pub deltas: Vec<Delta>,
    /// Answered when the deltas are on disk, or with [`Stopped`] if they never will be. Dropped means the latter.
    pub done: Done,
}

/// Who waits for a [`Commit`].
#[derive(Debug)]
pub struct Done {
    answer: oneshot::Sender<Result<(), Stopped>>,
    /// The group that went, and since when it is under way.
    group: Option<(Arc<Group>, Stopwatch)>,
}

impl Done {
    /// Says what became of it. Who no longer waits has gone away; what is recorded stays.
    pub fn send(self, answer: Result<(), Stopped>) {
        if let Some((group, since)) = self.group {
            group.wrote(since.elapsed());
        }
        let _gone = self.answer.send(answer);
    }
}

/// A request of a guest for a signature of AWS on its own nonce.
#[derive(Debug)]
pub struct Attest {
    /// From 1 to 255 printable ASCII characters, chosen by the guest.
    pub nonce: String,
    /// Answered with the signed token. Dropped means [`AttestRefusal::NoAnswer`].
    pub done: oneshot::Sender<Result<String, AttestRefusal>>,
}

/// The keeper can no longer record usage; billable work has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("usage can no longer be recorded")]
pub struct Stopped;

/// What became of an `add`. All but `Counted`: nothing was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The units are part of the next commit.
    Counted,
    /// No such dimension, one that the host measures, or a tag set that is not for this dimension or instance.
    Unknown,
    /// The units do not fit under the limit of the dimension.
    OverLimit,
    /// New usage is refused until what is recorded has been delivered.
    Stopped,
}

/// Why an attestation was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttestRefusal {
    /// Only hourly and monthly listings attest: elsewhere the call may start billing.
    #[error("listings of this pricing do not attest")]
    NotThisPricing,
    /// At most one a minute and process.
    #[error("attested a moment ago; try again in a minute")]
    TooOften,
    /// AWS did not answer.
    #[error("no answer")]
    NoAnswer,
    /// Empty, too long, or not printable ASCII.
    #[error("a nonce has from 1 to 255 printable ASCII characters")]
    InvalidNonce,
}

/// How well recorded usage is being delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In time.
    Good,
    /// Older than the warning age.
    Late,
    /// So old that new billable work is refused.
    Stopping,
}

/// The state and when it began, in seconds of Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The state.
    pub state: State,
    /// Since when.
    pub since: u64,
}

/// The pricing model of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pricing {
    /// AWS meters by the hour.
    Hourly,
    /// AWS meters by the month.
    Monthly,
    /// The product meters its own dimensions.
    Custom,
    /// Nothing is billed.
    Free,
    /// The buyer brings a licence.
    Byol,
    /// Software as a service.
    Saas,
}

/// What was granted at start, as guests may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The product's name.
    pub product: String,
    /// The id of the listing.
    pub listing: String,
    /// Its pricing.
    pub pricing: Pricing,
    /// Since when, in seconds of Unix time.
    pub since: u64,
}

/// Makes the two sides of a meter. Every dimension starts without a limit, not stopped, in good standing.
pub fn open(dimensions: Vec<Dimension>, granted: Granted) -> (Meter, Desk) {
    let (commits_in, commits) = mpsc::channel(COMMITS_PENDING_MAX);
    let (attests_in, attests) = mpsc::channel(ATTESTS_PENDING_MAX);
    let bound = Measure::ALL.map(|measure| {
        (0u32..).zip(&dimensions).filter(|(_, d)| d.source == Source::Host(measure)).map(|(i, _)| i).collect()
    });
    let shared = Arc::new(Shared {
        gates: dimensions.iter().map(|_| gate::Gate::default()).collect(),
        bound,
        stopped: AtomicBool::new(false),
        generation: AtomicU64::new(1),
        standing: RwLock::new(Standing { state: State::Good, since: granted.since }),
        tags: tags::Interner::default(),
        unknown: names::Unknown::default(),
        dimensions,
        granted,
    });
    let meter = Meter { shared: shared.clone(), commits: commits_in, attests: attests_in, group: None };
    (meter, Desk { commits: Commits(commits), attests, shared })
}

/// The side of the instances; clones share everything. When the last clone and the last [`Counters`] are gone, the
/// channels of the [`Desk`] end.
#[derive(Clone, Debug)]
pub struct Meter {
    shared: Arc<Shared>,
    commits: mpsc::Sender<Wanted>,
    attests: mpsc::Sender<Attest>,
    /// Whose instances commit together; else each commits alone.
    group: Option<Arc<Group>>,
}

impl Meter {
    /// Counters for one new instance of the component with this number.
    pub fn instance(&self, component: u32) -> Counters {
        Counters::new(self.shared.clone(), self.commits.clone(), self.group.clone(), component)
    }

    /// What was granted at start.
    pub fn granted(&self) -> &Granted {
        &self.shared.granted
    }

    /// How well usage is being delivered now.
    pub fn standing(&self) -> Standing {
        *self.shared.standing.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// True while new billable work must be refused.
    pub fn stopped(&self) -> bool {
        self.shared.stopped.load(Relaxed)
    }

    /// Asks for a signature of AWS on `nonce`.
    ///
    /// # Errors
    ///
    /// The refusals that need no call (pricing, nonce, queue) are decided here, the others by the keeper.
    pub async fn attest(&self, nonce: String) -> Result<String, AttestRefusal> {
        if !matches!(self.shared.granted.pricing, Pricing::Hourly | Pricing::Monthly) {
            return Err(AttestRefusal::NotThisPricing);
        }
        let printable = nonce.bytes().all(|b| (b' '..=b'~').contains(&b));
        if nonce.is_empty() || nonce.len() > NONCE_BYTES_MAX || !printable {
            return Err(AttestRefusal::InvalidNonce);
        }
        let (done, answer) = oneshot::channel();
        match self.attests.try_send(Attest { nonce, done }) {
            Ok(()) => answer.await.unwrap_or(Err(AttestRefusal::NoAnswer)),
            Err(mpsc::error::TrySendError::Full(_)) => Err(AttestRefusal::TooOften),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(AttestRefusal::NoAnswer),
        }
    }
}

#[derive(Debug)]
struct Shared {
    dimensions: Vec<Dimension>,
    /// One a dimension.
    gates: Vec<gate::Gate>,
    /// Dimensions bound to each measure, in the order of [`Measure::ALL`].
    bound: [Vec<u32>; 6],
    granted: Granted,
    stopped: AtomicBool,
    /// Goes up whenever something is decided that compiled guests have to ask about: a limit, a stop, the end of one.
    generation: AtomicU64,
    standing: RwLock<Standing>,
    tags: tags::Interner,
    unknown: names::Unknown,
}

impl Shared {
    fn gate(&self, dimension: u32) -> Option<&gate::Gate> {
        self.gates.get(usize::try_from(dimension).ok()?)
    }

    fn source(&self, dimension: u32) -> Option<Source> {
        Some(self.dimensions.get(usize::try_from(dimension).ok()?)?.source)
    }

    fn admit(&self, dimension: u32, units: u32) -> Outcome {
        if self.stopped.load(Relaxed) {
            return Outcome::Stopped;
        }
        match self.gate(dimension) {
            Some(gate) if gate.admit(u64::from(units)) => Outcome::Counted,
            Some(_) => Outcome::OverLimit,
            None => Outcome::Unknown,
        }
    }

    /// What was decided before is seen by whoever sees the new generation.
    fn decide_anew(&self) {
        self.generation.fetch_add(1, Release);
    }

    fn bound(&self, measure: Measure) -> &[u32] {
        let [requests, responses_ok, request_bytes, response_bytes, compute_ms, wall_ms] = &self.bound;
        match measure {
            Measure::Requests => requests,
            Measure::ResponsesOk => responses_ok,
            Measure::RequestBytes => request_bytes,
            Measure::ResponseBytes => response_bytes,
            Measure::ComputeMs => compute_ms,
            Measure::WallMs => wall_ms,
        }
    }
}
