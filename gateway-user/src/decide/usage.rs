//! What was allowed so far: the counters that rules can read, of a session and of a workload's day.
//!
//! Only allowed calls count, each as soon as it is decided, so that two calls at once cannot both be
//! the last one. A call that is not sent in the end is given back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use time::OffsetDateTime;

use crate::classify::{Operation, Param};

/// Hours that a workload's day reaches back, the current one not counted.
const DAY_HOURS: i64 = 24;
/// Seconds of [`Recent`].
const MINUTE: i64 = 60;

/// What allowed calls add to the counters; usually one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// When they were decided.
    pub at: OffsetDateTime,
    /// How many calls.
    pub calls: u64,
    /// The actions each of them needed; each counts once for a call.
    pub actions: Vec<String>,
    /// By `action/parameter`: the sum of the whole numbers given for it. Negative ones count as 0.
    pub sums: Vec<(String, i64)>,
}

impl Charge {
    /// Of one call. Of its parameters only `sums` count: their names are the agent's choice, and may be
    /// many.
    pub(super) fn of(operation: &Operation, at: OffsetDateTime, sums: &BTreeSet<String>) -> Self {
        let mut actions: Vec<String> = operation.actions.iter().map(|pair| pair.action.clone()).collect();
        actions.sort_unstable();
        actions.dedup();
        let number = |name: &String| {
            let (action, param) = name.rsplit_once('/')?;
            actions.iter().any(|needed| needed == action).then_some(())?;
            match operation.params.get(param)? {
                Param::Number(number) if *number > 0 => Some((name.clone(), *number)),
                _ => None,
            }
        };
        let sums = sums.iter().filter_map(number).collect();
        Self { at, calls: 1, actions, sums }
    }
}

/// How rules call the sum of a parameter over the calls that needed an action.
#[must_use]
pub fn sum_name(action: &str, param: &str) -> String {
    format!("{action}/{param}")
}

/// Counters that only grow.
#[derive(Debug, Clone, Default)]
struct Totals {
    calls: u64,
    counts: HashMap<String, u64>,
    sums: HashMap<String, i64>,
}

impl Totals {
    fn add(&mut self, charge: &Charge) {
        self.calls = self.calls.saturating_add(charge.calls);
        for action in &charge.actions {
            change(&mut self.counts, action, |count| count.saturating_add(charge.calls));
        }
        for (name, number) in &charge.sums {
            change(&mut self.sums, name, |sum| sum.saturating_add((*number).max(0)));
        }
    }

    fn give_back(&mut self, charge: &Charge) {
        self.calls = self.calls.saturating_sub(charge.calls);
        for action in &charge.actions {
            if let Some(count) = self.counts.get_mut(action) {
                *count = count.saturating_sub(charge.calls);
            }
        }
        for (name, number) in &charge.sums {
            if let Some(sum) = self.sums.get_mut(name) {
                *sum = sum.saturating_sub((*number).max(0)).max(0);
            }
        }
    }
}

/// Without an allocation for a name that is known already.
fn change<N: Copy + Default>(map: &mut HashMap<String, N>, name: &str, to: impl FnOnce(N) -> N) {
    match map.get_mut(name) {
        Some(number) => *number = to(*number),
        None => drop(map.insert(name.to_owned(), to(N::default()))),
    }
}

/// Calls of the last minute, by the second.
#[derive(Debug, Clone, Default)]
struct Recent {
    seconds: BTreeMap<i64, u64>,
}

impl Recent {
    fn add(&mut self, charge: &Charge) {
        let second = charge.at.unix_timestamp();
        // What is older is of no interest to anybody.
        self.seconds = self.seconds.split_off(&(second - MINUTE));
        let calls = self.seconds.entry(second).or_default();
        *calls = calls.saturating_add(charge.calls);
    }

    fn give_back(&mut self, charge: &Charge) {
        if let Some(calls) = self.seconds.get_mut(&charge.at.unix_timestamp()) {
            *calls = calls.saturating_sub(charge.calls);
        }
    }

    fn calls(&self, now: OffsetDateTime) -> u64 {
        self.seconds.range(now.unix_timestamp() - MINUTE + 1..).map(|(_, calls)| calls).sum()
    }
}

/// The counters of one session, from its start.
#[derive(Debug, Clone, Default)]
pub struct SessionUsage {
    totals: Totals,
    recent: Recent,
}

/// The counters of all sessions of one workload: the current hour and the 24 before it.
#[derive(Debug, Clone, Default)]
pub struct DayUsage {
    hours: BTreeMap<i64, Totals>,
    recent: Recent,
}

