//! Requests in their order, for several threads, within a budget of calls and tokens.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::error::Error;

/// What may be spent, or what was.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Spent {
    /// Calls, retries too.
    pub calls: usize,
    /// Tokens.
    pub tokens: usize,
}

/// So many requests one after the other without an answer end the work.
const MOST_FAILED_IN_A_ROW: usize = 3;

/// Deals out requests while the budget lasts.
pub(crate) struct Queue {
    most: Spent,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Requests that wait: their place, and the tokens that they may take.
    waiting: VecDeque<(usize, usize)>,
    spent: Spent,
    /// Estimated tokens of requests under way, and how many these are.
    reserved: usize,
    n_under_way: usize,
    n_failed: usize,
    n_failed_in_a_row: usize,
    fault: Option<Error>,
}

impl Queue {
    /// A queue of places with estimated tokens; `spent` counts as spent already.
    pub fn new(waiting: impl IntoIterator<Item = (usize, usize)>, most: Spent, spent: Spent) -> Queue {
        let waiting = waiting.into_iter().collect();
        let state = State { waiting, spent, reserved: 0, n_under_way: 0, n_failed: 0, n_failed_in_a_row: 0, fault: None };
        Queue { most, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The next request: its place and its estimate, with one call spent. Nothing where none waits or the budget allows none.
    ///
    /// Where tokens seem to be missing, it waits for requests under way: they may take less than they were thought to.
    pub fn next(&self) -> Option<(usize, usize)> {
        let mut state = self.locked();
        loop {
            let (place, estimate) = *state.waiting.front()?;
            if state.fault.is_some() || state.spent.calls >= self.most.calls {
                return None;
            }
            if state.spent.tokens + state.reserved + estimate <= self.most.tokens {
                state.waiting.pop_front();
                state.spent.calls += 1;
                state.reserved += estimate;
                state.n_under_way += 1;
                return Some((place, estimate));
            }
            if state.n_under_way == 0 {
                return None;
            }
            state = self.changed.wait(state).expect("no panic while held");
        }
    }

    /// Waits before a request is tried again, and spends one call more. False where there is none, or the work has ended.
    pub fn again(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut state = self.locked();
        while state.fault.is_none() && state.spent.calls < self.most.calls {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.spent.calls += 1;
                return true;
            }
            state = self.changed.wait_timeout(state, left).expect("no panic while held").0;
        }
        false
    }

    /// A request has its answer.
    pub fn answered(&self, estimate: usize, tokens: usize) {
        let mut state = self.locked();
        state.spent.tokens += tokens;
        state.n_failed_in_a_row = 0;
        self.leave(state, estimate);
    }

    /// A request gets no answer. `reason` ends the work where too many before it got none either.
    pub fn failed(&self, estimate: usize, reason: Error) {
        let mut state = self.locked();
        state.n_failed += 1;
        state.n_failed_in_a_row += 1;
        if state.n_failed_in_a_row >= MOST_FAILED_IN_A_ROW {
            state.fault.get_or_insert(reason);
        }
        self.leave(state, estimate);
    }

    /// A request is not tried any more, since nothing is left to spend or the work has ended.
    pub fn give_back(&self, estimate: usize) {
        self.leave(self.locked(), estimate);
    }

    /// Ends the work; requests under way still come to their end.
    pub fn stop(&self, estimate: usize, fault: Error) {
        let mut state = self.locked();
        state.fault.get_or_insert(fault);
        self.leave(state, estimate);
    }

    /// What was spent so far.
    pub fn spent(&self) -> Spent {
        self.locked().spent
    }

    /// What was spent, the requests that failed, and what ended the work early, if anything did.
    pub fn finish(self) -> (Spent, usize, Option<Error>) {
        let State { spent, n_failed, fault, .. } = self.state.into_inner().expect("no panic while held");
        (spent, n_failed, fault)
    }

    fn leave(&self, mut state: MutexGuard<'_, State>, estimate: usize) {
        state.reserved -= estimate;
        state.n_under_way -= 1;
        drop(state);
        self.changed.notify_all();
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(most: Spent, spent: Spent) -> Queue {
        Queue::new((0..5).map(|place| (place, 10)), most, spent)
    }

    #[test]
    fn calls_are_counted_with_retries_and_what_was_spent_before() {
        let queue = queue(Spent { calls: 4, tokens: 1000 }, Spent { calls: 1, tokens: 0 });
        assert_eq!(queue.next(), Some((0, 10)));
        assert!(queue.again(Duration::ZERO));
        assert_eq!(queue.next(), Some((1, 10)));
        assert!(!queue.again(Duration::from_secs(100)));
        assert_eq!((queue.next(), queue.spent().calls), (None, 4));
    }

    #[test]
    fn a_request_waits_for_tokens_that_those_under_way_may_leave() {
        let queue = queue(Spent { calls: 100, tokens: 25 }, Spent::default());
        assert_eq!((queue.next(), queue.next()), (Some((0, 10)), Some((1, 10))));
        std::thread::scope(|scope| {
            let third = scope.spawn(|| queue.next());
            queue.answered(10, 4);
            assert_eq!(third.join().unwrap(), Some((2, 10)));
        });
        queue.answered(10, 4);
        queue.answered(10, 12);
        assert_eq!((queue.next(), queue.spent()), (None, Spent { calls: 3, tokens: 20 }));
    }

    #[test]
    fn three_failures_in_a_row_or_one_fault_end_the_work() {
        let plenty = Spent { calls: 100, tokens: 1000 };
        let one = queue(plenty, Spent::default());
        one.next();
        one.next();
        one.stop(10, Error::data("first"));
        one.stop(10, Error::data("second"));
        assert!(one.next().is_none() && !one.again(Duration::ZERO));
        assert_eq!(one.finish().2.unwrap().to_string(), "first");
        for (answers, stops) in [([false, false, true, false, false], false), ([true, false, false, false, true], true)] {
            let queue = queue(plenty, Spent::default());
            for is_answered in answers {
                match queue.next() {
                    Some((_, estimate)) if is_answered => queue.answered(estimate, 1),
                    Some((_, estimate)) => queue.failed(estimate, Error::data("no answer")),
                    None => {}
                }
            }
            assert_eq!(queue.finish().2.is_some(), stops);
        }
    }
}
