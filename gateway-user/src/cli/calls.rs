//! `chaperone calls`: single AWS requests and what became of them.

use std::process::ExitCode;

use serde::Serialize;
use time::OffsetDateTime;

pub(super) mod answer;

use self::answer::lines;
use super::table::{Field, Part, Screen, short_time};
use crate::{
    awscli,
    clock::Clock,
    config::Config,
    record::{
        Decision,
        query::{
            About, CallFilter, CallView, EventView, Json, MaskedView, Order, Page, QueryError, Reader,
            StatusFilter, when,
        },
    },
};

/// Look at the calls that agents made.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List calls, newest first
    List(Box<List>),
    /// Show everything that is recorded of one call
    Show {
        /// The call's id, or the beginning of it
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Which calls, and how they are printed.
#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    page: PageArgs,
}

/// Which calls.
#[derive(Debug, Clone, clap::Args)]
pub struct Which {
    /// At this time or later: 1h, 7d, today, 2026-03-01, 2026-03-01T02:15:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of this workload
    #[arg(long)]
    workload: Option<String>,
    /// Of this subject, e.g. host:claude-builds
    #[arg(long)]
    subject: Option<String>,
    /// Of this session: its id, or the beginning of it
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    #[command(flatten)]
    what: What,
    /// Ended so
    #[arg(long, value_parser = ["open", "forwarded", "denied", "failed", "aborted", "unknown"])]
    outcome: Option<String>,
    /// Answered with this HTTP status: 403, 4xx
    #[arg(long)]
    status: Option<StatusFilter>,
    /// With this text in operation, resources, parameters, rules, reason, error code or AWS request id
    #[arg(long)]
    text: Option<String>,
}

/// What a call was, whosoever made it.
#[derive(Debug, Clone, clap::Args)]
pub struct What {
    /// Needing an action like this, e.g. 's3:Get*'
    #[arg(long, value_name = "PATTERN")]
    action: Option<String>,
    /// Touching a resource whose ARN contains this
    #[arg(long, value_name = "TEXT")]
    resource: Option<String>,
    /// Decided so
    #[arg(long, value_parser = decision())]
    decision: Option<Decision>,
    /// Decided by a rule like this, e.g. 'no-*'
    #[arg(long, value_name = "PATTERN")]
    rule: Option<String>,
    /// In this account
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Of this service, e.g. s3
    #[arg(long)]
    service: Option<String>,
    /// In this region
    #[arg(long)]
    region: Option<String>,
}

/// Which part of a listing, and in which form.
#[derive(Debug, clap::Args)]
pub struct PageArgs {
    /// Rows at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Go on where an earlier page ended
    #[arg(long)]
    cursor: Option<String>,
    /// Oldest first
    #[arg(long)]
    oldest_first: bool,
    /// Print one JSON object per line
    #[arg(long)]
    pub(super) json: bool,
}

impl PageArgs {
    pub(super) fn page(&self) -> Page {
        let order = if self.oldest_first { Order::Oldest } else { Order::Newest };
        Page { limit: self.limit, cursor: self.cursor.clone(), order }
    }
}

/// Runs `chaperone calls …`.
///
/// # Errors
/// A time that is none; writing the output. What cannot be found is exit code 1.
pub async fn run(command: Command, config: &Config) -> anyhow::Result<ExitCode> {
    let now = Clock::system().now();
    Screen::stdio(async |screen| {
        let reader = Reader::open(&config.record).await?;
        execute(command, &reader, now, screen).await
    })
    .await
}

pub(super) async fn execute(
    command: Command,
    reader: &Reader,
    now: OffsetDateTime,
    screen: &mut Screen<'_>,
) -> anyhow::Result<()> {
    match command {
        Command::List(list) => {
            let listing = reader.calls(&list.which.filter(now)?, &list.page.page()).await?;
            if list.page.json {
                listing.rows.iter().try_for_each(|call| screen.json(call))?;
            } else if !listing.rows.is_empty() {
                let header =
                    ["TIME", "WORKLOAD", "DECISION", "OPERATION", "RESOURCE", "STATUS", "RULE", "CALL"];
                screen.table(&header, listing.rows.iter().map(row).collect())?;
            }
            end_of_list("calls", listing.rows.is_empty(), listing.next.as_deref(), screen)?;
        }
        Command::Show { id, json } => {
            let call = reader.call(&id).await?;
            let whole = Whole::read(call, reader).await?;
            if json { screen.json(&whole)? } else { show(&whole, screen)? }
        }
    }
    Ok(())
}

impl Which {
    /// As a filter; `now` is what relative times count from.
    pub(super) fn filter(&self, now: OffsetDateTime) -> Result<CallFilter, when::BadTime> {
        Ok(CallFilter {
            since: self.since.as_deref().map(|text| when::parse(text, now)).transpose()?,
            until: self.until.as_deref().map(|text| when::parse(text, now)).transpose()?,
            workload: self.workload.clone(),
            subject: self.subject.clone(),
            session: self.session.clone(),
            outcome: self.outcome.clone(),
            status: self.status,
            text: self.text.clone(),
            ..self.what.filter().unwrap_or_default()
        })
    }
}

