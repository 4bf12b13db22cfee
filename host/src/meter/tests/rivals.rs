//! Two hosts that meter under one identity: AWS keeps what came first, so the other one works unpaid.

use super::*;
use crate::usage::{Asked, Settlement};

async fn until(host: &Running, standing: &str) {
    while host.handle.snapshot().await.unwrap().standing != standing {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn conflicts_hour_after_hour_stop_new_work_until_somebody_closes_them() {
    let mut house = House::new(&vec![Reply::Duplicate; 5]);
    let mut host = house.run().await;
    house.pass_minutes(15);
    for standing in ["good", "late", "late", "late", "stopping"] {
        assert_eq!(host.counters.add(0, 5), Outcome::Counted);
        host.counters.commit().await.unwrap();
        house.pass_minutes(60);
        host.record().await;
        until(&host, standing).await;
    }
    assert_eq!(host.counters.add(0, 5), Outcome::Stopped);
    host.ended.abort();

    let host = house.run().await;
    until(&host, "stopping").await;
    assert_eq!(host.counters.add(0, 5), Outcome::Stopped, "a restart is no way round");
    let newest = host.handle.snapshot().await.unwrap().rows.iter().map(|row| row.hour).max().unwrap();
    let settlement = Settlement::parse(Asked {
        listing: "paid".to_owned(),
        dimension: "images".to_owned(),
        hour: jiff::Timestamp::from_second(newest.try_into().unwrap()).unwrap().to_string(),
        billed: false,
        reason: "it was the other host's".to_owned(),
        event: "8f2f6a5c-3c1d-4b7e-9a57-0f6d0a4c8b12".to_owned(),
    });
    host.handle.settle(settlement.unwrap()).await.unwrap().unwrap();
    until(&host, "late").await;
    assert_eq!(host.counters.add(0, 5), Outcome::Counted);
}
