//! The hosts of services as patterns: some 70,000 hosts of the endpoint rulesets become a few per
//! service, each of which stands for all regions of a partition.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{service::metadata, sources::Sources};
use crate::sh::{self, Sh};

/// The account that the evaluation puts into hosts.
const ACCOUNT: &str = "123456789012";

/// S3's hosts have buckets in them; they are read by code.
const BY_HAND: &[&str] = &["s3"];

/// What all rulesets say.
pub struct Hosts {
    /// By service and by the name that its requests are signed for there.
    services: BTreeMap<(String, String), Evaluated>,
    partitions: Vec<Partition>,
}

struct Partition {
    name: String,
    suffixes: [String; 2],
    regions: BTreeSet<String>,
}

/// Hosts of one service.
#[derive(Default)]
struct Evaluated {
    /// Regions by partition by pattern.
    patterns: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// Regions it is signed for by host.
    literal: BTreeMap<String, BTreeSet<String>>,
}

/// A line of `hosts.py`.
struct Row<'a> {
    host: &'a str,
    partition: &'a Partition,
    region: &'a str,
    signed_for: &'a str,
}

impl Hosts {
    /// Lets botocore evaluate its rulesets.
    pub fn evaluate(sources: &Sources) -> Result<Self> {
        let partitions = partitions(&sources.partitions)?;
        let script = sh::root().join("xtask/src/codegen/hosts.py");
        let python = sources.python.join("bin/python");
        let rows = Sh::new(&python.to_string_lossy(), &[]).arg(script).ask().context("hosts.py failed")?;
        let mut services: BTreeMap<(String, String), Evaluated> = BTreeMap::new();
        for line in rows.lines() {
            let columns: Vec<&str> = line.split('\t').collect();
            let [host, service, partition, region, signed_for, signing, _schemes] = columns.as_slice() else {
                anyhow::bail!("hosts.py printed {line:?}");
            };
            if BY_HAND.contains(service) {
                continue;
            }
            let partition = partitions.iter().find(|known| known.name == *partition).context("partition")?;
            let model = sources.models.get(*service).context("a service without a model")?;
            let own = metadata(model, "signingName").or_else(|| metadata(model, "endpointPrefix"));
            let signing = if own == Some(*signing) { String::new() } else { format!("@{signing}") };
            let row = Row { host, partition, region, signed_for };
            services.entry(((*service).to_owned(), signing)).or_default().add(&row);
        }
        ensure!(services.len() > 100, "hosts.py printed {} services", services.len());
        Ok(Self { services, partitions })
    }

    /// The line of the partitions.
    pub fn partitions(&self) -> Value {
        let partition =
            |partition: &Partition| json!([partition.name, partition.suffixes[0], partition.suffixes[1]]);
        json!({ "partitions": self.partitions.iter().map(partition).collect::<Vec<_>>() })
    }

    /// The hosts of a service as the table has them.
    pub fn of(&self, service: &str) -> Vec<String> {
        let own = self.services.iter().filter(|((name, _), _)| name == service);
        own.flat_map(|((_, signing), evaluated)| evaluated.texts(signing, &self.partitions)).collect()
    }
}

impl Evaluated {
    /// The hosts as the table has them; `signing` stands behind each.
    fn texts(&self, signing: &str, all: &[Partition]) -> Vec<String> {
        let mut literal = self.literal.clone();
        let mut out = Vec::new();
        for (pattern, partitions) in &self.patterns {
            let mut whole = Vec::new();
            for partition in all {
                let Some(regions) = partitions.get(&partition.name) else { continue };
                if *regions == partition.regions {
                    whole.push(partition.name.as_str());
                    continue;
                }
                for region in regions {
                    let host = partition.host(pattern, region);
                    literal.entry(host).or_default().insert(region.clone());
                }
            }
            if whole.len() == all.len() {
                out.push(format!("{pattern}{signing}"));
            } else if !whole.is_empty() {
                out.push(format!("{pattern}{signing} {}", whole.join(" ")));
            }
        }
        out.extend(literal.iter().map(|(host, regions)| {
            let regions: Vec<&str> = regions.iter().map(String::as_str).collect();
            format!("{host}{signing}={}", regions.join(" "))
        }));
        out
    }

    fn add(&mut self, row: &Row<'_>) {
        let host = row.host.replace(ACCOUNT, "{a}");
        let pattern = row.partition.pattern(&host, row.region);
        if pattern.contains("{r}") && row.signed_for == row.region {
            let partitions = self.patterns.entry(pattern).or_default();
            let regions = partitions.entry(row.partition.name.clone()).or_default();
            regions.insert(row.region.to_owned());
        } else {
            self.literal.entry(host).or_default().insert(row.signed_for.to_owned());
        }
    }
}

impl Partition {
    /// `{r}` for the region, `d` or `D` for the partition's own suffixes.
    fn pattern(&self, host: &str, region: &str) -> String {
        let [plain, dual_stack] = &self.suffixes;
        let end = |suffix: &str, letter: &str| Some(format!("{}{letter}", host.strip_suffix(suffix)?));
        let host = end(dual_stack, "D").or_else(|| end(plain, "d")).unwrap_or_else(|| host.to_owned());
        let labels = host.split('.').map(|label| if label == region { "{r}" } else { label });
        labels.collect::<Vec<_>>().join(".")
    }

    fn host(&self, pattern: &str, region: &str) -> String {
        let host = pattern.replace("{r}", region);
        let end = |letter: &str, suffix: &str| Some(format!("{}.{suffix}", host.strip_suffix(letter)?));
        end(".d", &self.suffixes[0]).or_else(|| end(".D", &self.suffixes[1])).unwrap_or(host)
    }
}

fn partitions(value: &Value) -> Result<Vec<Partition>> {
    let text = |value: &Value, place: &str| {
        value.pointer(place).and_then(Value::as_str).map(str::to_owned).with_context(|| place.to_owned())
    };
    let partitions = value.get("partitions").and_then(Value::as_array).context("no partitions")?;
    let partition = |value: &Value| {
        let regions = value.get("regions").and_then(Value::as_object).context("no regions")?;
        Ok(Partition {
            name: text(value, "/id")?,
            suffixes: [text(value, "/outputs/dnsSuffix")?, text(value, "/outputs/dualStackDnsSuffix")?],
            regions: regions.keys().filter(|region| !region.ends_with("-global")).cloned().collect(),
        })
    };
    partitions.iter().map(partition).collect()
}