impl Which {
    /// What was asked for, as options: equal for equal exports, whatever options there will be.
    pub(super) fn given(&self) -> Vec<(&'static str, String)> {
        let Self { since, until, workload, subject, session, what, outcome, status, text } = self;
        let status = status.map(|status| status.to_string());
        let own = [
            ("since", since),
            ("until", until),
            ("workload", workload),
            ("subject", subject),
            ("session", session),
            ("outcome", outcome),
            ("status", &status),
            ("text", text),
        ];
        set(own).chain(what.given()).collect()
    }
}

/// The options that are there.
fn set<'a>(
    options: impl IntoIterator<Item = (&'static str, &'a Option<String>)>,
) -> impl Iterator<Item = (&'static str, String)> {
    options.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)))
}

/// The word for a decision.
fn decision() -> impl clap::builder::TypedValueParser<Value = Decision> {
    use clap::builder::{PossibleValuesParser, TypedValueParser as _};
    PossibleValuesParser::new(Decision::ALL.map(Decision::as_str)).try_map(|word| {
        let named = Decision::ALL.into_iter().find(|decision| decision.as_str() == word);
        named.ok_or("no such decision")
    })
}

impl What {
    /// As [`Which::given`].
    fn given(&self) -> Vec<(&'static str, String)> {
        let Self { action, resource, decision, rule, account, service, region } = self;
        let decision = decision.map(|decision| decision.as_str().to_owned());
        let own = [
            ("action", action),
            ("resource", resource),
            ("decision", &decision),
            ("rule", rule),
            ("account", account),
            ("service", service),
            ("region", region),
        ];
        set(own).collect()
    }

    /// As a filter; `None` where any call will do.
    pub(super) fn filter(&self) -> Option<CallFilter> {
        let Self { action, resource, decision, rule, account, service, region } = self.clone();
        (!self.given().is_empty()).then_some(CallFilter {
            action,
            decision,
            resource,
            rule,
            account,
            service,
            region,
            ..CallFilter::default()
        })
    }
}

/// Says on standard error that there was nothing, or how to go on.
pub(super) fn end_of_list(
    what: &str,
    empty: bool,
    next: Option<&str>,
    screen: &mut Screen<'_>,
) -> std::io::Result<()> {
    if empty {
        screen.note(&format!("no {what} match"))?;
    }
    if let Some(cursor) = next {
        screen.note(&format!("there are more: --cursor {cursor}"))?;
    }
    Ok(())
}

/// `s3:GetObject`; what is not known is `?`.
pub(super) fn operation(call: &CallView) -> String {
    let known = |name: &Option<String>| name.as_deref().unwrap_or("?").to_owned();
    if call.service.is_none() && call.operation.is_none() {
        return String::new();
    }
    format!("{}:{}", known(&call.service), known(&call.operation))
}

/// The first resource, and how many more there are.
pub(super) fn resource(call: &CallView) -> String {
    let mut resources = call.resources.texts();
    resources.dedup();
    match resources.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} (+{})", rest.len()),
    }
}

/// The HTTP status; without one, how it ended.
pub(super) fn status(call: &CallView) -> String {
    call.status.map_or_else(|| call.outcome.clone(), |status| status.to_string())
}

/// The rules; without one, the reason.
pub(super) fn rule(call: &CallView) -> String {
    let rules = call.rules.texts();
    if rules.is_empty() { call.reason.clone().unwrap_or_default() } else { rules.join(", ") }
}

fn row(call: &CallView) -> Vec<Field> {
    vec![
        Field::Text(short_time(&call.time)),
        Field::Text(call.workload.clone()),
        Field::Decision(call.decision.clone()),
        Field::Text(operation(call)),
        Field::Text(resource(call)),
        Field::Text(status(call)),
        Field::Text(rule(call)),
        Field::Text(call.id.clone()),
    ]
}

/// A call with everything that belongs to it.
#[derive(Debug, Serialize)]
pub(super) struct Whole {
    #[serde(flatten)]
    pub(super) call: CallView,
    /// The command of the AWS CLI that would make it.
    pub(super) command: Option<String>,
    #[serde(flatten)]
    pub(super) about: About,
}

impl Whole {
    pub(super) async fn read(call: CallView, reader: &Reader) -> Result<Self, QueryError> {
        let about = reader.about(&call).await?;
        Ok(Self::of(call, about))
    }

    /// The same but for the events, where nobody looks at them: to find them takes reading all of the session's.
    pub(super) async fn without_events(call: CallView, reader: &Reader) -> Result<Self, QueryError> {
        let about = reader.about_without_events(&call).await?;
        Ok(Self::of(call, about))
    }

