use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

use tokio::task::JoinHandle;
use tollgate_metering::{Rate, Reply};
use tollgate_runtime::meter::{self as desk, Counters, Meter, Outcome, Stopped, TagsId};

use super::*;
use crate::clock::Steer;
use crate::ledger::memory::Memory;
use crate::ledger::{Store, fold};
use crate::marketplace::{AskError as NoSignature, RegisterUsage, Registered};

mod adoption;
mod beside;
mod full;
mod rivals;

/// A marketplace that says what the test wants said, in order, and accepts afterwards.
#[derive(Debug)]
struct Scripted {
    replies: Mutex<VecDeque<Reply>>,
    clock: Clock,
    sent: tokio::sync::mpsc::UnboundedSender<MeterUsage>,
}

impl Marketplace for Scripted {
    async fn register_usage(&self, _: RegisterUsage) -> Result<Registered, NoSignature> {
        Ok(Registered { signature: "signed".to_owned(), rotation: None })
    }

    async fn meter_usage(&self, record: MeterUsage) -> Answer {
        let dry_run = record.dry_run;
        self.sent.send(record).unwrap();
        if dry_run {
            return Answer { reply: Reply::DryRunOk, date: Some(self.clock.now_ms() / 1_000) };
        }
        let reply = self.replies.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let reply = reply.unwrap_or_else(|| Reply::Accepted { record_id: "R".to_owned() });
        Answer { reply, date: Some(self.clock.now_ms() / 1_000) }
    }
}

/// A host of two dimensions without guests: what counts is the test.
struct House {
    store: Memory,
    clock: Clock,
    steer: Steer,
    offset_ms: i64,
    replies: Vec<Reply>,
}

struct Running {
    meter: Meter,
    counters: Counters,
    handle: Handle,
    ended: JoinHandle<End>,
    sent: tokio::sync::mpsc::UnboundedReceiver<MeterUsage>,
}

impl House {
    /// The clock starts ten minutes into an hour, so that a test never meets the end of one by chance.
    fn new(replies: &[Reply]) -> Self {
        let (clock, steer) = Clock::steered();
        let into_hour_ms = i64::try_from(clock.now_ms() % 3_600_000).unwrap();
        let offset_ms = 3_600_000 - into_hour_ms + 600_000;
        steer.set_offset_ms(offset_ms);
        Self { store: Memory::default(), clock, steer, offset_ms, replies: replies.to_vec() }
    }

    fn pass_minutes(&mut self, minutes: i64) {
        self.offset_ms += minutes * 60_000;
        self.steer.set_offset_ms(self.offset_ms);
    }

    async fn keeper(&mut self) -> (Keeper<Scripted>, tokio::sync::mpsc::UnboundedReceiver<MeterUsage>) {
        let mut store = self.store.clone();
        let ledger = fold(store.load().unwrap()).unwrap();
        let (writer, folder) = (Writer::unlimited(store), PathBuf::new());
        let opened = Opened { ledger, writer, folder, others: Vec::new() };
        self.keeper_of(opened, "task").await
    }

    async fn keeper_of(
        &mut self,
        opened: Opened,
        identity: &str,
    ) -> (Keeper<Scripted>, tokio::sync::mpsc::UnboundedReceiver<MeterUsage>) {
        let (sent, seen) = tokio::sync::mpsc::unbounded_channel();
        let replies = Mutex::new(self.replies.drain(..).collect());
        let marketplace = Arc::new(Scripted { replies, clock: self.clock.clone(), sent });
        let keeper = Keeper::start(
            opened,
            marketplace,
            self.clock.clone(),
            Options { identity: identity.to_owned(), ..options() },
        )
        .unwrap();
        (keeper, seen)
    }

    async fn run(&mut self) -> Running {
        let (keeper, sent) = self.keeper().await;
        Self::serve(keeper, sent)
    }

    fn serve(keeper: Keeper<Scripted>, sent: tokio::sync::mpsc::UnboundedReceiver<MeterUsage>) -> Running {
        let (meter, desk) = counting();
        let (handle, keeping) = keeper.serve(desk);
        Running { counters: meter.instance(0), meter, handle, ended: tokio::spawn(keeping), sent }
    }

    fn soon(&self) -> u64 {
        self.clock.now_ms() + 20_000
    }
}

impl Running {
    /// The next that is sent, but for questions for the time.
    async fn record(&mut self) -> MeterUsage {
        loop {
            let record = self.sent.recv().await.unwrap();
            if !record.dry_run {
                return record;
            }
        }
    }

