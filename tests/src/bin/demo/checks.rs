//! Counting and printing checks.

use std::process::ExitCode;

use anyhow::Result;

/// What was checked so far.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    passed: usize,
    failed: usize,
}

impl Checks {
    /// Prints one check: what must hold, and what was seen or what went wrong.
    pub(crate) fn add(&mut self, what: &str, outcome: Result<String>) {
        match outcome {
            Ok(seen) => {
                self.passed += 1;
                println!("✓ {what}{}", detail(&seen));
            }
            Err(error) => {
                self.failed += 1;
                println!("✗ {what}{}", detail(&format!("{error:#}")));
            }
        }
    }

    /// The closing line and the exit code.
    pub(crate) fn close(&self) -> ExitCode {
        println!("demo: {} checks passed, {} failed", self.passed, self.failed);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn detail(text: &str) -> String {
    text.trim().lines().map(|line| format!("\n    {line}")).collect()
}
