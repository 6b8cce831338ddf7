//! CSV for spreadsheets.
//!
//! RFC 4180: a header, lines that end with CR LF, and quotation marks around whatever holds a comma, a quotation mark or an
//! end of line. Spreadsheets run what begins like a formula, and much of a record was chosen by an agent: such a cell gets
//! an apostrophe in front. <https://www.rfc-editor.org/rfc/rfc4180>, <https://owasp.org/www-community/attacks/CSV_Injection>

use std::io::{self, Write};

use serde_json::Value;

use crate::record::query::CallView;

/// The columns of `v_calls`, in their order.
pub(super) const COLUMNS: [&str; 38] = [
    "seq",
    "id",
    "time",
    "session",
    "workload",
    "subject",
    "issuer",
    "groups",
    "hostname",
    "pid",
    "uid",
    "account",
    "region",
    "host",
    "service",
    "operation",
    "method",
    "actions",
    "resources",
    "params",
    "decision",
    "rules",
    "reason",
    "policy_digest",
    "access_key_id",
    "request_digest",
    "outcome",
    "outcome_seq",
    "ended",
    "status",
    "aws_request_id",
    "error_code",
    "upstream_us",
    "gateway_us",
    "bytes_in",
    "bytes_out",
    "truncated",
    "outcome_truncated",
];

/// Writes the names of the columns.
pub(super) fn header(out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{}\r\n", COLUMNS.join(","))
}

/// Writes a call.
pub(super) fn row(call: &CallView, out: &mut dyn Write) -> anyhow::Result<()> {
    let value = serde_json::to_value(call)?;
    let cells = COLUMNS.map(|column| match value.get(column) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => cell(text),
        Some(other) => cell(&other.to_string()),
    });
    write!(out, "{}\r\n", cells.join(","))?;
    Ok(())
}

fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_run_nothing() {
        for (text, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\""),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("%0A", "'%0A"),
            ("[\"*\"]", "\"[\"\"*\"\"]\""),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }
}