    async fn row(&self, dimension: &str) -> String {
        let snapshot = self.handle.snapshot().await.unwrap();
        assert!(snapshot.balanced);
        let rows = snapshot.rows.iter().filter(|row| row.dimension == dimension);
        rows.map(|row| format!("{} {}", row.recorded, row.state)).collect::<Vec<_>>().join(", ")
    }
}

/// The two sides of a meter of the house's dimensions.
fn counting() -> (Meter, Desk) {
    let dimension = |key: &str| desk::Dimension {
        key: key.to_owned(),
        source: desk::Source::Guest,
        tag_keys: vec!["team".to_owned()],
    };
    let granted = desk::Granted {
        product: "shop".to_owned(),
        listing: "paid".to_owned(),
        pricing: desk::Pricing::Custom,
        since: 0,
    };
    desk::open(vec![dimension("images"), dimension("pixels")], granted)
}

fn options() -> Options {
    let rate = |key: &str, per| Rate { key: key.to_owned(), per };
    let policy = Policy {
        listing: "paid".to_owned(),
        product_code: "code".to_owned(),
        sends: true,
        carry: false,
        zero_records: false,
        dimensions: vec![rate("images", 1), rate("pixels", 1_000)],
        warn_after_s: 3_600,
        stop_after_s: 14_400,
    };
    Options {
        identity: "task".to_owned(),
        identity_is_older: false,
        policy,
        caps: [("pixels".to_owned(), 2)].into(),
        components: vec!["api".to_owned()],
        attestation: None,
    }
}

fn quantities(record: &MeterUsage) -> (String, u32, Vec<u32>) {
    (record.dimension.clone(), record.quantity, record.allocations.iter().map(|part| part.quantity).collect())
}

#[tokio::test]
async fn a_finished_hour_is_sent_with_its_allocations_and_accepted() {
    let mut house = House::new(&[]);
    let mut host = house.run().await;
    let blue = host.counters.tags(vec![("team".to_owned(), "blue".to_owned())]).unwrap();
    assert_eq!(host.counters.add(0, 3), Outcome::Counted);
    assert_eq!(host.counters.add_tagged(0, blue, 4), Outcome::Counted);
    assert_eq!(host.counters.commit().await, Ok(()));
    assert_eq!(host.row("images").await, "7 open");
    house.pass_minutes(75);
    let record = host.record().await;
    assert_eq!(quantities(&record), ("images".to_owned(), 7, vec![3, 4]));
    host.handle.finish(house.soon()).await;
    assert_eq!(host.ended.await.unwrap(), End::Finished(Finished { unsent: 0 }));
    let texts = house.store.texts();
    let words: Vec<&str> = texts.iter().filter_map(|text| text.split(' ').next()).collect();
    assert_eq!(words, ["created", "started", "heartbeat", "heartbeat", "sealed", "attempted", "ended"]);
}

#[tokio::test]
async fn a_restart_after_an_unknown_outcome_repeats_the_identical_request() {
    let mut house = House::new(&[Reply::Unknown { detail: "timeout".to_owned() }]);
    let mut host = house.run().await;
    host.counters.add_tagged(0, TagsId::UNTAGGED, 5);
    host.counters.commit().await.unwrap();
    house.pass_minutes(75);
    let first = host.record().await;
    host.ended.abort();
    drop(host.counters);
    let mut host = house.run().await;
    assert_eq!(host.record().await, first);
    host.handle.finish(house.soon()).await;
    assert_eq!(host.ended.await.unwrap(), End::Finished(Finished { unsent: 0 }));
}

#[tokio::test]
async fn the_end_sends_the_running_hour_and_counts_what_is_left() {
    let mut house = House::new(&[]);
    let mut host = house.run().await;
    host.counters.add(0, 5);
    host.counters.commit().await.unwrap();
    host.handle.finish(house.soon()).await;
    assert_eq!(host.record().await.quantity, 5);
    assert_eq!(host.ended.await.unwrap(), End::Finished(Finished { unsent: 0 }));

    house.replies = vec![Reply::NotProcessed { code: "ThrottlingException".to_owned() }; 100];
    house.pass_minutes(60);
    let host = house.run().await;
    host.counters.add(0, 5);
    host.counters.commit().await.unwrap();
    host.handle.finish(house.clock.now_ms()).await;
    assert_eq!(host.ended.await.unwrap(), End::Finished(Finished { unsent: 1 }));
}