/// Counters as somebody supposes them to be.
#[derive(Debug, Clone, Default)]
pub struct Supposed {
    /// Allowed calls.
    pub calls: u64,
    /// Of these, within the last minute.
    pub calls_last_minute: u64,
    /// By action.
    pub counts: BTreeMap<String, u64>,
    /// By [`sum_name`].
    pub sums: BTreeMap<String, i64>,
}

/// Counters as rules read them.
pub(super) trait Meter {
    /// Allowed calls.
    fn calls(&self) -> u64;
    /// Allowed calls within the last 60 seconds.
    fn calls_last_minute(&self, now: OffsetDateTime) -> u64;
    /// Allowed calls that needed this action.
    fn count(&self, action: &str) -> u64;
    /// The sum of a parameter, by [`sum_name`].
    fn sum(&self, name: &str) -> i64;
}

impl Totals {
    fn given(Supposed { calls, counts, sums, .. }: &Supposed) -> Self {
        let own = |(name, number): (&String, &u64)| (name.clone(), *number);
        let summed = |(name, number): (&String, &i64)| (name.clone(), *number);
        Self {
            calls: *calls,
            counts: counts.iter().map(own).collect(),
            sums: sums.iter().map(summed).collect(),
        }
    }
}

impl Recent {
    fn given(now: OffsetDateTime, calls: u64) -> Self {
        Self { seconds: BTreeMap::from([(now.unix_timestamp(), calls)]) }
    }
}

impl SessionUsage {
    /// Counters as somebody supposes them to be.
    #[must_use]
    pub fn given(now: OffsetDateTime, supposed: &Supposed) -> Self {
        Self { totals: Totals::given(supposed), recent: Recent::given(now, supposed.calls_last_minute) }
    }

    /// Counts allowed calls.
    pub fn add(&mut self, charge: &Charge) {
        self.totals.add(charge);
        self.recent.add(charge);
    }

    /// Takes back what was never sent.
    pub fn give_back(&mut self, charge: &Charge) {
        self.totals.give_back(charge);
        self.recent.give_back(charge);
    }
}

impl DayUsage {
    /// Counters as somebody supposes them to be.
    #[must_use]
    pub fn given(now: OffsetDateTime, supposed: &Supposed) -> Self {
        Self {
            hours: BTreeMap::from([(hour(now), Totals::given(supposed))]),
            recent: Recent::given(now, supposed.calls_last_minute),
        }
    }

    /// Counts allowed calls; what is older than a day before them is forgotten.
    pub fn add(&mut self, charge: &Charge) {
        self.forget(charge.at);
        self.hours.entry(hour(charge.at)).or_default().add(charge);
        self.recent.add(charge);
    }

    /// Takes back what was never sent.
    pub fn give_back(&mut self, charge: &Charge) {
        if let Some(totals) = self.hours.get_mut(&hour(charge.at)) {
            totals.give_back(charge);
        }
        self.recent.give_back(charge);
    }

    /// Forgets what is older than a day before `now`.
    pub fn forget(&mut self, now: OffsetDateTime) {
        let oldest = hour(now) - DAY_HOURS;
        if self.hours.first_key_value().is_some_and(|(hour, _)| *hour < oldest) {
            self.hours = self.hours.split_off(&oldest);
        }
    }

    /// Whether it counts nothing any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hours.is_empty()
    }
}

fn hour(at: OffsetDateTime) -> i64 {
    at.unix_timestamp().div_euclid(3600)
}

impl Meter for SessionUsage {
    fn calls(&self) -> u64 {
        self.totals.calls
    }
    fn calls_last_minute(&self, now: OffsetDateTime) -> u64 {
        self.recent.calls(now)
    }
    fn count(&self, action: &str) -> u64 {
        self.totals.counts.get(action).copied().unwrap_or(0)
    }
    fn sum(&self, name: &str) -> i64 {
        self.totals.sums.get(name).copied().unwrap_or(0)
    }
}

impl Meter for DayUsage {
    fn calls(&self) -> u64 {
        self.hours.values().map(|totals| totals.calls).sum()
    }
    fn calls_last_minute(&self, now: OffsetDateTime) -> u64 {
        self.recent.calls(now)
    }
    fn count(&self, action: &str) -> u64 {
        self.hours.values().filter_map(|totals| totals.counts.get(action)).sum()
    }
    fn sum(&self, name: &str) -> i64 {
        self.hours
            .values()
            .filter_map(|totals| totals.sums.get(name))
            .fold(0, |sum, n| sum.saturating_add(*n))
    }
}