    fn of(mut call: CallView, mut about: About) -> Self {
        if let Some(bodies) = &mut about.bodies {
            // Long parameters are kept apart.
            std::mem::swap(&mut call.params, &mut bodies.params.params);
            if bodies.params.complete
                && let Some(cut) = call.truncated.0.as_array_mut()
            {
                cut.retain(|column| column != "params");
            }
        }
        Self { command: command(&call), call, about }
    }
}

/// The call as a command of the AWS CLI, where it has one for it.
pub(super) fn command(call: &CallView) -> Option<String> {
    let empty = serde_json::Map::new();
    awscli::command(&awscli::Call {
        service: call.service.as_deref()?,
        operation: call.operation.as_deref()?,
        host: call.host.as_deref(),
        region: call.region.as_deref(),
        params: call.params.0.as_object().unwrap_or(&empty),
    })
}

fn show(whole: &Whole, screen: &mut Screen<'_>) -> std::io::Result<()> {
    let mut fields = fields(&whole.call);
    fields.push(("command", Field::text(whole.command.as_ref())));
    fields.extend(whole.about.masked.iter().map(|masked| ("masked", Field::Text(masked_place(masked)))));
    fields.extend(whole.about.events.iter().map(|event| ("event", Field::Text(event_line(event)))));
    screen.fields(&fields)?;
    let About { bodies, altered, .. } = &whole.about;
    if let Some(altered) = altered {
        screen.gap()?;
        screen.line(&[Part::Loud(altered)])?;
    }
    if let Some(told) =
        bodies.as_ref().and_then(|bodies| bodies.answer.as_ref()).map(|answer| lines(answer, None))
    {
        screen.gap()?;
        screen.line(&[Part::Quiet("answer "), Part::Quiet(told.missing.as_deref().unwrap_or_default())])?;
        screen.text(&told.shown.join("\n"))?;
    }
    Ok(())
}

/// `Parameters[3].Value (Parameters[].Value)`.
pub(super) fn masked_place(masked: &MaskedView) -> String {
    let MaskedView { path, cause, count, .. } = masked;
    match (cause.as_str(), path.as_str()) {
        ("more", _) => format!("{count} more"),
        // It hides what it found, and the body around that is left.
        (cause, "") if cause.starts_with("detector:") => format!("in the body ({cause})"),
        (cause, "") => format!("the whole body ({cause})"),
        (cause, path) if cause == path => path.to_owned(),
        (cause, path) => format!("{path} ({cause})"),
    }
}

/// `revealed: an answer … {"field":"*"}`.
pub(super) fn event_line(event: &EventView) -> String {
    let plain = event.detail.0.as_object().is_some_and(serde_json::Map::is_empty);
    let detail = if plain { String::new() } else { format!(" {}", event.detail.0) };
    format!("{}: {}{detail}", event.kind, event.message)
}

fn fields(call: &CallView) -> Vec<(&'static str, Field)> {
    let list = |json: &Json| Field::Text(json.texts().join(", "));
    vec![
        ("call", Field::text(Some(&call.id))),
        ("time", Field::text(Some(&call.time))),
        ("session", Field::text(Some(&call.session))),
        ("workload", Field::text(Some(&call.workload))),
        ("subject", Field::text(Some(&call.subject))),
        ("issuer", Field::text(Some(&call.issuer))),
        ("groups", list(&call.groups)),
        ("hostname", Field::text(Some(&call.hostname))),
        ("pid", Field::text(Some(call.pid))),
        ("uid", Field::text(Some(call.uid))),
        ("operation", Field::Text(operation(call))),
        ("account", Field::text(call.account.as_ref())),
        ("region", Field::text(call.region.as_ref())),
        ("method", Field::text(call.method.as_ref())),
        ("host", Field::text(call.host.as_ref())),
        ("actions", list(&call.actions)),
        ("resources", list(&call.resources)),
        ("params", Field::text(Some(&call.params.0))),
        ("decision", Field::Decision(call.decision.clone())),
        ("rules", list(&call.rules)),
        ("reason", Field::text(call.reason.as_ref())),
        ("policy digest", Field::text(call.policy_digest.as_ref())),
        ("access key id", Field::text(call.access_key_id.as_ref())),
        ("request digest", Field::text(call.request_digest.as_ref())),
        ("outcome", Field::text(Some(&call.outcome))),
        ("ended", Field::text(call.ended.as_ref())),
        ("status", Field::text(call.status)),
        ("AWS request id", Field::text(call.aws_request_id.as_ref())),
        ("error code", Field::text(call.error_code.as_ref())),
        ("upstream", Field::text(call.upstream_us.map(|us| format!("{us} µs")))),
        ("gateway", Field::text(call.gateway_us.map(|us| format!("{us} µs")))),
        ("bytes in", Field::text(call.bytes_in)),
        ("bytes out", Field::text(call.bytes_out)),
        (
            "cut to fit",
            Field::Text([call.truncated.texts(), call.outcome_truncated.texts()].concat().join(", ")),
        ),
    ]
}

#[cfg(test)]
mod tests;
