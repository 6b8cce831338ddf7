//! What it takes to understand a call and decide it: parse, verify, classify, decide.
//!
//! The requests take turns, in one thread: first for the time, then for what they allocate.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::Result;
use chaperone_tests::{
    allocation::{Allocated, counted},
    corpus::read,
    understand::{Call, Gateway, Gauge, RULES, Stage, calls},
};
use gateway_user::catalog::catalog;

/// Times that each request is understood, after a tenth as many to warm up.
const TURNS: usize = 2000;

/// Limits for a whole call, in microseconds: median, and 99 of 100.
const LIMITS: (f64, f64) = (30.0, 150.0);
/// Limit for the median of the signature's verification.
const SIGNATURE_LIMIT: f64 = 30.0;
/// Limit for the decision's median.
const DECISION_LIMIT: f64 = 15.0;

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Of the catalogue, once.
    loading: u64,
    requests: usize,
    allowed: usize,
    left_out: Vec<String>,
    times: Times,
    /// The slowest request by its median: that and 99 of 100, in microseconds.
    slowest: Option<(String, f64, f64)>,
    /// Of one turn of each request, by its name and size in bytes.
    allocations: Vec<(String, u64, Allocations)>,
    /// The first request of a service that allocated most: what, and in how many nanoseconds.
    first: Option<(String, Allocated, u64)>,
}

/// Nanoseconds of every turn, by stage.
#[derive(Debug, Default)]
struct Times {
    parse: Vec<u64>,
    verify: Vec<u64>,
    classify: Vec<u64>,
    decide: Vec<u64>,
    /// Parse, classify and decide of the same call.
    whole: Vec<u64>,
}

impl Gauge for Times {
    fn stage<T>(&mut self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let (done, time) = timed(work);
        let time = nanoseconds(time);
        match stage {
            Stage::Parse => {
                self.parse.push(time);
                self.whole.push(0);
            }
            Stage::Verify => self.verify.push(time),
            Stage::Classify => self.classify.push(time),
            Stage::Decide => self.decide.push(time),
        }
        if let Some(whole) = self.whole.last_mut().filter(|_| stage != Stage::Verify) {
            *whole += time;
        }
        done
    }
}

/// What one turn allocates, by stage.
#[derive(Debug, Clone, Copy, Default)]
struct Allocations {
    parse: Allocated,
    verify: Allocated,
    classify: Allocated,
    decide: Allocated,
}

impl Gauge for Allocations {
    fn stage<T>(&mut self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let (done, allocated) = counted(work);
        match stage {
            Stage::Parse => self.parse = allocated,
            Stage::Verify => self.verify = allocated,
            Stage::Classify => self.classify = allocated,
            Stage::Decide => self.decide = allocated,
        }
        done
    }
}

impl Allocations {
    /// All before the decision.
    fn understood(&self) -> Allocated {
        self.parse.then(self.verify).then(self.classify)
    }

    fn whole(&self) -> Allocated {
        self.understood().then(self.decide)
    }
}

/// Measures in this process and thread.
pub(crate) fn measure() -> Result<Figures> {
    let (_, loading) = timed(|| black_box(catalog().services().len()));
    let mut figures = Figures { loading: nanoseconds(loading), ..Figures::default() };
    let Figures { left_out, first, .. } = &mut figures;
    let calls = calls(left_out, |line| {
        let ((reading, time), allocated) = counted(|| timed(|| read(line)));
        if first.as_ref().is_none_or(|(_, most, _)| most.bytes < allocated.bytes) {
            let name = format!("{} {}", line.truth.service, line.truth.operation);
            *first = Some((name, allocated, nanoseconds(time)));
        }
        reading
    })?;
    // Afterwards: making rules reads services, too.
    let gateway = Gateway::new()?;
    figures.requests = calls.len();
    for call in &calls {
        figures.allowed += usize::from(gateway.turn(call, &mut Times::default())?);
    }
    for _ in 0..TURNS / 10 {
        calls.iter().try_for_each(|call| gateway.turn(call, &mut Times::default()).map(drop))?;
    }
    for _ in 0..TURNS {
        calls.iter().try_for_each(|call| gateway.turn(call, &mut figures.times).map(drop))?;
    }
    figures.slowest = slowest(&calls, &figures.times.whole);
    for call in &calls {
        let mut allocations = Allocations::default();
        gateway.turn(call, &mut allocations)?;
        figures.allocations.push((call.name.clone(), call.size(), allocations));
    }
    Ok(figures)
}

