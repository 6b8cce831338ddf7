//! How fast answers pass in which nothing is hidden, on one core, beside a reader of the same text that keeps nothing.

use std::{hint::black_box, time::Instant};

use anyhow::{Result, ensure};
use chaperone_tests::{
    allocation::peak,
    masking::{CHUNK, DOCUMENTS, Document, Everything, Written},
};
use gateway_user::mask::Masker;
use quick_xml::{Reader, events::Event};
use serde::de::IgnoredAny;

use crate::understand::percentile;

/// Bytes of each answer.
const LENGTH: u64 = 8 << 20;
/// Times that each is masked, after two to warm up.
const TURNS: usize = 25;
/// MB/s wanted.
const JSON: f64 = 400.0;
/// MB/s wanted.
const XML: f64 = 250.0;
/// Bytes that one stream may hold.
const MEMORY: u64 = 1 << 20;

/// What was measured, by document.
#[derive(Debug)]
pub(crate) struct Figures(Vec<Figure>);

#[derive(Debug)]
struct Figure {
    document: Document,
    planned: bool,
    bytes: usize,
    /// Nanoseconds of every turn.
    masked: Vec<u64>,
    read: Vec<u64>,
    /// Bytes in use at once, while it is masked.
    memory: u64,
}

/// Measures in this thread.
pub(crate) fn measure() -> Result<Figures> {
    let everything = Everything::new()?;
    let mut figures = Vec::new();
    for document in DOCUMENTS {
        let mut text = Vec::new();
        document.stream(LENGTH, |chunk| {
            text.extend_from_slice(chunk);
            Ok(())
        })?;
        let mut figure = Figure {
            document,
            planned: everything.has_plan(&document),
            bytes: text.len(),
            masked: Vec::new(),
            read: Vec::new(),
            memory: 0,
        };
        let mut out = Vec::with_capacity(2 * CHUNK);
        for turn in 0..2 + TURNS {
            // In turns, so that both see the same machine.
            let start = Instant::now();
            let (passed, memory) = peak(|| mask(everything.masker(&document)?, &text, &mut out));
            let masked = start.elapsed();
            ensure!(passed? == text.len(), "{}: something was hidden", document.name());
            let start = Instant::now();
            read(&document, &text)?;
            let read = start.elapsed();
            if turn >= 2 {
                figure.masked.push(u64::try_from(masked.as_nanos()).unwrap_or(u64::MAX));
                figure.read.push(u64::try_from(read.as_nanos()).unwrap_or(u64::MAX));
                figure.memory = figure.memory.max(memory);
            }
        }
        figures.push(figure);
    }
    Ok(Figures(figures))
}

/// As a connection does it: part after part, each passed on before the next.
fn mask(mut masker: Masker, text: &[u8], out: &mut Vec<u8>) -> Result<usize> {
    let mut passed = 0;
    for chunk in text.chunks(CHUNK) {
        out.clear();
        masker.push(chunk, out)?;
        passed += black_box(out.as_slice()).len();
    }
    out.clear();
    masker.finish(out)?;
    Ok(passed + out.len())
}

/// What others take to read it, and keep nothing.
fn read(document: &Document, text: &[u8]) -> Result<()> {
    match document.written {
        Written::Json => {
            black_box(serde_json::from_slice::<IgnoredAny>(text)?);
        }
        Written::Xml => {
            let mut reader = Reader::from_reader(text);
            while !matches!(black_box(reader.read_event()?), Event::Eof) {}
        }
    }
    Ok(())
}

impl Figures {
    /// Markdown: one row per document.
    pub(crate) fn report(&self) -> String {
        let mut lines = vec![
            "| mask an answer, one core | MB/s | of a reader's | bytes held | limit | |".to_owned(),
            "|---|---:|---:|---:|---|---|".to_owned(),
        ];
        lines.extend(self.0.iter().map(Figure::line));
        lines.join("\n")
    }
}

impl Figure {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn line(&self) -> String {
        let (masked, read) = (percentile(&self.masked, 50), percentile(&self.read, 50));
        // Bytes in a microsecond are MB in a second.
        let throughput = self.bytes as f64 / masked;
        let (kind, limit) = match self.document.written {
            Written::Json => ("JSON", JSON),
            Written::Xml => ("XML", XML),
        };
        let verdict = if throughput >= limit && self.memory <= MEMORY { "met" } else { "NOT met" };
        let plan = if self.planned { "plan and detectors" } else { "detectors" };
        format!(
            "| {kind}, `{}`: {plan} | {throughput:.0} | {:.2}× | {} | {limit:.0} MB/s, 1 MiB | {verdict} |",
            self.document.name(),
            read / masked,
            self.memory
        )
    }
}