#[tokio::test]
async fn all_that_waits_becomes_one_transaction() {
    let mut house = House::new(&[]);
    let host = house.run().await;
    host.handle.snapshot().await.unwrap();
    let before = house.store.commits();
    let users: Vec<Counters> = (0..40).map(|_| host.meter.instance(0)).collect();
    let mut waiting: Vec<_> = users.iter().map(|user| Box::pin(user.commit())).collect();
    for (user, waiting) in users.iter().zip(&mut waiting) {
        user.add(0, 2);
        // Each asks, and nothing else runs meanwhile.
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    for waiting in waiting {
        assert_eq!(waiting.await, Ok(()));
    }
    assert_eq!(house.store.commits(), before + 1);
    assert_eq!(host.row("images").await, "80 open");
}

#[tokio::test]
async fn a_full_disk_stops_everything() {
    let mut house = House::new(&[]);
    let host = house.run().await;
    house.store.break_down();
    host.counters.add(0, 5);
    assert_eq!(host.counters.commit().await, Err(Stopped));
    assert_eq!(host.ended.await.unwrap(), End::Poisoned(Poisoned("no space left on device".to_owned())));
    assert_eq!(host.counters.add(0, 1), Outcome::Stopped);
}

#[tokio::test]
async fn a_first_record_that_is_not_entitled_ends_the_process() {
    let code = "CustomerNotEntitledException".to_owned();
    let mut house = House::new(&[Reply::NotEntitled { code: code.clone() }]);
    let host = house.run().await;
    host.counters.add(0, 5);
    host.counters.commit().await.unwrap();
    house.pass_minutes(75);
    assert_eq!(host.ended.await.unwrap(), End::NotEntitled { code });
}

#[tokio::test]
async fn after_a_long_silence_aws_confirms_the_clock_before_usage_is_booked() {
    let mut house = House::new(&[]);
    let host = house.run().await;
    host.ended.abort();
    house.pass_minutes(180);
    let mut host = house.run().await;
    host.counters.add(0, 5);
    assert!(host.sent.recv().await.unwrap().dry_run);
    host.counters.commit().await.unwrap();
    assert_eq!(host.row("images").await, "5 open");
    assert!(host.handle.snapshot().await.unwrap().clock_confirmed);
}

#[tokio::test]
async fn the_operator_is_told_the_standing_that_guests_are_told() {
    let mut house = House::new(&[]);
    let (mut keeper, _sent) = house.keeper().await;
    // With its answer AWS confirms the clock.
    keeper.ask_entitlement("start").await.unwrap();
    let (meter, desk) = counting();
    let now = keeper.now().s;
    let used = keeper.used(0, 0, Tags::NONE, 5, now).unwrap();
    keeper.write_usage(vec![used]).unwrap();
    keeper.set_standing(&desk);
    house.pass_minutes(180);
    for (standing, guests) in [("good", desk::State::Good), ("late", desk::State::Late)] {
        assert_eq!((keeper.snapshot(&desk).standing, meter.standing().state), (standing, guests));
        keeper.set_standing(&desk);
    }
}

#[tokio::test]
async fn a_cap_holds_for_an_hour_over_restarts_and_ends_with_it() {
    let mut house = House::new(&[]);
    let host = house.run().await;
    // The limit is set when the meter has begun, which its first answer shows.
    host.handle.snapshot().await.unwrap();
    assert_eq!(host.counters.add(1, 1_500), Outcome::Counted);
    assert_eq!(host.counters.add(1, 501), Outcome::OverLimit);
    host.counters.commit().await.unwrap();
    host.ended.abort();
    drop(host.counters);
    let host = house.run().await;
    host.handle.snapshot().await.unwrap();
    assert_eq!(host.counters.add(1, 501), Outcome::OverLimit);
    assert_eq!(host.counters.add(1, 500), Outcome::Counted);
    house.pass_minutes(60);
    host.counters.commit().await.unwrap();
    host.handle.snapshot().await.unwrap();
    assert_eq!(host.counters.add(1, 1_501), Outcome::OverLimit);
    assert_eq!(host.counters.add(1, 1_500), Outcome::Counted);
}

#[tokio::test]
async fn the_question_for_entitlement_is_the_same_for_the_whole_hour() {
    let mut house = House::new(&[]);
    let (mut keeper, mut sent) = house.keeper().await;
    keeper.ask_entitlement("start").await.unwrap();
    keeper.granted(true).unwrap();
    let first = sent.recv().await.unwrap();
    assert_eq!((first.quantity, first.dry_run), (0, false));
    house.pass_minutes(5);
    let (mut keeper, mut sent) = house.keeper().await;
    assert!(keeper.provisional_since().is_some());
    keeper.ask_entitlement("start").await.unwrap();
    assert_eq!(sent.recv().await.unwrap(), first);
}
