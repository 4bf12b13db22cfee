use std::fmt::Write;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::super::{Desk, Dimension, Done, Granted, Meter, Pricing, open};
use super::*;
use form::{Form, User};

mod form;
mod machine;

/// `images` (guest, tags team and env), `calls` and `calls-too` (host: requests), `bytes` (guest, no tags).
fn meter() -> (Meter, Desk) {
    let dimension = |key: &str, source, tag_keys: &[&str]| Dimension {
        key: key.to_string(),
        source,
        tag_keys: tag_keys.iter().map(ToString::to_string).collect(),
    };
    let dimensions = vec![
        dimension("images", Source::Guest, &["team", "env"]),
        dimension("calls", Source::Host(Measure::Requests), &[]),
        dimension("calls-too", Source::Host(Measure::Requests), &[]),
        dimension("bytes", Source::Guest, &[]),
    ];
    let granted = Granted { product: "p".into(), listing: "paid".into(), pricing: Pricing::Custom, since: 0 };
    open(dimensions, granted)
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What waits at the desk, one line a commit, without answering.
fn received(desk: &mut Desk) -> (String, Vec<Done>) {
    let (mut text, mut answers) = (String::new(), Vec::new());
    for commit in desk.commits.waiting() {
        let deltas: Vec<String> =
            commit.deltas.iter().map(|d| format!("{}/{} +{}", d.dimension, d.tags.0, d.units)).collect();
        writeln!(text, "component {}: {}", commit.deltas[0].component, deltas.join(", ")).unwrap();
        answers.push(commit.done);
    }
    (text, answers)
}

/// Runs a script in every form that an `add` has, with the same answers in each; says what they are.
fn check(script: &str) -> String {
    let [first, others @ ..] = Form::ALL.map(|form| (form, run(form, script)));
    for (form, said) in others {
        assert_eq!(said, first.1, "{form:?}");
    }
    first.1
}

/// Runs a script of `add DIM UNITS`, `tag KEY=VALUE`, `tagged DIM TAGS UNITS`, `requests N`, `limit DIM N`, `stop`,
/// `go`, `drop`, one a line; answers each line, then what reached the desk.
fn run(form: Form, script: &str) -> String {
    let (meter, mut desk) = meter();
    let mut user = Some(User::new(form, &meter));
    let mut out = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |i: usize| words[i].parse::<u32>().unwrap();
        let answer = match (words[0], &mut user) {
            ("limit", _) => format!("{:?}", desk.set_limit(number(1), words[2].parse().unwrap())),
            ("stop", _) => format!("{:?}", desk.stop(true)),
            ("go", _) => format!("{:?}", desk.stop(false)),
            ("drop", user) => {
                *user = None;
                "()".to_string()
            }
            ("add", Some(user)) => format!("{:?}", user.add(number(1), number(2))),
            ("tagged", Some(user)) => format!("{:?}", user.add_tagged(number(1), number(2), number(3))),
            ("tag", Some(user)) => {
                let (key, value) = words[1].split_once('=').unwrap();
                format!("{:?}", user.counters.tags(vec![(key.into(), value.into())]))
            }
            ("requests", Some(user)) => {
                format!("{:?}", user.counters.measure(Measure::Requests, number(1).into()))
            }
            (other, _) => panic!("no command {other}"),
        };
        writeln!(out, "{line}: {answer}").unwrap();
    }
    drop(user);
    out + &received(&mut desk).0
}

