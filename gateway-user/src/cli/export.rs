//! `chaperone export`: calls for other systems, each once.
//!
//! Calls are exported in the order in which they *ended*, and only when they have: a call that is open comes later, with
//! its outcome. Every call ends in the record, at the latest as `unknown` when the daemon starts again. So one number says
//! how far an export came: that is the cursor, and an export that goes on from it leaves nothing out and repeats nothing.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use time::OffsetDateTime;

use super::{
    calls::Which,
    progress::{Line, bar},
    table::Screen,
};
use crate::{
    clock::Clock,
    config::Config,
    record::query::{CallView, QueryError, Reader},
};

mod cloudtrail;
mod csv;
mod ocsf;

/// Calls that are read and written at once.
const AT_ONCE: u32 = 1000;

/// Export calls that have ended, in the order in which they did.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// In which form
    #[arg(long, value_enum)]
    format: Format,
    #[command(flatten)]
    which: Which,
    /// Go on where an earlier export ended
    #[arg(long)]
    cursor: Option<String>,
    /// Calls at most
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Go on where the last export to this file ended: FILE.cursor says where, and is brought up to date
    #[arg(long, requires = "output", conflicts_with = "cursor")]
    resume: bool,
}

/// How calls are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// OCSF 1.4.0, API Activity: one JSON object per line
    Ocsf,
    /// As CloudTrail has them: one {"Records":[…]} per line
    Cloudtrail,
    /// The columns of `v_calls`: one JSON object per line
    Jsonl,
    /// The columns of `v_calls`, for spreadsheets
    Csv,
}

impl Format {
    /// As it is asked for.
    fn name(self) -> &'static str {
        match self {
            Self::Ocsf => "ocsf",
            Self::Cloudtrail => "cloudtrail",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }
}

/// Runs `chaperone export`.
///
/// # Errors
/// Reading, writing, a cursor or time that is none.
pub async fn run(args: Args, config: &Config) -> anyhow::Result<ExitCode> {
    let now = Clock::system().now();
    Screen::stdio(async |screen| {
        let reader = Reader::open(&config.record).await?;
        let mut progress = Line::stderr();
        let done = match &args.output {
            None => {
                let mut out = io::BufWriter::new(io::stdout());
                execute(&args, &reader, now, &mut Place { out: &mut out, kept: None }, &mut progress).await
            }
            Some(path) => to_file(&args, path, &reader, now, &mut progress).await,
        };
        progress.clear();
        let done = done?;
        screen.note(&format!("{} calls; go on with --cursor {}", done.calls, done.cursor))?;
        Ok(())
    })
    .await
}

/// What an export did.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Done {
    calls: u64,
    cursor: String,
}

/// Where calls go.
struct Place<'a> {
    out: &'a mut dyn Write,
    /// What is kept after each page, where an export may go on by itself.
    kept: Option<Kept>,
}

/// What is exported, in a word: a file goes on with the same and nothing else. It stays the same from version to version: files have it.
fn kind(args: &Args) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    let options = args.which.given().into_iter().map(|(name, value)| format!("{name} {value:?}\n"));
    let what = format!("{}\n{}", args.format.name(), options.collect::<String>());
    hex::encode(digest(&SHA256, what.as_bytes()).as_ref().get(..8).unwrap_or_default())
}

/// The file that says how far another one came.
struct Kept {
    path: PathBuf,
    /// The file that is exported to.
    file: fs::File,
    /// Goes on in a file that has its beginning.
    again: bool,
    cursor: i64,
    kind: String,
}

impl Place<'_> {
    /// What was written stays, and then so does how far it came.
    fn keep(&mut self, cursor: i64) -> anyhow::Result<()> {
        self.out.flush()?;
        let Some(kept) = &self.kept else { return Ok(()) };
        kept.file.sync_data()?;
        let length = kept.file.metadata()?.len();
        let mut temporary = kept.path.clone().into_os_string();
        temporary.push(".new");
        let temporary = PathBuf::from(temporary);
        let mut file = fs::File::create(&temporary)?;
        writeln!(file, "{} {length} {}", text_of(cursor), kept.kind)?;
        file.sync_data()?;
        fs::rename(&temporary, &kept.path).with_context(|| kept.path.display().to_string())
    }
}

async fn to_file(
    args: &Args,
    path: &Path,
    reader: &Reader,
    now: OffsetDateTime,
    progress: &mut Line,
) -> anyhow::Result<Done> {
    let mut cursor_path = path.to_owned().into_os_string();
    cursor_path.push(".cursor");
    let cursor_path = PathBuf::from(cursor_path);
    let before = if args.resume { read_kept(&cursor_path, &kind(args))? } else { None };
    if !args.resume {
        // It would be of what the file had before.
        match fs::remove_file(&cursor_path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.with_context(|| cursor_path.display().to_string())?,
        }
    }
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    // What agents did is not everybody's to read.
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    let file = options.open(path).with_context(|| path.display().to_string())?;
    let length = file.metadata()?.len();
    match before {
        // An export that was interrupted wrote more than it knew: that comes again.
        Some((_, known)) if length >= known => file.set_len(known)?,
        Some((_, known)) => bail!(
            "{} has {length} bytes, and {} says it had {known}: it was changed; export to another file",
            path.display(),
            cursor_path.display()
        ),
        None if length > 0 && args.resume => bail!(
            "{} is there and {} is not: export to another file, or remove it",
            path.display(),
            cursor_path.display()
        ),
        None if length > 0 => file.set_len(0)?,
        None => {}
    }
    let kept = args.resume.then(|| {
        let (cursor, again) =
            (before.map_or(0, |(cursor, _)| cursor), before.is_some_and(|(_, known)| known > 0));
        anyhow::Ok(Kept { path: cursor_path, file: file.try_clone()?, again, cursor, kind: kind(args) })
    });
    let kept = kept.transpose()?;
    let mut out = io::BufWriter::new(file);
    execute(args, reader, now, &mut Place { out: &mut out, kept }, progress).await
}

