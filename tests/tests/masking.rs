//! Answers of every operation that has secrets, in every protocol: masked they are, byte for byte, what a program that
//! knows nothing of the product's tables writes, in whatever pieces they come.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, Result, anyhow};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chaperone_tests::corpus::Generated;
use gateway_user::{
    catalog::{Protocol, catalog},
    mask::{
        Config, DIGEST_LEN, Digest, Format, Job, MESSAGE_MAX, Masker, Plan, Revealed, Rules,
        headers as mask_headers,
    },
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Answers, at least.
const ANSWERS: usize = 4_000;

/// An answer as it is, and as it must be when masked.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    service: String,
    operation: String,
    protocol: Protocol,
    personal: bool,
    format: String,
    headers: Vec<(String, String)>,
    masked_headers: Vec<(String, String)>,
    body: String,
    masked: String,
    secrets: Vec<String>,
}

/// Nobody asks for it here.
struct NoDigest;

impl Digest for NoDigest {
    fn start(&mut self) {}
    fn update(&mut self, _part: &[u8]) {}
    fn finish(&mut self) -> [u8; DIGEST_LEN] {
        [0; DIGEST_LEN]
    }
}

/// Bytes of the longest piece that an answer comes in: one by one, within every word, and as it comes.
const LONGEST: [usize; 3] = [1, 7, 1000];

/// Lengths of pieces by a seed, from none up to the longest; byte by byte where that is one.
struct Pieces {
    longest: usize,
    state: u64,
}

impl Pieces {
    fn next(&mut self) -> usize {
        if self.longest == 1 {
            return 1;
        }
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state).unwrap_or_default() % (self.longest + 1)
    }
}

impl Answer {
    fn format(&self) -> Result<Format> {
        Ok(match self.format.as_str() {
            "json" => Format::Json,
            "cbor" => Format::Cbor,
            "whole" => Format::Whole,
            "events" => Format::EventStream { message_max: MESSAGE_MAX },
            "xml1" => Format::Xml { wrappers: 1 },
            "xml2" => Format::Xml { wrappers: 2 },
            other => return Err(anyhow!("the format {other}")),
        })
    }

    fn job(plan: Option<&Arc<Plan>>) -> Job {
        Job {
            plan: plan.map_or_else(|| Arc::new(Plan::nothing()), Arc::clone),
            revealed: Revealed::default(),
            detectors: None,
            digest: Box::new(NoDigest),
            replace: None,
        }
    }

    /// This body masked, as it comes in such pieces.
    fn masked(&self, plan: Option<&Arc<Plan>>, body: &[u8], mut pieces: Pieces) -> Result<Vec<u8>> {
        let mut masker = Masker::new(self.format()?, Self::job(plan));
        let (mut out, mut rest) = (Vec::new(), body);
        while !rest.is_empty() {
            let (piece, others) = rest.split_at(pieces.next().min(rest.len()));
            masker.push(piece, &mut out)?;
            rest = others;
        }
        masker.finish(&mut out)?;
        Ok(out)
    }

    /// What is wrong with the masked answer. `seed`: by which it comes in pieces.
    fn check(&self, rules: &Rules, seed: u64) -> Result<(), String> {
        let plan = rules.plan(&[&self.service], &self.operation, self.protocol);
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let body = BASE64_STANDARD.decode(&self.body).map_err(|error| said(&error))?;
        let expected = BASE64_STANDARD.decode(&self.masked).map_err(|error| said(&error))?;
        let text = String::from_utf8_lossy(&expected);
        if let Some(secret) = self.secrets.iter().find(|secret| text.contains(secret.as_str())) {
            return Err(format!("{secret} is in what is expected"));
        }
        for longest in LONGEST {
            let pieces = Pieces { longest, state: seed };
            let out = self
                .masked(plan.as_ref(), &body, pieces)
                .map_err(|error| format!("in pieces of up to {longest}, seed {seed}: {error}"))?;
            if out != expected {
                let at = out.iter().zip(&expected).take_while(|(a, b)| a == b).count();
                let near = |bytes: &[u8]| {
                    let part = bytes.get(at.saturating_sub(60)..(at + 40).min(bytes.len()));
                    String::from_utf8_lossy(part.unwrap_or_default()).into_owned()
                };
                let (is, should) = (near(&out), near(&expected));
                return Err(format!(
                    "in pieces of up to {longest}, seed {seed}, byte {at}: {is:?} instead of {should:?}"
                ));
            }
        }
        let mut found = map(&self.headers).map_err(|error| said(&error))?;
        mask_headers(Self::job(plan.as_ref()), &mut found).map_err(|error| said(&error))?;
        if found != map(&self.masked_headers).map_err(|error| said(&error))? {
            return Err(format!("headers {found:?} instead of {:?}", self.masked_headers));
        }
        let text = format!("{found:?}");
        match self.secrets.iter().find(|secret| text.contains(secret.as_str())) {
            Some(secret) => Err(format!("{secret} is in it")),
            None => Ok(()),
        }
    }
}

fn map(headers: &[(String, String)]) -> Result<HeaderMap> {
    headers
        .iter()
        .map(|(name, value)| Ok((name.parse::<HeaderName>()?, HeaderValue::from_str(value)?)))
        .collect()
}

/// Service and operation of every answer in which something is hidden.
fn operations_with_secrets(rules: &Rules) -> impl Iterator<Item = (String, String)> {
    let all = catalog()
        .services()
        .iter()
        .flat_map(|service| service.operations().iter().map(move |operation| (service, operation.name)));
    let hidden = all.filter(|(service, operation)| {
        let protocols = service.protocols.iter();
        protocols.filter_map(|protocol| rules.plan(&[service.name], operation, *protocol)).next().is_some()
    });
    hidden.map(|(service, operation)| (service.name.to_owned(), operation.to_owned()))
}

#[test]
fn every_answer_with_secrets_is_masked_and_nothing_else() -> Result<()> {
    let rules = |personal| {
        Rules::new(&Config { personal, ..Config::default() }).map_err(|errors| anyhow!("{errors:?}"))
    };
    let (plain, personal) = (rules(false)?, rules(true)?);
    let mut generated = Generated::start("answers.py", &[])?;
    let (mut seen, mut operations) = (BTreeMap::<String, usize>::new(), std::collections::BTreeSet::new());
    let mut wrong = Vec::new();
    while let Some(line) = generated.next_text()? {
        let answer: Answer =
            serde_json::from_str(&line).with_context(|| line.chars().take(120).collect::<String>())?;
        let which =
            format!("{} {} {:?} {}", answer.service, answer.operation, answer.protocol, answer.personal);
        // Never none, which would go on as none.
        let seed = 1 + seen.values().sum::<usize>() as u64;
        if let Err(error) = answer.check(if answer.personal { &personal } else { &plain }, seed) {
            wrong.push(format!("{which} ({}): {error}", answer.format));
        }
        *seen.entry(answer.format.clone()).or_default() += 1;
        operations.insert((answer.service, answer.operation));
    }
    println!("{} operations, answers {seen:?}", operations.len());
    assert_eq!(
        wrong.len(),
        0,
        "{}\n{}",
        wrong.len(),
        wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n")
    );
    assert!(seen.values().sum::<usize>() >= ANSWERS, "{seen:?}");
    let missed: Vec<_> = operations_with_secrets(&personal).filter(|of| !operations.contains(of)).collect();
    assert_eq!(missed, [], "no answer was generated of these");
    assert_eq!(
        seen.keys().map(String::as_str).collect::<Vec<_>>(),
        ["cbor", "events", "json", "whole", "xml1", "xml2"]
    );
    Ok(())
}
