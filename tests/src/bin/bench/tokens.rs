//! What it takes to believe a token, with the issuer's keys at hand.
//!
//! The tokens are a real provider's; nothing is asked of it while the time is taken.

use std::{hint::black_box, time::Instant};

use anyhow::Result;
use chaperone_tests::harness::{Oidc, Wanted};
use gateway_user::{clock::Clock, issuer::Issuers};

use crate::understand::percentile;

/// Times that each token is checked, after a tenth as many to warm up.
const TURNS: usize = 10_000;
/// What a check may take, in microseconds.
const LIMIT: f64 = 100.0;
/// What providers sign with, nearly all of them.
const ALGORITHMS: [&str; 2] = ["RS256", "ES256"];

/// Nanoseconds of every check, by algorithm.
#[derive(Debug)]
pub(crate) struct Figures([(&'static str, Vec<u64>); 2]);

/// Measures in this process.
pub(crate) fn measure() -> Result<Figures> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let oidc = Oidc::start()?;
        let issuers = Issuers::new(&[oidc.config("bench")?], Clock::system())?;
        let name = "bench".parse()?;
        let mut tokens = Vec::new();
        for alg in ALGORITHMS {
            let wanted = Wanted { alg, ..Wanted::default() }.claim("groups", vec!["readers", "night-builds"]);
            tokens.push(oidc.token(&wanted).await?);
        }
        let mut figures = Figures(ALGORITHMS.map(|alg| (alg, Vec::with_capacity(TURNS))));
        for turn in 0..TURNS / 10 + TURNS {
            // In turns, so that all see the same machine.
            for (token, (_, times)) in tokens.iter().zip(&mut figures.0) {
                let start = Instant::now();
                black_box(issuers.verify(&name, token).await?);
                let took = start.elapsed();
                if turn >= TURNS / 10 {
                    times.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
                }
            }
        }
        Ok(figures)
    })
}

impl Figures {
    /// Markdown: one row per algorithm.
    pub(crate) fn report(&self) -> String {
        let mut lines = vec![
            "| check a token, its issuer's keys at hand, µs | p50 | p99 | limit | |".to_owned(),
            "|---|---:|---:|---|---|".to_owned(),
        ];
        for (alg, times) in &self.0 {
            let (median, tail) = (percentile(times, 50), percentile(times, 99));
            let verdict = if median <= LIMIT { "met" } else { "NOT met" };
            lines.push(format!("| {alg} | {median:.0} | {tail:.0} | p50 {LIMIT:.0} | {verdict} |"));
        }
        lines.join("\n")
    }
}
