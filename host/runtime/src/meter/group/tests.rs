use std::pin::pin;

use super::super::{Desk, Dimension, Granted, Pricing, Source, open};
use super::*;

fn meter() -> (Meter, Desk) {
    let dimension = |key: &str| Dimension { key: key.to_string(), source: Source::Guest, tag_keys: Vec::new() };
    let granted = Granted { product: "p".into(), listing: "paid".into(), pricing: Pricing::Custom, since: 0 };
    open(vec![dimension("images"), dimension("bytes")], granted)
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The commits at the desk, as `component dimension units`.
fn received(desk: &mut Desk) -> Vec<(String, Done)> {
    let mut all = Vec::new();
    for commit in desk.commits.waiting() {
        let deltas = commit.deltas.iter().map(|d| format!("{} {} {}", d.component, d.dimension, d.units));
        all.push((deltas.collect::<Vec<_>>().join(", "), commit.done));
    }
    all
}

#[tokio::test]
async fn those_that_come_together_are_one_commit_and_each_waits_for_it() {
    let (meter, mut desk) = meter();
    let (meter, group) = meter.together();
    let mut keep = pin!(group.clone().keep());
    assert!(poll(keep.as_mut()).is_pending());
    let all = [meter.instance(7), meter.instance(7), meter.instance(8)];
    for counters in &all {
        counters.add(0, 2);
    }
    all[2].add(1, 5);
    let [mut first, mut second, mut third] = all.each_ref().map(|counters| Box::pin(counters.commit()));
    for waiting in [&mut first, &mut second, &mut third] {
        assert!(poll(waiting.as_mut()).is_pending());
    }
    assert!(poll(keep.as_mut()).is_pending());
    assert!(received(&mut desk).is_empty(), "a busy thread lets more gather");
    group.idle();
    assert!(poll(keep.as_mut()).is_pending());
    // Who comes before the keeper takes it goes with it.
    let fourth = meter.instance(7);
    fourth.add(0, 3);
    let mut fourth = pin!(fourth.commit());
    assert!(poll(fourth.as_mut()).is_pending());
    let (text, done) = received(&mut desk).pop().unwrap();
    assert_eq!(text, "7 0 7, 8 0 2, 8 1 5");

    // What comes while that is under way is the next group, which the keeper can take as well, and waits for its own answer.
    let late = meter.instance(7);
    late.add(0, 1);
    let mut later = pin!(late.commit());
    assert!(poll(later.as_mut()).is_pending());
    group.idle();
    assert!(poll(keep.as_mut()).is_pending());
    let (text, later_done) = received(&mut desk).pop().unwrap();
    assert_eq!(text, "7 0 1");
    done.send(Ok(()));
    assert!(poll(keep.as_mut()).is_pending());
    for waiting in [&mut first, &mut second, &mut third] {
        assert_eq!(poll(waiting.as_mut()), Poll::Ready(Ok(())));
    }
    assert_eq!(poll(fourth.as_mut()), Poll::Ready(Ok(())));
    assert!(poll(later.as_mut()).is_pending());
    later_done.send(Err(Stopped));
    assert!(poll(keep.as_mut()).is_pending());
    assert_eq!(poll(later.as_mut()), Poll::Ready(Err(Stopped)));
}

#[tokio::test]
async fn what_nobody_waits_for_is_sent_all_the_same() {
    let (meter, mut desk) = meter();
    let (meter, group) = meter.together();
    let counters = meter.instance(1);
    counters.add(0, 3);
    {
        let mut waiting = pin!(counters.commit());
        assert!(poll(waiting.as_mut()).is_pending());
    }
    counters.add(0, 4);
    drop(counters);
    let mut settled = Box::pin(group.settled());
    assert!(poll(settled.as_mut()).is_pending());
    {
        let mut keep = pin!(group.clone().keep());
        group.idle();
        assert!(poll(keep.as_mut()).is_pending());
        let (text, done) = received(&mut desk).pop().unwrap();
        assert_eq!(text, "1 0 7");
        done.send(Ok(()));
        assert!(poll(keep.as_mut()).is_pending());
    }
    assert_eq!(poll(settled.as_mut()), Poll::Ready(()));
    drop(settled);

    // Nobody sends any more: the end of the thread does.
    let counters = meter.instance(1);
    counters.add(1, 9);
    drop((counters, meter, group));
    assert_eq!(received(&mut desk).pop().unwrap().0, "1 1 9");
}

#[tokio::test]
async fn who_waits_is_told_that_the_keeper_is_gone() {
    for asked in [false, true] {
        let (meter, desk) = meter();
        let (meter, group) = meter.together();
        let mut keep = pin!(group.clone().keep());
        let counters = meter.instance(1);
        counters.add(0, 3);
        let mut waiting = pin!(counters.commit());
        assert!(poll(waiting.as_mut()).is_pending());
        group.idle();
        if asked {
            assert!(poll(keep.as_mut()).is_pending());
        }
        drop(desk);
        assert!(poll(keep.as_mut()).is_pending());
        assert_eq!(poll(waiting.as_mut()), Poll::Ready(Err(Stopped)), "asked before: {asked}");
    }
}

#[tokio::test]
async fn those_of_each_group_under_way_are_told_that_the_keeper_is_gone() {
    let (meter, mut desk) = meter();
    let (meter, group) = meter.together();
    let mut keep = pin!(group.clone().keep());
    let all = [meter.instance(1), meter.instance(1), meter.instance(1)];
    let mut waiting = Vec::new();
    let mut taken = Vec::new();
    for (number, counters) in all.iter().enumerate() {
        counters.add(0, 1);
        let mut commit = Box::pin(counters.commit());
        assert!(poll(commit.as_mut()).is_pending());
        waiting.push(commit);
        group.idle();
        assert!(poll(keep.as_mut()).is_pending());
        // The last is asked for, and not taken.
        if number < 2 {
            taken.extend(received(&mut desk));
        }
    }
    assert_eq!(taken.len(), 2);
    let mut settled = Box::pin(group.settled());
    assert!(poll(settled.as_mut()).is_pending());
    drop((taken, desk));
    assert!(poll(keep.as_mut()).is_pending());
    for commit in &mut waiting {
        assert_eq!(poll(commit.as_mut()), Poll::Ready(Err(Stopped)));
    }
    assert_eq!(poll(settled.as_mut()), Poll::Ready(()));
}

#[tokio::test]
async fn where_a_write_takes_longer_than_a_group_gathers_a_busy_thread_asks_at_once() {
    let (meter, mut desk) = meter();
    let (meter, group) = meter.together();
    let mut keep = pin!(group.clone().keep());
    let counters = meter.instance(1);
    let mut gathers = |desk: &mut Desk| {
        counters.add(0, 1);
        let mut waiting = Box::pin(counters.commit());
        assert!(poll(waiting.as_mut()).is_pending());
        assert!(poll(keep.as_mut()).is_pending());
        let at_once = received(desk);
        group.idle();
        assert!(poll(keep.as_mut()).is_pending());
        let gathered = received(desk);
        assert_eq!(at_once.len() + gathered.len(), 1);
        let gathers = at_once.is_empty();
        for (_, done) in at_once.into_iter().chain(gathered) {
            let write = Stopwatch::start();
            while write.elapsed() < GATHER {
                std::hint::spin_loop();
            }
            done.send(Ok(()));
        }
        assert!(poll(keep.as_mut()).is_pending());
        assert_eq!(poll(waiting.as_mut()), Poll::Ready(Ok(())));
        gathers
    };
    assert!(gathers(&mut desk), "nothing is known of the disk");
    assert!(!gathers(&mut desk), "the last write took longer");
    group.wrote(GATHER - Duration::from_nanos(1));
    assert!(gathers(&mut desk), "the last one was quicker");
}