#[test]
fn a_guest_can_only_add_to_its_own_dimensions() {
    insta::assert_snapshot!(check("add 0 2\n add 0 3\n add 1 1\n add 4 1\n add 4294967295 1\n add 3 0"), @r"
    add 0 2: Counted
    add 0 3: Counted
    add 1 1: Unknown
    add 4 1: Unknown
    add 4294967295 1: Unknown
    add 3 0: Counted
    component 7: 0/0 +5
    ");
}

#[test]
fn a_limit_refuses_the_whole_add_and_room_comes_back_with_a_new_limit() {
    insta::assert_snapshot!(check("limit 0 5\n add 0 4\n add 0 2\n add 0 1\n add 0 1\n limit 0 8\n add 0 3"), @r"
    limit 0 5: ()
    add 0 4: Counted
    add 0 2: OverLimit
    add 0 1: Counted
    add 0 1: OverLimit
    limit 0 8: ()
    add 0 3: Counted
    component 7: 0/0 +8
    ");
}

#[test]
fn a_measure_counts_for_each_bound_dimension_and_only_what_fits() {
    insta::assert_snapshot!(check("limit 2 3\n requests 2\n requests 2\n stop\n requests 1"), @r"
    limit 2 3: ()
    requests 2: ()
    requests 2: ()
    stop: ()
    requests 1: ()
    component 7: 1/0 +5, 2/0 +3
    ");
}

#[test]
fn a_stopped_meter_counts_nothing_for_guests() {
    insta::assert_snapshot!(check("add 0 1\n stop\n add 0 1\n add 9 1\n go\n add 0 1"), @r"
    add 0 1: Counted
    stop: ()
    add 0 1: Stopped
    add 9 1: Unknown
    go: ()
    add 0 1: Counted
    component 7: 0/0 +2
    ");
}

#[test]
fn tags_are_for_the_dimensions_that_declare_their_keys() {
    let script = "tagged 0 1 1\n tag team=a\n tag colour=b\n tag team=,\n tagged 0 1 5\n tagged 0 0 2\n tagged 3 1 1\n tagged 0 2 1";
    insta::assert_snapshot!(check(script), @r"
    tagged 0 1 1: Unknown
    tag team=a: Ok(TagsId(1))
    tag colour=b: Ok(TagsId(2))
    tag team=,: Err(Invalid)
    tagged 0 1 5: Counted
    tagged 0 0 2: Counted
    tagged 3 1 1: Unknown
    tagged 0 2 1: Unknown
    component 7: 0/0 +2, 0/1 +5
    ");
}

#[test]
fn a_tag_set_of_another_instance_is_unknown() {
    let (meter, _desk) = meter();
    let (one, two) = (meter.instance(0), meter.instance(1));
    let id = one.tags(vec![("team".into(), "a".into())]).unwrap();
    assert_eq!(one.add_tagged(0, id, 1), Outcome::Counted);
    assert_eq!(two.add_tagged(0, id, 1), Outcome::Unknown);
}

#[test]
fn nothing_to_commit_is_done_at_once() {
    let (meter, mut desk) = meter();
    let counters = meter.instance(0);
    assert_eq!(poll(pin!(counters.commit())), Poll::Ready(Ok(())));
    assert_eq!(received(&mut desk).0, "");
}

#[test]
fn a_commit_waits_for_the_disk_and_a_second_one_for_its_turn() {
    let (meter, mut desk) = meter();
    let counters = meter.instance(0);
    counters.add(0, 1);
    let mut first = pin!(counters.commit());
    assert!(poll(first.as_mut()).is_pending());
    counters.add(0, 2);
    let mut second = pin!(counters.commit());
    assert!(poll(second.as_mut()).is_pending());

    let (text, answers) = received(&mut desk);
    assert_eq!(text, "component 0: 0/0 +1\n");
    answers.into_iter().for_each(|done| done.send(Ok(())));
    assert_eq!(poll(first.as_mut()), Poll::Ready(Ok(())));
    assert!(poll(second.as_mut()).is_pending());

    let (text, answers) = received(&mut desk);
    assert_eq!(text, "component 0: 0/0 +2\n");
    answers.into_iter().for_each(|done| done.send(Ok(())));
    assert_eq!(poll(second.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn a_commit_that_nobody_waits_for_still_holds_up_the_next_one() {
    let (meter, mut desk) = meter();
    let counters = meter.instance(0);
    counters.add(0, 1);
    {
        let mut gone = pin!(counters.commit());
        assert!(poll(gone.as_mut()).is_pending());
    }
    let mut next = pin!(counters.commit());
    assert!(poll(next.as_mut()).is_pending());
    let (text, answers) = received(&mut desk);
    assert_eq!(text, "component 0: 0/0 +1\n");
    answers.into_iter().for_each(|done| done.send(Ok(())));
    assert_eq!(poll(next.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn after_lost_usage_no_commit_says_that_all_is_well() {
    let (meter, mut desk) = meter();
    let counters = meter.instance(0);
    counters.add(0, 1);
    let mut commit = pin!(counters.commit());
    assert!(poll(commit.as_mut()).is_pending());
    drop(received(&mut desk).1);
    assert_eq!(poll(commit.as_mut()), Poll::Ready(Err(Stopped)));
    assert_eq!(poll(pin!(counters.commit())), Poll::Ready(Err(Stopped)));
}

#[test]
fn without_a_keeper_new_usage_cannot_be_committed() {
    let (meter, desk) = meter();
    let counters = meter.instance(0);
    drop(desk);
    assert_eq!(poll(pin!(counters.commit())), Poll::Ready(Ok(())));
    counters.add(0, 1);
    assert_eq!(poll(pin!(counters.commit())), Poll::Ready(Err(Stopped)));
}

#[tokio::test]
async fn units_of_dropped_instances_arrive_even_when_the_queue_is_full() {
    let (meter, mut desk) = meter();
    for _ in 0..5000 {
        meter.instance(0).add(0, 1);
    }
    drop(meter);
    let mut total = 0;
    loop {
        let commits = desk.commits.next().await;
        if commits.is_empty() {
            break;
        }
        total += commits.iter().flat_map(|commit| &commit.deltas).map(|delta| delta.units).sum::<u64>();
    }
    assert_eq!((total, desk.admitted(0)), (5000, 5000));
}

#[tokio::test]
async fn attest_is_only_for_hourly_and_monthly_listings() {
    let (meter, _desk) = meter();
    let refusal = meter.attest("n".into()).await;
    assert_eq!(refusal, Err(super::super::AttestRefusal::NotThisPricing));
}
