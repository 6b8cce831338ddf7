//! How records are shown: as a table that fits the terminal, as fields, or as JSON lines.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::record::query::{QueryError, when::BadTime};

/// Exit code of a command line that makes no sense (sysexits.h).
const EX_USAGE: u8 = 64;

/// Where a command prints, and what the place can show.
pub struct Screen<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    /// Columns of the terminal; `None` where lines may have any length.
    width: Option<u16>,
    color: bool,
}

/// One cell of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// Text; what could steer a terminal is shown, not obeyed.
    Text(String),
    /// A decision, in its colour.
    Decision(String),
}

/// A part of a line.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// As it is.
    Plain(&'a str),
    /// In the background.
    Quiet(&'a str),
    /// In the foreground.
    Loud(&'a str),
    /// A decision, in its colour; spaces after it fill a column.
    Decision(&'a str),
}

/// The colour of a decision, as terminals know it.
fn style(decision: &str) -> &'static str {
    match decision {
        "allow" => "32",
        "deny" => "31",
        _ => "33",
    }
}

impl Field {
    /// A text, or nothing.
    #[must_use]
    pub fn text(text: Option<impl ToString>) -> Self {
        Self::Text(text.map(|text| text.to_string()).unwrap_or_default())
    }
}

impl<'a> Screen<'a> {
    /// A screen of the given abilities.
    pub fn new(out: &'a mut dyn Write, err: &'a mut dyn Write, width: Option<u16>, color: bool) -> Self {
        Self { out, err, width, color }
    }

    /// Runs `command` on this process's terminal or pipe. Colour is for terminals only, and not where
    /// `NO_COLOR` is set (<https://no-color.org>).
    ///
    /// What cannot be found or read is said on standard error and ends with exit code 1, a time that is
    /// none with 64. A reader that
    /// closes the pipe early, as `head` does, is no error.
    ///
    /// # Errors
    /// Whatever else the command fails with.
    pub async fn stdio(
        command: impl AsyncFnOnce(&mut Screen<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        let terminal = io::stdout().is_terminal();
        let color = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let width = if terminal { Table::new().width() } else { None };
        let (mut out, mut err) = (io::BufWriter::new(io::stdout()), io::stderr());
        let mut screen = Screen::new(&mut out, &mut err, width, color);
        let result = command(&mut screen).await;
        let result = result.and_then(|()| Ok(screen.out.flush()?));
        match result {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) if is_closed_pipe(&error) => Ok(ExitCode::SUCCESS),
            Err(error) if error.is::<QueryError>() => {
                screen.note(&format!("error: {error}"))?;
                Ok(ExitCode::FAILURE)
            }
            Err(error) if error.is::<BadTime>() => {
                screen.note(&format!("error: {error}"))?;
                Ok(ExitCode::from(EX_USAGE))
            }
            Err(error) => Err(error),
        }
    }

    /// Prints a table. Rows that are shorter than the header are padded.
    ///
    /// # Errors
    /// Writing.
    pub fn table(&mut self, header: &[&str], rows: Vec<Vec<Field>>) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        match self.width {
            Some(width) => table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        if self.color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(header.iter().copied());
        table.add_rows(rows.into_iter().map(|row| row.into_iter().map(cell)));
        table.column_iter_mut().for_each(|column| _ = column.set_padding((0, 2)));
        for line in table.lines() {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Prints a name and a value per line; fields without a value are left out.
    ///
    /// # Errors
    /// Writing.
    pub fn fields(&mut self, fields: &[(&str, Field)]) -> io::Result<()> {
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, field) in fields {
            let (Field::Text(value) | Field::Decision(value)) = field;
            if !value.is_empty() {
                writeln!(self.out, "{name:width$}  {}", printable(value))?;
            }
        }
        Ok(())
    }

    /// Prints an empty line.
    ///
    /// # Errors
    /// Writing.
    pub fn gap(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }

    /// Prints a line of parts, each in its colour.
    ///
    /// # Errors
    /// Writing.
    pub fn line(&mut self, parts: &[Part<'_>]) -> io::Result<()> {
        for part in parts {
            let (text, style) = match *part {
                Part::Plain(text) => (text, ""),
                Part::Quiet(text) => (text, "2"),
                Part::Loud(text) => (text, "1"),
                Part::Decision(text) => (text.trim_end(), style(text.trim_end())),
            };
            if self.color && !style.is_empty() {
                write!(self.out, "\u{1b}[{style}m{}\u{1b}[0m", printable(text))?;
            } else {
                write!(self.out, "{}", printable(text))?;
            }
            if let Part::Decision(text) = *part {
                write!(self.out, "{}", text.get(text.trim_end().len()..).unwrap_or_default())?;
            }
        }
        writeln!(self.out)
    }

    /// Prints a text of several lines.
    ///
    /// # Errors
    /// Writing.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        text.lines().try_for_each(|line| writeln!(self.out, "{}", printable(line)))
    }

    /// Hands over what was printed so far.
    ///
    /// # Errors
    /// Writing.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Prints one JSON object on a line of its own.
    ///
    /// # Errors
    /// Writing.
    pub fn json(&mut self, row: &impl Serialize) -> io::Result<()> {
        let line = serde_json::to_string(row)?;
        writeln!(self.out, "{line}")
    }

    /// Says something beside the output.
    ///
    /// # Errors
    /// Writing.
    pub fn note(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.err, "{text}")
    }
}

fn cell(field: Field) -> Cell {
    match field {
        Field::Text(text) => Cell::new(printable(&text)),
        Field::Decision(decision) => {
            let color = match decision.as_str() {
                "allow" => Color::Green,
                "deny" => Color::Red,
                _ => Color::Yellow,
            };
            Cell::new(printable(&decision)).fg(color)
        }
    }
}

/// `text` without anything that moves a cursor, changes a colour or turns the direction of writing: much
/// of a record was chosen by an agent.
#[must_use]
pub fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars()
        .flat_map(|c| {
            let (shown, escaped) = if steers(c) { (None, Some(c.escape_unicode())) } else { (Some(c), None) };
            shown.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}

/// A stored time as people read it: `2026-03-01 02:15:00Z`.
#[must_use]
pub fn short_time(stamp: &str) -> String {
    match stamp.split_at_checked(19) {
        Some((seconds, _)) => format!("{}Z", seconds.replacen('T', " ", 1)),
        None => stamp.to_owned(),
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Runs `command` and returns what it printed on both streams.
    pub(in crate::cli) async fn printed(
        width: Option<u16>,
        color: bool,
        command: impl AsyncFnOnce(&mut Screen<'_>) -> anyhow::Result<()>,
    ) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        command(&mut Screen::new(&mut out, &mut err, width, color)).await.unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    async fn sample(width: Option<u16>, color: bool) -> String {
        let row = |decision: &str, text: &str| {
            vec![Field::Decision(decision.to_owned()), Field::Text(text.to_owned())]
        };
        let rows = vec![row("allow", "arn:aws:s3:::builds/app.tar"), row("deny", "*")];
        printed(width, color, async |screen| Ok(screen.table(&["DECISION", "RESOURCE"], rows)?)).await.0
    }

    #[tokio::test]
    async fn a_pipe_gets_whole_lines_without_colour() {
        insta::assert_snapshot!(sample(None, false).await, @r"
         DECISION  RESOURCE
         allow     arn:aws:s3:::builds/app.tar
         deny      *
        ");
    }

    #[tokio::test]
    async fn a_narrow_terminal_wraps() {
        let text = sample(Some(28), false).await;
        assert!(text.lines().all(|line| line.chars().count() <= 28), "{text}");
        assert!(text.lines().count() > 3, "{text}");
    }

    #[tokio::test]
    async fn decisions_are_coloured_on_terminals_only() {
        assert!(!sample(Some(80), false).await.contains('\u{1b}'));
        let text = sample(Some(80), true).await;
        assert!(text.contains("\u{1b}[38;5;10m") && text.contains("\u{1b}[38;5;9m"), "{text:?}");
    }

    async fn check_exit(error: anyhow::Error, expected: u8) {
        let code = Screen::stdio(async |_| Err(error)).await.unwrap();
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(expected)));
    }

    #[tokio::test]
    async fn failures_have_their_exit_codes() {
        check_exit(QueryError::Unknown { kind: "call", id: "c-1".to_owned() }.into(), 1).await;
        check_exit(
            crate::record::query::when::parse("soon", time::OffsetDateTime::UNIX_EPOCH).unwrap_err().into(),
            64,
        )
        .await;
        check_exit(io::Error::from(io::ErrorKind::BrokenPipe).into(), 0).await;
        assert!(Screen::stdio(async |_| Err(anyhow::anyhow!("anything else"))).await.is_err());
    }

    #[test]
    fn a_record_cannot_steer_the_terminal() {
        assert_eq!(printable("Übung 1"), "Übung 1");
        assert_eq!(printable("a\u{1b}[2Jb\r\n"), r"a\u{1b}[2Jb\u{d}\u{a}");
        assert_eq!(printable("x\u{202e}y\u{9b}z"), r"x\u{202e}y\u{9b}z");
    }

    #[test]
    fn times_are_shortened() {
        assert_eq!(short_time("2026-03-01T02:15:00.123456Z"), "2026-03-01 02:15:00Z");
        assert_eq!(short_time("odd"), "odd");
    }
}
