//! What machine code counts, against a plain model, and against somebody who takes it away at the same time.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::*;
use crate::limits::Limits;
use crate::testing::{self, Dice};

/// Of `images`: what was counted and how much is allowed.
struct Model {
    total: u64,
    limit: u64,
    stopped: bool,
}

/// Several instances below one limit that changes while they count. Says how often what was answered.
fn check_limit(form: Form, seed: u64, limit_max: u64) -> [u32; 3] {
    let runtime = testing::runtime(Limits::default());
    let (meter, mut desk) = meter();
    let mut dice = Dice(seed);
    let mut model = Model { total: 0, limit: limit_max / 2, stopped: false };
    desk.set_limit(0, model.limit);
    let mut users: Vec<User> = (0..3).map(|_| User::of(form, &meter, &runtime)).collect();
    let mut answers = [0; 3];
    for _ in 0..600 {
        let index = usize::try_from(dice.below(3)).unwrap();
        match dice.below(24) {
            0 => {
                model.limit = model.total + dice.below(limit_max);
                desk.set_limit(0, model.limit);
            }
            1 => {
                model.stopped = !model.stopped;
                desk.stop(model.stopped);
            }
            2 => users[index] = User::of(form, &meter, &runtime),
            3 => _ = poll(pin!(users[index].counters.commit())),
            _ => {
                let units = dice.small(1 + u32::try_from(limit_max / 64).unwrap());
                answers[model.judge(users[index].add(0, units), units)] += 1;
            }
        }
    }
    drop(users);
    drop(meter);
    let mut booked = 0;
    for commit in desk.commits.waiting() {
        booked += commit.deltas.iter().map(|delta| delta.units).sum::<u64>();
    }
    assert_eq!(booked, model.total, "{form:?} {seed}");
    assert_eq!(desk.admitted(0), model.total, "{form:?} {seed}: what was taken ahead came back");
    answers
}

impl Model {
    /// Fails if the answer is wrong.
    fn judge(&mut self, outcome: Outcome, units: u32) -> usize {
        let sum = self.total + u64::from(units);
        match outcome {
            Outcome::Counted => {
                assert!(!self.stopped && sum <= self.limit, "{sum} of {}", self.limit);
                self.total = sum;
                0
            }
            Outcome::OverLimit => {
                // The two others may have taken a part of what was left ahead.
                let ahead = 2 * (self.limit / 1_024);
                assert!(!self.stopped && sum + ahead > self.limit, "{sum} of {}", self.limit);
                1
            }
            Outcome::Stopped => {
                assert!(self.stopped);
                2
            }
            Outcome::Unknown => panic!("guests count this one"),
        }
    }
}

#[test]
fn no_instance_counts_beyond_a_limit_and_none_is_refused_below_it() {
    for form in Form::ALL {
        let mut all = [0; 3];
        // Below 1024 nobody takes anything ahead, so each answer is exact; above, most adds are not asked for.
        for (seed, limit_max) in (1..).zip([900, 900, 1 << 20, 1 << 30]) {
            let answers = check_limit(form, seed, limit_max);
            all.iter_mut().zip(answers).for_each(|(all, answers)| *all += answers);
        }
        assert!(all.iter().all(|&times| times > 20), "{form:?}: counted, refused, stopped {all:?}");
    }
}

#[test]
fn every_number_has_the_same_answer_in_each_form() {
    let edges = [0, 1, 2, 3, 4, 5, 1 << 31, u32::MAX - 1, u32::MAX];
    let mut dice = Dice(7);
    let mut script = String::from("tag team=a\n limit 0 5000000000\n");
    for _ in 0..1_500 {
        let mut number = || if dice.below(3) == 0 { dice.small(6) } else { edges[dice.small(9) as usize] };
        let (dimension, tags, units) = (number(), number(), number());
        let _ = match dice.below(4) {
            0 => writeln!(script, "tagged {dimension} {tags} {units}"),
            _ => writeln!(script, "add {dimension} {units}"),
        };
    }
    let said = check(&script);
    for outcome in ["Counted", "Unknown", "OverLimit"] {
        assert!(said.matches(outcome).count() > 20, "{outcome}");
    }
}

#[test]
fn what_is_taken_while_a_guest_counts_is_taken_once() {
    let runtime = testing::runtime(Limits::default());
    let (meter, mut desk) = meter();
    desk.set_limit(3, 1 << 40);
    let mut user = User::of(Form::Inlined, &meter, &runtime);
    let (counters, done) = (user.counters.clone(), AtomicBool::new(false));
    let mut commits = 0;
    let mut booked = [0_u64; 4];
    let mut book = |desk: &mut Desk| {
        for commit in desk.commits.waiting() {
            commits += 1;
            commit.deltas.iter().for_each(|delta| booked[delta.dimension as usize] += delta.units);
            commit.done.send(Ok(()));
        }
    };
    let counted = std::thread::scope(|scope| {
        let guest = scope.spawn(|| {
            // One without a limit, and one with: it asks for more now and then.
            let counted = (0..200).map(|_| user.many(0, 1, 10_000) + user.many(3, 2, 1_000)).sum::<u32>();
            done.store(true, Relaxed);
            drop(user);
            counted
        });
        while !done.load(Relaxed) {
            let _ = poll(pin!(counters.commit()));
            book(&mut desk);
        }
        guest.join().unwrap()
    });
    drop(counters);
    book(&mut desk);
    assert_eq!(counted, 200 * 11_000);
    assert_eq!(booked, [200 * 10_000, 0, 0, 200 * 2_000]);
    assert!(commits > 1, "{commits}");
    assert_eq!((desk.admitted(0), desk.admitted(3)), (200 * 10_000, 200 * 2_000));
}

#[test]
fn a_stop_reaches_a_guest_that_does_not_ask() {
    let runtime = testing::runtime(Limits::default());
    let (meter, desk) = meter();
    let mut user = User::of(Form::Inlined, &meter, &runtime);
    assert_eq!(user.many(0, 1, 1_000), 1_000);
    desk.stop(true);
    assert_eq!(user.many(0, 1, 1_000), 0);
    desk.stop(false);
    assert_eq!(user.many(0, 1, 1_000), 1_000);
}
