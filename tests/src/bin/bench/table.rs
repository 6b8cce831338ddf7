//! The report: medians, ratios, and the table in the documentation.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use crate::{
    legs::{Measure, Sample},
    memory::Memory,
};

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// Markdown: one row per measurement, one column per leg, each with its ratio to the direct leg.
pub(crate) fn report(
    measures: &[Measure],
    legs: &[&'static str],
    samples: &[Sample],
    memory: Option<&Memory>,
) -> String {
    let mut lines =
        vec![format!("| | {} |", legs.join(" | ")), format!("|---|{}", "---:|".repeat(legs.len()))];
    for measure in measures {
        for row in Row::of(*measure) {
            let direct = median(samples, *measure, "direct", *row);
            let cells = legs.iter().map(|leg| row.cell(median(samples, *measure, leg, *row), direct));
            lines.push(format!(
                "| {}: {} | {} |",
                measure.name(),
                row.unit(),
                cells.collect::<Vec<_>>().join(" | ")
            ));
        }
    }
    if let Some(memory) = memory {
        lines.extend(["".into(), "| chaperone | | limit | |".into(), "|---|---:|---:|---|".into()]);
        lines.extend(memory.lines());
    }
    lines.join("\n")
}

/// Replaces the table in a Markdown file.
pub(crate) fn write(file: &Path, report: &str) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let (before, rest) = text.split_once(BEGIN).context("the file has no place for the table")?;
    let (_, after) = rest.split_once(END).context("the place for the table has no end")?;
    fs::write(file, format!("{before}{BEGIN}\n{report}\n{END}{after}"))?;
    println!("written into {}", file.display());
    Ok(())
}

/// What a row of the table shows.
#[derive(Debug, Clone, Copy)]
enum Row {
    PerSecond,
    Median,
    Added,
    Tail,
    Cpu,
    Sqlite,
    Throughput,
}

impl Row {
    fn of(measure: Measure) -> &'static [Self] {
        match measure {
            Measure::Post(..) => {
                &[Self::PerSecond, Self::Median, Self::Added, Self::Tail, Self::Cpu, Self::Sqlite]
            }
            Measure::Connect(_) => &[Self::PerSecond, Self::Cpu],
            Measure::Download(_) | Measure::Upload(_) => &[Self::Throughput],
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::PerSecond => "per second",
            Self::Median => "p50 µs",
            Self::Added => "added latency, p50 µs",
            Self::Tail => "p99 µs",
            Self::Cpu => "CPU µs of the proxy each",
            Self::Sqlite => "of which in SQLite's thread",
            Self::Throughput => "MB/s",
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn value(self, sample: &Sample) -> f64 {
        match self {
            Self::PerSecond => sample.report.per_second,
            Self::Median | Self::Added => sample.report.p50_us,
            Self::Tail => sample.report.p99_us,
            Self::Cpu => sample.cpu.as_secs_f64() * 1e6 / sample.report.requests.max(1) as f64,
            Self::Sqlite => sample.sqlite.as_secs_f64() * 1e6 / sample.report.requests.max(1) as f64,
            Self::Throughput => sample.report.mb_per_second,
        }
    }

    fn cell(self, value: f64, direct: f64) -> String {
        match self {
            Self::Added if value <= direct => "–".to_owned(),
            Self::Added => format!("{:.0}", value - direct),
            Self::Cpu | Self::Sqlite if value == 0.0 => "–".to_owned(),
            Self::Cpu | Self::Sqlite => format!("{value:.0}"),
            Self::PerSecond | Self::Median | Self::Tail | Self::Throughput if direct > 0.0 => {
                format!("{value:.0} ({:.2}×)", value / direct)
            }
            Self::PerSecond | Self::Median | Self::Tail | Self::Throughput => format!("{value:.0}"),
        }
    }
}

fn median(samples: &[Sample], measure: Measure, leg: &str, row: Row) -> f64 {
    let mut values: Vec<f64> = samples
        .iter()
        .filter(|sample| sample.leg == leg && sample.measure == measure)
        .map(|sample| row.value(sample))
        .collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