/// The cursor, and how long the file was then.
fn read_kept(path: &Path, kind: &str) -> anyhow::Result<Option<(i64, u64)>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let [cursor, length, before] = words.as_slice() else { bail!("{} holds no cursor", path.display()) };
    if *before != kind {
        bail!(
            "{} is of an export of another format or with other filters: export to another file, or remove both",
            path.display()
        );
    }
    let read = number_of(cursor).zip(length.parse().ok());
    Ok(Some(read.with_context(|| format!("{} holds no cursor", path.display()))?))
}

/// Exports; `place` has everything when this returns.
async fn execute(
    args: &Args,
    reader: &Reader,
    now: OffsetDateTime,
    place: &mut Place<'_>,
    progress: &mut Line,
) -> anyhow::Result<Done> {
    let filter = args.which.filter(now)?;
    let (mut at, again) = match (&args.cursor, &place.kept) {
        (Some(text), _) => (number_of(text).ok_or_else(|| QueryError::BadCursor(text.clone()))?, true),
        (None, Some(kept)) => (kept.cursor, kept.again),
        (None, None) => (0, false),
    };
    let until = reader.settled().await?.outcomes;
    if at > until {
        // Of another database, or of one that was restored.
        return Err(QueryError::BadCursor(text_of(at)).into());
    }
    // A file that goes on has its header; standard output gets it with every export.
    let headed = again && args.output.is_some() && args.resume;
    if args.format == Format::Csv && !headed {
        csv::header(place.out)?;
    }
    let (from, mut calls) = (at, 0_u64);
    loop {
        let left = args.limit.map_or(u64::from(AT_ONCE), |limit| (limit - calls).min(u64::from(AT_ONCE)));
        let limit = u32::try_from(left).unwrap_or(AT_ONCE);
        let rows = reader.ended(&filter, (at, until), limit).await?;
        write(args.format, &rows, place.out)?;
        calls += rows.len() as u64;
        let full = rows.len() >= limit as usize;
        // Where there are no more, everything up to the mark was looked at.
        at = rows.last().filter(|_| full).and_then(|row| row.outcome_seq).unwrap_or(until);
        place.keep(at)?;
        progress.show(&format!("{}  {calls} calls", bar(at.abs_diff(from), until.abs_diff(from))));
        if !full || args.limit == Some(calls) {
            return Ok(Done { calls, cursor: text_of(at) });
        }
    }
}

fn write(format: Format, rows: &[CallView], out: &mut dyn Write) -> anyhow::Result<()> {
    let mut line = |value: &dyn erased::Line| -> anyhow::Result<()> {
        // As what went wrong with the place, so that a closed pipe is seen to be one.
        value.write(out).map_err(io::Error::from)?;
        out.write_all(b"\n")?;
        Ok(())
    };
    match format {
        Format::Jsonl => rows.iter().try_for_each(|call| line(call)),
        Format::Ocsf => rows.iter().try_for_each(|call| line(&ocsf::event(call))),
        Format::Cloudtrail if rows.is_empty() => Ok(()),
        Format::Cloudtrail => line(&cloudtrail::records(rows)),
        Format::Csv => rows.iter().try_for_each(|call| csv::row(call, out)),
    }
}

/// Anything that is written as one line of JSON.
mod erased {
    use std::io::Write;

    pub(super) trait Line {
        fn write(&self, out: &mut dyn Write) -> serde_json::Result<()>;
    }

    impl<T: serde::Serialize> Line for T {
        fn write(&self, out: &mut dyn Write) -> serde_json::Result<()> {
            serde_json::to_writer(out, self)
        }
    }
}

/// A cursor as people carry it.
fn text_of(seq: i64) -> String {
    format!("e-{seq}")
}

fn number_of(text: &str) -> Option<i64> {
    let digits = text.strip_prefix("e-")?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// A stored time in milliseconds since 1970.
fn milliseconds(stamp: &str) -> Option<i64> {
    use time::format_description::well_known::Rfc3339;
    let time = OffsetDateTime::parse(stamp, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// The name of a service in the manner of CloudTrail: `secretsmanager.amazonaws.com`, which is IAM's prefix but for CloudWatch.
///
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>
fn event_source(call: &CallView) -> String {
    let service = match call.service.as_deref() {
        Some("cloudwatch") => "monitoring",
        Some(service) => service,
        None => "unknown",
    };
    format!("{service}.amazonaws.com")
}

/// Whether the request left and what AWS answered is not known: the status is the gateway's own, and the call may have taken
/// effect.
fn is_answer_unknown(call: &CallView) -> bool {
    call.outcome == "failed" && call.upstream_us.is_some()
}

/// What went wrong: AWS's word, or policy's.
fn error_code(call: &CallView) -> Option<String> {
    let told = call.error_code.clone().filter(|_| !is_answer_unknown(call));
    told.or_else(|| (!was_made(call)).then(|| "AccessDenied".to_owned()))
}

/// Why a call was not made. What policy had against one that was only observed is no error.
fn refusal(call: &CallView) -> Option<&str> {
    call.reason.as_deref().filter(|_| !was_made(call))
}

/// Whether the call was made, policy permitting or not.
fn was_made(call: &CallView) -> bool {
    matches!(call.decision.as_str(), "allow" | "observed")
}

#[cfg(test)]
mod tests;
