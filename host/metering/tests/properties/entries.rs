//! Any entries at all: what the ledger admits keeps every unit in exactly one place.

use proptest::prelude::*;
use tollgate_metering::*;

const DIMENSION: [&str; 2] = ["images", "pixels"];
const PER: [u64; 2] = [1, 10];

/// Numbers where sums, hours and clocks have their edges, and small ones that fit together.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        12 => 0_u64..25,
        1 => Just(2_147_483_647),
        1 => Just(2_147_483_648),
        1 => Just(i64::MAX.cast_unsigned()),
        1 => Just(u64::MAX),
        1 => any::<u64>(),
    ]
}

fn hour() -> impl Strategy<Value = Hour> {
    prop_oneof![20 => 10_u32..14, 1 => Just(0_u32), 1 => Just(u32::MAX - 1), 1 => Just(u32::MAX)].prop_map(Hour)
}

fn slot() -> impl Strategy<Value = SlotId> {
    (0_usize..2, hour()).prop_map(|(dimension, hour)| SlotId {
        listing: "paid".into(),
        payer: Payer::Own,
        dimension: DIMENSION[dimension].into(),
        hour,
    })
}

fn tags() -> impl Strategy<Value = Tags> {
    prop_oneof![Just(Tags::NONE), Just(Tags::new(vec![("team".into(), "red".into())]))]
}

fn buckets() -> impl Strategy<Value = Buckets> {
    prop::collection::vec((tags(), number()), 0..3).prop_map(|parts| parts.into_iter().collect())
}

fn identity() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just("A".to_owned()), 1 => Just("B".to_owned())]
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![Just(Part::Beyond), Just(Part::Remainder), Just(Part::Request), Just(Part::Open)]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Acked { record_id: "R".into() }),
        Just(End::Conflict),
        Just(End::Expired),
        Just(End::Rejected { code: "X".into() }),
        Just(End::InDoubt { why: "Y".into() }),
    ]
}

fn request(slot: &SlotId, quantity: u64, split: bool) -> Request {
    let quantity = u32::try_from(quantity).unwrap_or(u32::MAX);
    let part = |quantity, tags| Allocation { quantity, tags };
    let red = Tags::new(vec![("team".into(), "red".into())]);
    let allocations = if split { vec![part(1, Tags::NONE), part(quantity.saturating_sub(1), red)] } else { vec![] };
    Request {
        product_code: "code".into(),
        quantity,
        form: Form::Integer,
        allocations,
        timestamp: slot.hour.start(),
        token: "t".into(),
    }
}

/// What may happen to a ledger: an entry, usage, or what the plan wants.
#[derive(Debug, Clone)]
enum Act {
    Use {
        dimension: usize,
        tags: Tags,
        units: u64,
        at: u64,
    },
    Book(Used),
    Write(Record),
    /// Closes a slot as its units want it.
    Seal(SlotId, u64),
    Plan {
        at: u64,
        ending: bool,
        carry: bool,
    },
    Reply {
        which: usize,
        reply: Reply,
    },
    Checkpoint,
}

