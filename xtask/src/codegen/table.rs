//! The table as a file.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::sources::{PACKAGES, Sources};

/// Bytes that the catalogue may have: tables are part of every checkout and every binary.
pub const MAX_CATALOG: usize = 400_000;
/// Bytes that the table of what is hidden may have.
pub const MAX_SECRETS: usize = 100_000;
/// Bytes that the table of all that answers have may have.
pub const MAX_ANSWERS: usize = 700_000;

/// The first line: where everything comes from.
pub fn provenance(sources: &Sources) -> Value {
    let mut packages: Vec<Value> = PACKAGES
        .iter()
        .map(
            |package| json!({ "name": package.name, "version": package.version, "licence": package.licence }),
        )
        .collect();
    if sources.service_reference.is_some() {
        packages.push(json!({
            "name": "AWS Service Reference", "version": "as given", "licence": "Apache-2.0",
        }));
    }
    json!({ "sources": packages })
}

/// The licences' note for the file.
pub fn notice(sources: &Sources) -> String {
    let mut text =
        "catalog.jsonl.zst, secrets.jsonl.zst and answers.jsonl.zst are made by `cargo xtask codegen` from facts in \
         these packages:\n"
            .to_owned();
    for package in PACKAGES {
        text.push_str(&format!(
            "\n{} {}\n  {}\n  Copyright {}\n  {}\n",
            package.name, package.version, package.origin, package.holder, package.licence
        ));
    }
    if sources.service_reference.is_some() {
        text.push_str(
            "\nAWS Service Reference, as given\n  https://servicereference.us-east-1.amazonaws.com/\n",
        );
    }
    text.push_str(
        "\nApache-2.0: see LICENSE at the root of this repository, https://www.apache.org/licenses/LICENSE-2.0.\n\
         MIT: https://opensource.org/license/mit. MIT-0: https://opensource.org/license/mit-0. The data is used without change of meaning: names of\n\
         services, operations, members, hosts and actions, access levels, and what is sensitive; no prose.\n",
    );
    text
}

/// Joins the lines. The reader borrows every text from the table, so that nothing may be escaped.
pub fn checked(lines: &[String]) -> Result<String> {
    if let Some(line) = lines.iter().find(|line| line.contains('\\')) {
        let start = line.find('\\').map_or(0, |at| at.saturating_sub(60));
        bail!(
            "an escaped character: …{}",
            line.get(start..).unwrap_or(line).chars().take(80).collect::<String>()
        );
    }
    Ok(lines.join("\n") + "\n")
}

/// Compresses the table as far as zstd can.
pub fn compress(text: &str, most: usize) -> Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 22)?;
    encoder.window_log(24)?;
    encoder.include_checksum(true)?;
    std::io::Write::write_all(&mut encoder, text.as_bytes())?;
    let compressed = encoder.finish()?;
    ensure!(compressed.len() <= most, "{} bytes are too many", compressed.len());
    Ok(compressed)
}

/// The text of a compressed table.
pub fn decompress(bytes: &[u8]) -> Result<String> {
    String::from_utf8(zstd::decode_all(bytes)?).context("the table is not UTF-8")
}

/// That both tables are the same; the error names the first lines that are not.
pub fn compare(known: &str, made: &str) -> Result<()> {
    let differ = |(known, made): &(&str, &str)| known != made;
    let start = |line: &str| line.chars().take(120).collect::<String>();
    if let Some((number, (known, made))) =
        known.lines().zip(made.lines()).enumerate().find(|(_, lines)| differ(lines))
    {
        let at = known.bytes().zip(made.bytes()).take_while(|(a, b)| a == b).count().saturating_sub(40);
        let (known, made) = (known.get(at..).unwrap_or(known), made.get(at..).unwrap_or(made));
        bail!("line {} is another:\n committed …{}\n made      …{}", number + 1, start(known), start(made));
    }
    ensure!(known == made, "the tables have different numbers of lines");
    Ok(())
}
