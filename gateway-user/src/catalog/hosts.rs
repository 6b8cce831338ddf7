//! Host names: which services are behind one, for which region.
//!
//! The endpoint rulesets produce some 70,000 hosts from a few per service: `lambda.{r}.d` stands for
//! all of them with a region at `{r}` and a partition's first suffix at `d` (`D`: its second, that of
//! hosts with IPv6). Hosts without a region are written out, with the regions they are signed for. Where
//! requests are signed for another name than the service's own, it follows the host: `HOST@NAME`.
//!
//! <https://docs.aws.amazon.com/general/latest/gr/rande.html>

use std::collections::{BTreeSet, HashMap};

use super::{
    Partition, Service,
    load::{CatalogError, bad},
};
use crate::prim::AccountId;

/// What a host stands for: one of these per service behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostMatch<'a> {
    /// The service's place among [`super::Catalog::services`].
    pub service: usize,
    /// The name that requests are signed for there; `None`: the service's own.
    pub signing_name: Option<&'static str>,
    /// The partition.
    pub partition: Partition,
    /// The regions it is signed for: the one in its name, or those that hosts without one stand for.
    pub regions: Vec<&'a str>,
    /// The [`super::Operation::host_prefix`] of the operations that are served there.
    pub host_prefix: &'static str,
    /// What stands in the host for `{…}` of the prefix, or the account of an account's own host.
    pub subject: Option<&'a str>,
}

/// A service's host as the table has it.
#[derive(Debug, Clone)]
pub struct HostRule {
    service: usize,
    signing_name: Option<&'static str>,
    host_prefix: &'static str,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    /// The region is in the name; empty: in any partition.
    Named(Vec<Partition>),
    /// It is signed for these regions.
    Fixed(Vec<&'static str>),
}

/// All hosts by their patterns.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<String, Vec<HostRule>>);

/// Where a pattern has an account id.
const ACCOUNT: &str = "{a}";
/// Where a pattern has some other label that a request chooses.
const SUBJECT: &str = "{x}";
const REGION: &str = "{r}";

impl Hosts {
    /// Adds a service's hosts, each with every one of `prefixes`, which its operations have.
    pub(super) fn add(
        &mut self,
        service: &Service,
        prefixes: &BTreeSet<&'static str>,
        texts: &[&'static str],
    ) -> Result<(), CatalogError> {
        for text in texts {
            let (host, place) = read(text)?;
            let (host, signing_name) = match host.split_once('@') {
                Some((host, name)) => (host, Some(name)),
                None => (host, None),
            };
            for host_prefix in prefixes.iter().copied().chain([""]) {
                let rule =
                    HostRule { service: service.index, signing_name, host_prefix, place: place.clone() };
                let rules = self.0.entry(format!("{}{host}", pattern(host_prefix))).or_default();
                if !rules
                    .iter()
                    .any(|known| known.service == rule.service && known.host_prefix == host_prefix)
                {
                    rules.push(rule);
                }
            }
        }
        Ok(())
    }

    /// Every service behind `labels`, which stand before `suffix`.
    pub(super) fn find<'a>(&self, labels: &'a str, suffix: &str) -> Vec<HostMatch<'a>> {
        let Some(home) = Partition::of_suffix(suffix) else { return Vec::new() };
        let mut found = self.literal(labels, suffix, home);
        // The last label, with few exceptions.
        let regions = labels.rsplit('.').find_map(|label| Some((label, Partition::of_region(label)?)));
        if let Some((region, partition)) = regions {
            let end = end(partition, suffix);
            for (labels, subject) in subjects(labels) {
                let Some((before, after)) = labels.rsplit_once(region) else { continue };
                let key = format!("{before}{REGION}{after}.{end}");
                let rules = self.0.get(&key).into_iter().flatten();
                let fits = rules.filter(|rule| rule.place.has(partition));
                found.extend(fits.map(|rule| rule.matched(partition, vec![region], subject)));
            }
        }
        found
    }

    fn literal<'a>(&self, labels: &'a str, suffix: &str, home: Partition) -> Vec<HostMatch<'a>> {
        let mut found = Vec::new();
        for (labels, subject) in subjects(labels) {
            for rule in self.0.get(&format!("{labels}.{suffix}")).into_iter().flatten() {
                if let Place::Fixed(regions) = &rule.place {
                    let of_first = regions.first().and_then(|region| Partition::of_region(region));
                    found.push(rule.matched(of_first.unwrap_or(home), regions.clone(), subject));
                }
            }
        }
        found
    }
}

impl HostRule {
    fn matched<'a>(
        &self,
        partition: Partition,
        regions: Vec<&'a str>,
        subject: Option<&'a str>,
    ) -> HostMatch<'a> {
        let Self { service, signing_name, host_prefix, .. } = *self;
        HostMatch { service, signing_name, partition, regions, host_prefix, subject }
    }
}

impl Place {
    fn has(&self, partition: Partition) -> bool {
        match self {
            Self::Named(partitions) => partitions.is_empty() || partitions.contains(&partition),
            Self::Fixed(_) => false,
        }
    }
}

/// `HOST`, `HOST PARTITION…`, `HOST=REGION REGION…`; each `HOST` may have `@NAME`.
fn read(text: &'static str) -> Result<(&'static str, Place), CatalogError> {
    if let Some((host, regions)) = text.split_once('=') {
        return Ok((host, Place::Fixed(regions.split(' ').collect())));
    }
    let mut words = text.split(' ');
    let host = words.next().unwrap_or_default();
    let partitions: Option<Vec<Partition>> = words.map(Partition::of_arn_name).collect();
    Ok((host, Place::Named(partitions.ok_or_else(|| bad(text))?)))
}

/// `{AccountId}.` and the like as they stand in patterns.
fn pattern(host_prefix: &str) -> String {
    match host_prefix.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some(("AccountId", rest)) => format!("{ACCOUNT}{rest}"),
        Some((_, rest)) => format!("{SUBJECT}{rest}"),
        None => host_prefix.to_owned(),
    }
}

/// The labels as they are, and with what may stand for something in the first place.
fn subjects(labels: &str) -> Vec<(String, Option<&str>)> {
    let first = labels.split('.').next().unwrap_or_default();
    let rest = labels.get(first.len()..).unwrap_or_default();
    let account = AccountId::is_valid(first);
    let mut all = vec![(labels.to_owned(), None)];
    if account {
        all.push((format!("{ACCOUNT}{rest}"), Some(first)));
    }
    all.push((format!("{SUBJECT}{rest}"), Some(first)));
    all
}

/// How a pattern ends for a host of `partition` below `suffix`: by the suffix's place in the partition,
/// or by a suffix of another one, written out.
fn end(partition: Partition, suffix: &str) -> &str {
    let [plain, dual_stack] = partition.suffixes();
    match suffix {
        _ if suffix == plain => "d",
        _ if suffix == dual_stack => "D",
        other => other,
    }
}