fn record() -> impl Strategy<Value = Record> {
    let at = || number();
    prop_oneof![
        2 => (at(), identity(), 1_u64..6, any::<bool>())
            .prop_map(|(at, identity, boot, first_hour_taken)| Record::Started { at, identity, boot, first_hour_taken }),
        1 => at().prop_map(|at| Record::Heartbeat { at }),
        1 => (at(), any::<bool>()).prop_map(|(at, provisional)| Record::Granted { at, listing: "paid".into(), provisional }),
        3 => (slot(), number(), any::<bool>(), number(), buckets()).prop_map(|(slot, quantity, split, per, remainder)| {
            Record::Sealed { request: request(&slot, quantity, split), slot, per, remainder }
        }),
        2 => (slot(), any::<bool>()).prop_map(|(slot, idle)| {
            Record::Closed { slot, why: if idle { Close::Idle } else { Close::Counted } }
        }),
        1 => (slot(), number()).prop_map(|(slot, quantity)| Record::Resealed { request: request(&slot, quantity, false), slot }),
        3 => (slot(), hour(), part(), buckets(), at())
            .prop_map(|(from, to, part, units, at)| Record::Carried { from, to, part, units, at }),
        1 => (slot(), buckets()).prop_map(|(slot, units)| Record::Beyond { slot, units }),
        3 => (slot(), identity(), 1_u32..4, at())
            .prop_map(|(slot, identity, attempt, at)| Record::Attempted { slot, identity, attempt, at }),
        2 => (slot(), any::<bool>(), at())
            .prop_map(|(slot, unknown, retry_at)| Record::Deferred { slot, unknown, code: "c".into(), retry_at }),
        3 => (slot(), end(), at()).prop_map(|(slot, end, at)| Record::Ended { slot, end, at }),
        1 => (slot(), any::<bool>(), at()).prop_map(|(slot, billed, at)| {
            Record::Settled { slot, billed, evidence: "e".into(), reason: "r".into(), at }
        }),
        1 => (slot(), identity(), at()).prop_map(|(slot, identity, at)| {
            Record::Asked { request: request(&slot, 0, false), slot, identity, at }
        }),
        2 => (1_u64..4, slot(), part(), buckets(), at()).prop_map(|(number, slot, part, units, used_at)| {
            let per = if slot.dimension == DIMENSION[0] { PER[0] } else { PER[1] };
            Record::HandedOver(Box::new(HandedOver { number, to: 8, slot, part, per, units, used_at }))
        }),
        2 => (1_u64..4, slot(), number(), buckets(), at())
            .prop_map(|(number, slot, per, units, used_at)| Record::Adopted { from: 9, number, slot, per, units, used_at }),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let reply = prop_oneof![
        Just(Reply::Accepted { record_id: "R".into() }),
        Just(Reply::NotProcessed { code: "T".into() }),
        Just(Reply::Unknown { detail: "U".into() }),
        Just(Reply::Duplicate),
        Just(Reply::NotEntitled { code: "N".into() }),
        Just(Reply::InvalidTags { code: "I".into() }),
        Just(Reply::Refused { code: "X".into() }),
        Just(Reply::DryRunOk),
    ];
    let near = || prop_oneof![20 => 36_000_u64..50_400, 1 => number()];
    prop_oneof![
        6 => (0_usize..2, tags(), number(), near())
            .prop_map(|(dimension, tags, units, at)| Act::Use { dimension, tags, units, at }),
        1 => (slot(), number(), number(), number(), near()).prop_map(|(slot, per, units, late, at)| {
            Act::Book(Used { slot, per, component: "api".into(), tags: Tags::NONE, units, late, at })
        }),
        12 => record().prop_map(Act::Write),
        3 => (slot(), number()).prop_map(|(slot, per)| Act::Seal(slot, per)),
        5 => (near(), any::<bool>(), any::<bool>()).prop_map(|(at, ending, carry)| Act::Plan { at, ending, carry }),
        5 => (any::<usize>(), reply).prop_map(|(which, reply)| Act::Reply { which, reply }),
        1 => Just(Act::Checkpoint),
    ]
}

struct Book {
    ledger: Ledger,
    used: Vec<Used>,
    records: Vec<Record>,
}

impl Book {
    fn new() -> Self {
        let mut book = Self { ledger: Ledger::new(), used: Vec::new(), records: Vec::new() };
        assert!(book.write(&[Record::Created { at: 36_000, ledger: 7 }]));
        let started = Record::Started { at: 36_000, identity: "A".into(), boot: 1, first_hour_taken: false };
        assert!(book.write(&[started, Record::Heartbeat { at: 36_000 }]));
        book
    }

    /// False if the batch is not admitted; then nothing is written.
    fn write(&mut self, records: &[Record]) -> bool {
        if self.ledger.admit_all(records).is_err() {
            return false;
        }
        for record in records {
            assert_eq!(self.ledger.admit(record), Ok(()), "alone {record:?} does not fit, in its batch it did");
            self.ledger.apply(record);
            assert_eq!(Record::from_text(&record.to_text()).as_ref(), Ok(record));
            self.records.push(record.clone());
        }
        assert!(self.ledger.balanced(), "after {records:?}: {:#?}", self.ledger.balance());
        true
    }

    fn book(&mut self, used: Used) {
        if self.ledger.admit_used(&used).is_ok() {
            self.ledger.apply_used(&used);
            self.used.push(used);
            assert!(self.ledger.balanced());
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Use { dimension, tags, units, at } => {
                let used = self.used(*dimension, tags.clone(), *units, *at);
                assert!(used.units == *units && used.slot.hour >= Hour::of(*at));
                self.book(used);
            }
            Act::Book(used) => {
                self.book(used.clone());
            }
            Act::Write(
                record @ (Record::Carried { from: slot, part: Part::Beyond, .. } | Record::Beyond { slot, .. }),
            ) => self.seal(slot, 1, Some(record)),
            Act::Write(record) => drop(self.write(std::slice::from_ref(record))),
            Act::Seal(slot, per) => self.seal(slot, *per, None),
            Act::Plan { at, ending, carry } => self.plan(*at, *ending, *carry),
            Act::Reply { which, reply } => self.reply(*which, reply),
            Act::Checkpoint => self.checkpoint(),
        }
    }

    fn used(&self, dimension: usize, tags: Tags, units: u64, at: u64) -> Used {
        let like = policy(false).slot(DIMENSION[dimension], Hour(0));
        self.ledger.used(&like, PER[dimension], "api", tags, units, at)
    }

    /// What is too much leaves a slot in the same batch that seals it.
    fn seal(&mut self, slot: &SlotId, per: u64, beyond: Option<&Record>) {
        let mut ahead = self.ledger.clone();
        if beyond.is_some_and(|beyond| ahead.admit(beyond).is_err()) {
            return;
        }
        beyond.iter().for_each(|beyond| ahead.apply(beyond));
        let Some(state) = ahead.slot(slot) else { return };
        let per = if per.is_multiple_of(8) { per } else { state.per };
        let Split { quantity, allocations, remainder } = split(&state.open, per);
        let request = Request { allocations, ..request(slot, quantity.into(), false) };
        let sealed = Record::Sealed { slot: slot.clone(), request, per, remainder };
        self.write(&beyond.into_iter().cloned().chain([sealed]).collect::<Vec<_>>());
    }

    /// Whatever state the ledger is in, what the plan wants is admitted, and comes to an end.
    fn plan(&mut self, at: u64, ending: bool, carry: bool) {
        let now = Now { s: at, confirmed: true };
        let phase = if ending { Phase::Ending } else { Phase::Running };
        for _ in 0..1_000 {
            let steps = plan(&self.ledger, now, &policy(carry), phase);
            assert_eq!(steps, plan(&self.ledger, now, &policy(carry), phase));
            let mut writes = Vec::new();
            let mut sends = Vec::new();
            for step in steps {
                match step {
                    Step::Write(records) => writes.extend(records),
                    Step::Send { attempted, slot, request } => {
                        assert_eq!(self.ledger.slot(&slot).and_then(|state| state.request.clone()), Some(request));
                        sends.push(attempted);
                    }
                }
            }
            if writes.is_empty() {
                assert!(self.write(&sends), "not admitted: {sends:?}");
                let again = plan(&self.ledger, now, &policy(carry), phase);
                assert!(again.is_empty(), "all of it is under way, and still: {again:?}");
                return;
            }
            assert!(self.write(&writes), "not admitted: {writes:?}");
        }
        panic!("the plan never comes to an end");
    }

    fn reply(&mut self, which: usize, reply: &Reply) {
        let ids: Vec<SlotId> = self.ledger.slots().map(|(id, _)| id.clone()).collect();
        let Some(id) = ids.get(which % ids.len().max(1)) else { return };
        let verdict = self.ledger.answer(id, reply, 40_000, 7);
        assert!(self.write(&verdict.records), "not admitted: {:?}", verdict.records);
        let pending = self.ledger.slot(id).is_some_and(|state| state.attempts.pending);
        assert!(!pending, "{reply:?} leaves a try under way");
    }

    fn checkpoint(&mut self) {
        let Folded { records, after, .. } = self.ledger.checkpoint();
        assert_eq!(after.balances(), self.ledger.balances());
        self.used.retain(|used| after.slot(&used.slot).is_some());
        self.records = records;
        self.ledger = after;
    }

    /// As a process does that starts on the same store: sums of usage first, then the text of the entries.
    fn read_back(&self) {
        let mut again = Ledger::new();
        for used in &self.used {
            assert_eq!(again.admit_used(used), Ok(()));
            again.apply_used(used);
        }
        for record in &self.records {
            assert_eq!(again.admit(record), Ok(()), "read back: {record:?}");
            again.apply(record);
        }
        assert_eq!(again, self.ledger);
    }
}

fn policy(carry: bool) -> Policy {
    let rate = |number: usize| Rate { key: DIMENSION[number].into(), per: PER[number] };
    Policy {
        listing: "paid".into(),
        product_code: "code".into(),
        sends: true,
        carry,
        zero_records: carry,
        dimensions: vec![rate(0), rate(1)],
        warn_after_s: 3_600,
        stop_after_s: 14_400,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_admitted_every_unit_is_in_one_place_and_the_plan_goes_on(acts in prop::collection::vec(act(), 1..60)) {
        let mut book = Book::new();
        acts.iter().for_each(|act| book.act(act));
        book.read_back();
        let at = 36_000 + 40 * HOUR_S;
        book.plan(at, false, true);
        book.plan(at, true, false);
        book.read_back();
        book.checkpoint();
        book.read_back();
    }
}
