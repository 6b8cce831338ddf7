//! `chaperone sessions replay`: a session as a story.

use std::{collections::VecDeque, io};

use serde::Serialize;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{claims, command_line};
use crate::{
    cli::{
        calls::{Whole, answer::lines, event_line, masked_place},
        table::{Part, Screen, short_time},
    },
    record::query::{
        CallFilter, CallView, EventFilter, EventView, Order, Page, QueryError, Reader, SessionView,
    },
};

/// Rows that are read at once.
const AT_ONCE: u32 = 500;
/// Lines of an answer, unless all are wanted.
const LINES: usize = 8;
/// Signs of a session's id that tell it from others: up to the millisecond in which it began. Commands take them for the id.
const SESSION: usize = "s-".len() + 12;
/// Where what belongs to a line stands.
const INDENT: &str = "                    ";

/// How it is told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Form {
    pub(super) full: bool,
    pub(super) json: bool,
}

/// Beside what a line stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Beside<'a> {
    /// How long after the start of the one session that is told of.
    Start(&'a str),
    /// When it was.
    Time,
    /// Whose it is, and when it was: all sessions are told of.
    Whose,
}

/// One thing of the story, as JSON.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Told<'a> {
    Session(&'a SessionView),
    Call(&'a Whole),
    Event(&'a EventView),
}

/// Tells the session from its beginning to its end, or to now.
pub(super) async fn run(
    reader: &Reader,
    id: &str,
    form: Form,
    screen: &mut Screen<'_>,
) -> anyhow::Result<()> {
    let session = reader.session(id).await?;
    if form.json {
        screen.json(&Told::Session(&session))?
    } else {
        head(&session, screen)?
    }
    let mut calls = Calls::of(&session);
    let mut events = Events::of(&session);
    loop {
        calls.fill(reader).await?;
        events.fill(reader).await?;
        let (call, event) = (calls.rows.front(), events.rows.front());
        let event_first = match (call, event) {
            (None, None) => break,
            (Some(_), None) => false,
            (None, Some(_)) => true,
            (Some(call), Some(event)) => event.time < call.time,
        };
        if event_first {
            if let Some(event) = events.rows.pop_front() {
                tell_event(&event, Beside::Start(&session.started), form, screen)?;
            }
        } else if let Some(call) = calls.rows.pop_front() {
            let whole = whole(call, reader, form).await?;
            tell(&whole, Beside::Start(&session.started), form, screen)?;
        }
    }
    if !form.json {
        foot(&session, screen)?;
    }
    Ok(())
}

/// A listing, page by page.
struct Source<T, F> {
    filter: F,
    page: Page,
    rows: VecDeque<T>,
    over: bool,
}

type Calls = Source<CallView, CallFilter>;
type Events = Source<EventView, EventFilter>;

impl<T, F> Source<T, F> {
    fn new(filter: F) -> Self {
        let page = Page { limit: AT_ONCE, cursor: None, order: Order::Oldest };
        Self { filter, page, rows: VecDeque::new(), over: false }
    }

    fn add(&mut self, listing: crate::record::query::Listing<T>) {
        self.rows.extend(listing.rows);
        self.over = listing.next.is_none();
        self.page.cursor = listing.next;
    }
}

impl Calls {
    fn of(session: &SessionView) -> Self {
        Self::new(CallFilter { session: Some(session.id.clone()), ..CallFilter::default() })
    }

    async fn fill(&mut self, reader: &Reader) -> Result<(), QueryError> {
        if self.rows.is_empty() && !self.over {
            let listing = reader.calls(&self.filter, &self.page).await?;
            self.add(listing);
        }
        Ok(())
    }
}

impl Events {
    fn of(session: &SessionView) -> Self {
        Self::new(EventFilter { session: Some(session.id.clone()), ..EventFilter::default() })
    }

    async fn fill(&mut self, reader: &Reader) -> Result<(), QueryError> {
        if self.rows.is_empty() && !self.over {
            let listing = reader.events(&self.filter, &self.page).await?;
            self.add(listing);
        }
        Ok(())
    }
}

fn head(session: &SessionView, screen: &mut Screen<'_>) -> io::Result<()> {
    let groups = session.groups.texts().join(", ");
    let in_groups = if groups.is_empty() { String::new() } else { format!(", in {groups}") };
    let claims = claims(&session.claims);
    let with = if claims.is_empty() { String::new() } else { format!(", with {claims}") };
    let mut line = |name: &str, text: &str| screen.line(&[Part::Quiet(name), Part::Plain(text)]);
    line("session   ", &session.id)?;
    line(
        "who       ",
        &format!("{} as {} (by {}){in_groups}{with}", session.workload, session.subject, session.issuer),
    )?;
    if !session.command.texts().is_empty() {
        line("command   ", &command_line(&session.command))?;
    }
    line("where     ", &format!("{}, /{}", session.hostname, session.cgroup_path))?;
    line("started   ", &short_time(&session.started))?;
    line("calls     ", &format!("{}, {} of them not allowed", session.calls, session.denied))?;
    screen.gap()
}

fn foot(session: &SessionView, screen: &mut Screen<'_>) -> io::Result<()> {
    let Some(ended) = &session.ended else {
        return screen.line(&[Part::Quiet("the session is open")]);
    };
    let reason = session.end_reason.as_deref().unwrap_or("for no known reason");
    let at = Beside::Start(&session.started).time(ended);
    screen.line(&[Part::Quiet(&at), Part::Loud("ended    "), Part::Plain(reason)])
}

/// What is told of a call: its events stand in the text by themselves.
pub(super) async fn whole(call: CallView, reader: &Reader, form: Form) -> Result<Whole, QueryError> {
    if form.json { Whole::read(call, reader).await } else { Whole::without_events(call, reader).await }
}

/// A call: what was asked, what was said, what came of it.
pub(super) fn tell(whole: &Whole, beside: Beside<'_>, form: Form, screen: &mut Screen<'_>) -> io::Result<()> {
    if form.json {
        return screen.json(&Told::Call(whole));
    }
    let Whole { call, command, about } = whole;
    let what = command.clone().unwrap_or_else(|| unnamed(call));
    let (whose, at) = (beside.whose(Some(&call.workload), Some(&call.session)), beside.time(&call.time));
    let decision = format!("{:<9}", call.decision);
    screen.line(&[Part::Plain(&whose), Part::Quiet(&at), Part::Decision(&decision), Part::Loud(&what)])?;
    let mut say = |text: &str| screen.line(&[Part::Plain(&whose), Part::Plain(INDENT), Part::Quiet(text)]);
    if let Some(why) = why(call) {
        say(&why)?;
    }
    say(&came_of_it(call))?;
    if !about.masked.is_empty() {
        let places: Vec<String> = about.masked.iter().map(masked_place).collect();
        say(&format!("masked: {}", places.join(", ")))?;
    }
    if let Some(altered) = &about.altered {
        say(&format!("! {altered}: run `chaperone verify`"))?;
    }
    if let Some(answer) = about.bodies.as_ref().and_then(|bodies| bodies.answer.as_ref()) {
        let told = lines(answer, (!form.full).then_some(LINES));
        told.shown.iter().try_for_each(|line| say(&format!("| {line}")))?;
        told.missing.iter().try_for_each(|missing| say(&format!("| … {missing}")))?;
    }
    Ok(())
}

/// An event, beside the calls.
pub(super) fn tell_event(
    event: &EventView,
    beside: Beside<'_>,
    form: Form,
    screen: &mut Screen<'_>,
) -> io::Result<()> {
    if form.json {
        return screen.json(&Told::Event(event));
    }
    let whose = beside.whose(event.workload.as_deref(), event.session.as_deref());
    let (at, line) = (beside.time(&event.time), event_line(event));
    screen.line(&[Part::Plain(&whose), Part::Quiet(&at), Part::Decision("event    "), Part::Plain(&line)])
}

/// A call that no command of the AWS CLI makes.
fn unnamed(call: &CallView) -> String {
    match (&call.service, &call.operation) {
        (Some(service), Some(operation)) => format!("{service}:{operation} {}", call.params.0),
        _ => format!(
            "{} https://{}/…",
            call.method.as_deref().unwrap_or("?"),
            call.host.as_deref().unwrap_or("?")
        ),
    }
}

/// The rules, and the reason.
fn why(call: &CallView) -> Option<String> {
    let rules = call.rules.texts().join(", ");
    match (rules.is_empty(), &call.reason) {
        (true, None) => None,
        (true, Some(reason)) => Some(reason.clone()),
        (false, None) => Some(format!("by {rules}")),
        (false, Some(reason)) => Some(format!("by {rules}: {reason}")),
    }
}

/// How it ended, how long it took, how much it was.
fn came_of_it(call: &CallView) -> String {
    let mut parts = vec![match (call.outcome.as_str(), call.status) {
        ("forwarded" | "denied", Some(status)) => status.to_string(),
        (outcome, Some(status)) => format!("{outcome} {status}"),
        (outcome, None) => outcome.to_owned(),
    }];
    parts.extend(call.error_code.clone());
    parts.extend(call.upstream_us.map(|us| format!("{} at AWS", milliseconds(us))));
    parts.extend(call.gateway_us.map(|us| format!("{} here", milliseconds(us))));
    parts.extend(call.bytes_out.map(|bytes| format!("{bytes} bytes")));
    parts.extend(call.aws_request_id.clone());
    parts.push(call.id.clone());
    let cut = call.truncated.texts().join(", ");
    if !cut.is_empty() {
        parts.push(format!("cut to fit: {cut}"));
    }
    parts.join(" · ")
}

fn milliseconds(us: i64) -> String {
    format!("{}.{} ms", us / 1000, us % 1000 / 100)
}

impl Beside<'_> {
    /// `+0:14:10  `, since the start of the session; without one, the time.
    fn time(self, time: &str) -> String {
        let since = match self {
            Self::Start(since) => Some(since),
            Self::Time | Self::Whose => None,
        };
        let parse = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
        match (parse(time), since.and_then(parse)) {
            (Some(time), Some(since)) => {
                let passed = (time - since).max(Duration::ZERO).whole_seconds();
                let text = format!("+{}:{:02}:{:02}", passed / 3600, passed / 60 % 60, passed % 60);
                format!("{text:<11}")
            }
            _ => format!("{:<22}", short_time(time)),
        }
    }

    /// `claude-builds    s-019d3c5e7a2b  `; nothing where one session is told of.
    fn whose(self, workload: Option<&str>, session: Option<&str>) -> String {
        match self {
            Self::Start(_) | Self::Time => String::new(),
            Self::Whose => {
                let session = session.map(|id| id.get(..SESSION).unwrap_or(id));
                format!("{:<16} {:<SESSION$}  ", workload.unwrap_or("-"), session.unwrap_or("-"))
            }
        }
    }
}