/// The requests took turns, so every so many times are one request's.
fn slowest(calls: &[Call], whole: &[u64]) -> Option<(String, f64, f64)> {
    let of_one = |(first, call): (usize, &Call)| {
        let own: Vec<u64> = whole.iter().copied().skip(first).step_by(calls.len()).collect();
        (call.name.clone(), percentile(&own, 50), percentile(&own, 99))
    };
    let medians = calls.iter().enumerate().map(of_one);
    medians.max_by(|a, b| a.1.total_cmp(&b.1))
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed())
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Figures {
    /// Markdown: one row per stage.
    pub(crate) fn report(&self) -> String {
        let mut lines = vec![
            format!("| understand a call, µs; {RULES} rules | p50 | p99 | limit | |"),
            "|---|---:|---:|---|---|".to_owned(),
        ];
        let stages = [
            ("parse", &self.times.parse, None, None),
            ("verify the signature", &self.times.verify, Some(SIGNATURE_LIMIT), None),
            ("classify", &self.times.classify, None, None),
            ("decide", &self.times.decide, Some(DECISION_LIMIT), None),
            ("parse, classify and decide", &self.times.whole, Some(LIMITS.0), Some(LIMITS.1)),
        ];
        for (name, turns, median, tail) in stages {
            let (p50, p99) = (percentile(turns, 50), percentile(turns, 99));
            let limit = match (median, tail) {
                (Some(median), Some(tail)) => format!("p50 {median:.0}, p99 {tail:.0}"),
                (Some(median), None) => format!("p50 {median:.0}"),
                (None, _) => "–".to_owned(),
            };
            let met = p50 <= median.unwrap_or(f64::MAX) && p99 <= tail.unwrap_or(f64::MAX);
            let verdict = if median.is_none() {
                ""
            } else if met {
                "met"
            } else {
                "NOT met"
            };
            lines.push(format!("| {name} | {p50:.1} | {p99:.1} | {limit} | {verdict} |"));
        }
        let Self { requests, allowed, .. } = self;
        lines.push(format!("\n{requests} requests {TURNS} times each; {allowed} of them allowed."));
        if let Some((name, median, tail)) = &self.slowest {
            lines.push(format!("The slowest is {name} with p50 {median:.1} and p99 {tail:.1}."));
        }
        let loading = percentile(&[self.loading], 50) / 1e3;
        lines.push(format!("The catalogue is read in {loading:.1} ms, once, at the daemon's start."));
        lines.extend(self.allocation_lines());
        if !self.left_out.is_empty() {
            lines.push(format!("Left out, because they are refused: {}.", self.left_out.join("; ")));
        }
        lines.join("\n")
    }

    /// The most that a warm turn of any request allocates, by stage, and what it has to do with its size.
    fn allocation_lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!(
                "\n| a warm turn allocates at the most; {RULES} rules | times | bytes | largest at once |"
            ),
            "|---|---:|---:|---:|".to_owned(),
        ];
        let turns = || self.allocations.iter().map(|(_, _, turn)| *turn);
        let stages: [(&str, Vec<Allocated>); 5] = [
            ("parse", turns().map(|turn| turn.parse).collect()),
            ("verify the signature", turns().map(|turn| turn.verify).collect()),
            ("classify", turns().map(|turn| turn.classify).collect()),
            ("decide", turns().map(|turn| turn.decide).collect()),
            ("all four", turns().map(|turn| turn.whole()).collect()),
        ];
        for (name, all) in stages {
            let most = |of: fn(&Allocated) -> u64| all.iter().map(of).max().unwrap_or_default();
            let (count, bytes) = (most(|all| all.count), most(|all| all.bytes));
            lines.push(format!("| {name} | {count} | {bytes} | {} |", most(|all| all.largest)));
        }
        let by_bytes = |(_, _, turn): &&(String, u64, Allocations)| turn.whole().bytes;
        if let Some((name, size, _)) = self.allocations.iter().max_by_key(by_bytes) {
            lines.push(format!("\nThe most bytes are for {name}, a request of {size} bytes."));
        }
        let ratio = |(_, size, turn): &(String, u64, Allocations)| turn.understood().bytes / (*size).max(1);
        if let Some(most) = self.allocations.iter().map(ratio).max() {
            lines
                .push(format!("To understand it takes at the most {most} bytes for each byte of a request."));
        }
        if let Some((name, Allocated { count, bytes, .. }, time)) = &self.first {
            let time = percentile(&[*time], 50) / 1e3;
            lines.push(format!(
                "The first call of a service reads its part of the table, once: {name} allocated {count} times, \
                 {bytes} bytes, and took {time:.1} ms."
            ));
        }
        lines
    }
}

/// In microseconds.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn percentile(turns: &[u64], of_100: usize) -> f64 {
    let mut sorted = turns.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * of_100 / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default() as f64 / 1e3
}
