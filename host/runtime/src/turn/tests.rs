use std::pin::pin;

use super::*;

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls a guest's turn until it has it; so many laps begin meanwhile.
fn laps<F: Future>(turn: &mut Turn, mut pace: Pin<&mut F>) -> usize {
    let mut laps = 0;
    while turn.poll(&Context::from_waker(Waker::noop())).is_pending() {
        assert!(poll(pace.as_mut()).is_pending());
        laps += 1;
    }
    laps
}

#[test]
fn one_that_is_interrupted_waits_for_a_lap_and_goes_on() {
    let mut pace = pin!(pace());
    assert!(poll(pace.as_mut()).is_pending());
    let cx = Context::from_waker(Waker::noop());
    let mut turn = Turn::default();
    laps(&mut turn, pace.as_mut());
    let mut aside = step_aside();
    assert!(poll(aside.as_mut()).is_pending());
    turn.over(&cx, false);
    assert!(turn.poll(&cx).is_pending(), "it is polled again before its turn");
    assert_eq!(laps(&mut turn, pace.as_mut()), 1);
    assert!(poll(aside.as_mut()).is_ready());
    turn.over(&cx, true);
    assert!(!crowded());
}

#[test]
fn the_two_rows_take_turns_and_who_leaves_holds_up_nobody() {
    let mut pace = pin!(pace());
    assert!(poll(pace.as_mut()).is_pending());
    let cx = Context::from_waker(Waker::noop());
    let wait = |lane| {
        let number = with(|lanes| lanes.wait(lane, &cx)).unwrap();
        Turn { waits: Some((lane, number)) }
    };
    let [mut long, other_long] = [wait(Lane::Long), wait(Lane::Long)];
    let [quick, mut next, mut last] = [wait(Lane::Quick), wait(Lane::Quick), wait(Lane::Quick)];
    while long.poll(&cx).is_pending() {
        assert!(poll(pace.as_mut()).is_pending());
        assert!(next.poll(&cx).is_pending(), "the one before it was called and does not come");
    }
    long.over(&cx, true);
    assert!(poll(pace.as_mut()).is_pending());
    // It was called and is gone.
    drop(quick);
    laps(&mut next, pace.as_mut());
    next.over(&cx, true);
    drop(other_long);
    laps(&mut last, pace.as_mut());
    last.over(&cx, true);
    assert!(with(|lanes| lanes.quick.is_empty() && lanes.long.is_empty()).unwrap());
}

#[test]
fn answers_leave_together_when_no_guest_is_about_to_run() {
    let mut pace = pin!(pace());
    assert!(poll(pace.as_mut()).is_pending());
    let mut porter = pin!(porter());
    assert!(poll(porter.as_mut()).is_pending());
    let [mut first, mut second, mut late] = [(); 3].map(|()| Box::pin(together()));
    // One is polled more often than it is woken, and one is gone.
    assert!(poll(first.as_mut()).is_pending() && poll(first.as_mut()).is_pending());
    assert!(poll(Box::pin(together()).as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());

    let cx = Context::from_waker(Waker::noop());
    let mut guest = Turn { waits: Some((Lane::Quick, with(|lanes| lanes.wait(Lane::Quick, &cx)).unwrap())) };
    assert!(poll(pace.as_mut()).is_pending(), "the guest is called");
    assert!(poll(porter.as_mut()).is_pending());
    assert!(poll(first.as_mut()).is_pending(), "the answer of the guest may come with it");
    laps(&mut guest, pace.as_mut());
    guest.over(&cx, true);

    assert!(poll(porter.as_mut()).is_pending());
    assert!(poll(late.as_mut()).is_pending(), "for this one it was too late");
    assert!(poll(first.as_mut()).is_ready() && poll(second.as_mut()).is_ready());
    assert!(poll(porter.as_mut()).is_pending());
    assert!(poll(late.as_mut()).is_ready());
}

#[test]
fn an_answer_does_not_wait_for_a_guest_that_was_called_and_is_gone() {
    let (mut pace, mut porter, mut answer) = (pin!(pace()), pin!(porter()), pin!(together()));
    assert!(poll(pace.as_mut()).is_pending() && poll(porter.as_mut()).is_pending());
    let cx = Context::from_waker(Waker::noop());
    let guest = Turn { waits: Some((Lane::Quick, with(|lanes| lanes.wait(Lane::Quick, &cx)).unwrap())) };
    assert!(poll(answer.as_mut()).is_pending() && poll(pace.as_mut()).is_pending());
    drop(guest);
    assert!(poll(porter.as_mut()).is_pending());
    assert!(poll(answer.as_mut()).is_ready());
}

#[test]
fn a_thread_without_lanes_runs_whoever_comes() {
    let cx = Context::from_waker(Waker::noop());
    let mut turn = Turn::default();
    assert!(turn.poll(&cx).is_ready());
    turn.over(&cx, false);
    assert!(turn.poll(&cx).is_ready() && !crowded());
    assert!(poll(pin!(together())).is_ready());
}
