use std::path::Path;

use super::*;
use crate::ledger::{self, Other, tests::tables};

impl House {
    async fn task(
        &mut self,
        volume: &Path,
        identity: &str,
    ) -> (Keeper<Scripted>, tokio::sync::mpsc::UnboundedReceiver<MeterUsage>) {
        let opened = ledger::open(volume, identity).unwrap();
        self.keeper_of(opened, identity).await
    }

    /// A task that counts, and is killed.
    async fn killed(&mut self, volume: &Path, identity: &str, units: u32) {
        let (keeper, sent) = self.task(volume, identity).await;
        let host = Self::serve(keeper, sent);
        assert_eq!(host.counters.add(0, units), Outcome::Counted);
        host.counters.commit().await.unwrap();
        host.ended.abort();
        assert!(host.ended.await.is_err());
        drop(host.handle);
    }
}

/// The writing thread of a killed task lets go of the lock a moment after it.
fn taken(folder: &Path) -> Option<Other> {
    loop {
        match Other::take(folder) {
            Err(ledger::OpenError::Locked(_)) => std::thread::yield_now(),
            other => return other.unwrap(),
        }
    }
}

#[tokio::test]
async fn the_next_task_on_the_volume_sends_what_a_killed_one_left_once() {
    let (mut house, volume) = (House::new(&[]), tempfile::tempdir().unwrap());
    house.killed(volume.path(), "task-a", 5).await;
    house.killed(volume.path(), "task-b", 6).await;
    house.pass_minutes(55);
    let folders = ["task-a", "task-b"].map(|name| volume.path().join(name));
    let (mut keeper, sent) = house.task(volume.path(), "task-c").await;
    let left = folders.iter().filter_map(|folder| taken(folder)).collect();
    keeper.adopt(left).await.unwrap();
    // Nothing is left there, so nobody reads them again.
    assert!(folders.iter().all(|folder| taken(folder).is_none()));
    let mut host = House::serve(keeper, sent);
    house.pass_minutes(25);
    let record = host.record().await;
    assert_eq!(quantities(&record).1, 11);
    // In the hour in which it was used, which is not the one in which the new task began.
    assert_eq!(record.timestamp / 3_600 + 1, house.clock.now_ms() / 3_600_000);
    host.handle.finish(house.soon()).await;
    assert_eq!(host.ended.await.unwrap(), End::Finished(Finished { unsent: 0 }));
    assert!(host.sent.try_recv().is_err());
}

#[tokio::test]
async fn a_ledger_in_use_is_not_adopted_and_its_own_task_may_come_back() {
    let (mut house, volume) = (House::new(&[]), tempfile::tempdir().unwrap());
    house.killed(volume.path(), "task-a", 5).await;
    let folder = volume.path().join("task-a");
    let held = taken(&folder);
    assert_eq!(Other::take_all(std::slice::from_ref(&folder)).len(), 0);
    drop(held);
    let (mut keeper, _sent) = house.task(volume.path(), "task-b").await;
    keeper.adopt(taken(&folder).into_iter().collect()).await.unwrap();
    assert!(taken(&folder).is_none());
    // It counts again, and this can be adopted again.
    house.killed(volume.path(), "task-a", 3).await;
    let again = taken(&folder).unwrap();
    let balance = again.ledger.balance();
    assert_eq!((balance.recorded, balance.handed_over, balance.open), (8, 5, 3));
}

#[tokio::test]
async fn a_task_that_ends_in_order_leaves_its_usage_in_the_rows_that_auditors_read() {
    let (mut house, volume) = (House::new(&[]), tempfile::tempdir().unwrap());
    house.killed(volume.path(), "task-a", 5).await;
    let folder = volume.path().join("task-a");
    drop(taken(&folder));
    assert_eq!(tables(&folder.join("ledger.sqlite")), [1, 0, 0]);
    let (keeper, sent) = house.task(volume.path(), "task-a").await;
    let host = House::serve(keeper, sent);
    host.handle.finish(house.soon()).await;
    host.ended.await.unwrap();
    drop(taken(&folder));
    assert_eq!(tables(&folder.join("ledger.sqlite")), [0, 1, 5]);
}
