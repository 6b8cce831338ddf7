//! What the types cannot say: ranges, addresses, and what must fit together.

mod issuers;
mod masks;

use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use globset::GlobBuilder;

use super::{
    Config,
    locate::{KeyPath, Step},
};
use crate::{
    identify::{self, CredentialSource, TAG_MAX, Voucher, WorkloadConfig},
    mask::REVERSIBLE_MAX,
    prim::{CgroupPath, HostName},
    record::{StoreKind, retention},
};

/// Listeners of each address family.
const MAX_LISTENERS: usize = 8;
/// The longest time-out, in seconds: a day.
const DAY: u64 = 86_400;
/// Days for which anything is kept: a century.
const DAYS_MAX: u64 = 36_500;
/// Rows that are removed in one transaction: more would hold calls back.
const STEP_MAX: usize = 20_000;
/// Bytes of what a host may be called in records.
const HOST_MAX: usize = 253;
const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// A wrong value: where, and what would be right.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) key: KeyPath,
    pub(super) detail: String,
}

/// Who reads the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Whoever has to do with agents.
    Gateway,
    /// A console, which only reads records.
    Reading,
}

/// Everything wrong with the configuration.
pub(super) fn check(config: &Config, purpose: Purpose) -> Vec<Problem> {
    let mut problems = Problems::default();
    if purpose == Purpose::Gateway && config.workload.is_empty() {
        problems.add(
            KeyPath(vec![Step::Key("workload")]),
            "no workload is configured, so every agent would be refused; add a [[workload]] section",
        );
    }
    problems.ranges(config);
    problems.paths(config);
    problems.redirect(config);
    problems.record(config);
    problems.forward(config);
    problems.others(config);
    problems.workloads(config);
    problems.issuers(config);
    problems.masks(config);
    problems.0
}

#[derive(Debug, Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, key: KeyPath, detail: impl Into<String>) {
        self.0.push(Problem { key, detail: detail.into() });
    }

    /// Every number of every section: lowest and highest sensible value.
    fn ranges(&mut self, config: &Config) {
        let Config {
            redirect,
            identify,
            route,
            terminate,
            serve,
            record,
            credentials,
            forward,
            api,
            mask,
            ..
        } = config;
        let size = |size: usize| size as u64;
        let ranges: [(&'static str, &'static str, u64, u64, u64); 51] = [
            ("redirect", "handshake_secs", redirect.handshake_secs, 130, DAY),
            ("identify", "max_sessions", size(identify.max_sessions), 1, 1_000_000),
            ("identify", "sweep_secs", identify.sweep_secs, 1, DAY),
            ("identify", "minted_per_session", size(identify.minted_per_session), 1, 10_000),
            ("identify", "max_tokens", size(identify.max_tokens), 1, 10_000_000),
            ("route", "hello_timeout_secs", route.hello_timeout_secs, 1, DAY),
            ("route", "hello_max_bytes", size(route.hello_max_bytes), 512, MIB),
            ("route", "connect_timeout_secs", route.connect_timeout_secs, 1, DAY),
            ("route", "idle_timeout_secs", route.idle_timeout_secs, 1, DAY),
            ("terminate", "leaf_cache", terminate.leaf_cache, 1, 1_000_000),
            ("terminate", "handshake_timeout_secs", terminate.handshake_timeout_secs, 1, DAY),
            ("serve", "max_connections", size(serve.max_connections), 1, 1_000_000),
            ("serve", "session_max_connections", size(serve.session_max_connections), 1, 1_000_000),
            ("serve", "session_max_calls", size(serve.session_max_calls), 1, 1_000_000),
            ("serve", "inspect_memory_bytes", size(serve.inspect_memory_bytes), MIB, 64 * 1024 * MIB),
            ("serve", "header_max_bytes", size(serve.header_max_bytes), 8 * KIB, MIB),
            ("serve", "header_timeout_secs", serve.header_timeout_secs, 1, DAY),
            ("serve", "h2_max_streams", serve.h2_max_streams, 1, 10_000),
            ("serve", "inspect_max_bytes", size(serve.inspect_max_bytes), KIB, 1024 * MIB),
            ("serve", "inspect_timeout_secs", serve.inspect_timeout_secs, 1, DAY),
            ("serve", "max_skew_secs", serve.max_skew_secs, 1, DAY),
            ("serve", "drain_timeout_secs", serve.drain_timeout_secs, 1, DAY),
            ("record", "queue", size(record.queue), 1, 1_000_000),
            ("record", "open_calls", size(record.open_calls), 1, 1_000_000),
            ("record", "batch_rows", size(record.batch_rows), 1, 10_000),
            ("record", "write_timeout_secs", record.write_timeout_secs, 1, DAY),
            ("record", "busy_timeout_ms", record.busy_timeout_ms, 1, 60_000),
            ("record", "retry_max_secs", record.retry_max_secs, 1, DAY),
            ("record", "connect_timeout_secs", record.connect_timeout_secs, 1, DAY),
            ("record", "statement_timeout_secs", record.statement_timeout_secs, 1, DAY),
            ("record", "read_timeout_secs", record.read_timeout_secs, 1, DAY),
            ("record", "params_max_bytes", size(record.params_max_bytes), 256, MIB),
            ("record", "body_max_bytes", size(record.body_max_bytes), 0, 16 * MIB),
            ("record", "capture_memory_bytes", size(record.capture_memory_bytes), MIB, 64 * 1024 * MIB),
            ("mask", "tokens_per_session", size(mask.tokens_per_session), 1, 100_000),
            ("mask", "token_max_bytes", size(mask.token_max_bytes), 1, size(REVERSIBLE_MAX)),
            ("mask", "tokens_memory_bytes", size(mask.tokens_memory_bytes), MIB, 64 * 1024 * MIB),
            ("credentials", "timeout_secs", credentials.timeout_secs, 1, DAY),
            ("credentials", "refresh_before_secs", credentials.refresh_before_secs, 1, DAY),
            ("credentials", "cache", size(credentials.cache), 1, 1_000_000),
            ("credentials", "role_duration_secs", credentials.role_duration_secs, 900, 43_200),
            ("credentials", "sts_max_in_flight", size(credentials.sts_max_in_flight), 1, 10_000),
            ("forward", "connect_timeout_secs", forward.connect_timeout_secs, 1, DAY),
            ("forward", "response_timeout_secs", forward.response_timeout_secs, 1, DAY),
            ("forward", "idle_timeout_secs", forward.idle_timeout_secs, 1, DAY),
            ("forward", "pool_per_host", size(forward.pool_per_host), 1, 10_000),
            ("api", "max_connections", size(api.max_connections), 1, 10_000),
            ("api", "body_max_bytes", size(api.body_max_bytes), KIB, 16 * MIB),
            ("api", "max_launches_per_user", size(api.max_launches_per_user), 1, 1_000_000),
            ("api", "request_timeout_secs", api.request_timeout_secs, 1, DAY),
            ("api", "launch_timeout_secs", api.launch_timeout_secs, 1, DAY),
        ];
        for (section, key, value, low, high) in ranges {
            if !(low..=high).contains(&value) {
                self.add(KeyPath::of(section, key), format!("`{key}` must be between {low} and {high}"));
            }
        }
    }

    fn paths(&mut self, config: &Config) {
        let extra_ca = config.forward.extra_ca.as_deref();
        let paths: [(&'static str, &'static str, Option<&Path>); 8] = [
            ("redirect", "bpffs", Some(&config.redirect.bpffs)),
            ("terminate", "ca_dir", Some(&config.terminate.ca_dir)),
            ("terminate", "system_roots", config.terminate.system_roots.as_deref()),
            ("identify", "placeholder_key", Some(&config.identify.placeholder_key)),
            ("policy", "dir", Some(&config.policy.dir)),
            ("record", "database", Some(&config.record.database)),
            ("forward", "extra_ca", extra_ca),
            ("api", "socket", Some(&config.api.socket)),
        ];
        for (section, key, path) in paths {
            if path.is_some_and(|path| !path.is_absolute()) {
                self.add(KeyPath::of(section, key), format!("`{key}` must be an absolute path"));
            }
        }
    }

    fn redirect(&mut self, config: &Config) {
        let redirect = &config.redirect;
        if let Some(wrong) = wrong_cgroup(&redirect.slice) {
            self.add(KeyPath::of("redirect", "slice"), format!("the slice {wrong}"));
        } else if redirect.slice.contains(GLOB_SIGNS) {
            self.add(KeyPath::of("redirect", "slice"), "the slice is one cgroup, not a pattern");
        }
        if redirect.listen_v4.is_empty() {
            self.add(KeyPath::of("redirect", "listen_v4"), "at least one IPv4 listener is needed");
        }
        let families = [("listen_v4", &redirect.listen_v4, true), ("listen_v6", &redirect.listen_v6, false)];
        for (key, addresses, v4) in families {
            let here = || KeyPath::of("redirect", key);
            if addresses.len() > MAX_LISTENERS {
                self.add(
                    here().item(MAX_LISTENERS),
                    format!("`{key}` takes at most {MAX_LISTENERS} addresses"),
                );
            }
            for (number, address) in addresses.iter().enumerate() {
                if address.is_ipv4() != v4 {
                    let family = if v4 { "IPv4" } else { "IPv6" };
                    self.add(here().item(number), format!("{address} is not an {family} address"));
                } else if !address.ip().is_loopback() {
                    self.add(
                        here().item(number),
                        format!(
                            "{address} is not a loopback address: only this host may reach the listeners"
                        ),
                    );
                } else if address.port() == 0 {
                    self.add(
                        here().item(number),
                        format!("{address} needs a fixed port: the kernel half redirects to it"),
                    );
                } else if addresses.iter().take(number).any(|earlier| earlier == address) {
                    self.add(here().item(number), format!("{address} is listed twice"));
                }
            }
        }
    }

    fn record(&mut self, config: &Config) {
        let record = &config.record;
        match (record.store, &record.url) {
            (StoreKind::Postgres, None) => self.add(
                KeyPath::of("record", "store"),
                "`store = \"postgres\"` needs `url = \"postgres://role@host/database\"`",
            ),
            (StoreKind::Sqlite, Some(_)) => self.add(
                KeyPath::of("record", "url"),
                "`url` needs `store = \"postgres\"`: records go to the file in `database`",
            ),
            (StoreKind::Postgres, Some(_)) | (StoreKind::Sqlite, None) => {}
        }
        if let Some(host) = &record.host
            && (!(1..=HOST_MAX).contains(&host.len()) || host.chars().any(char::is_control))
        {
            let wrong = format!("`host` has 1 to {HOST_MAX} bytes and no control characters");
            self.add(KeyPath::of("record", "host"), wrong);
        }
        let here = |key| KeyPath::of("record", "log").key(key);
        let log = &record.log;
        let ranges = [
            ("checkpoint_rows", log.checkpoint_rows, 1, 1_000_000),
            ("checkpoint_secs", log.checkpoint_secs, 1, DAY),
            ("s3_secs", log.s3_secs, 1, DAY),
        ];
        for (key, value, low, high) in ranges {
            if !(low..=high).contains(&value) {
                self.add(here(key), format!("`{key}` must be between {low} and {high}"));
            }
        }
        if log.s3.is_some() && log.s3_region.is_none() {
            self.add(here("s3"), "`s3` needs `s3_region`");
        }
        if let Some(endpoint) = &log.s3_endpoint
            && let Some(wrong) = wrong_endpoint(endpoint)
        {
            self.add(here("s3_endpoint"), wrong);
        }
        let of_bucket = [("s3_region", log.s3_region.is_some()), ("s3_endpoint", log.s3_endpoint.is_some())];
        for (key, is_set) in of_bucket {
            if is_set && log.s3.is_none() {
                self.add(here(key), format!("`{key}` says nothing without `s3`"));
            }
        }
        self.retention(&record.retention);
        for (key, path) in [("key", &log.key), ("checkpoint_file", &log.checkpoint_file)] {
            if path.as_ref().is_some_and(|path| !path.is_absolute()) {
                self.add(here(key), format!("`{key}` must be an absolute path"));
            }
        }
    }

    fn retention(&mut self, retention: &retention::Config) {
        let here = |key| KeyPath::of("record", "retention").key(key);
        let (bodies, rows) = (retention.bodies_days, retention.rows_days);
        let youngest = retention::YOUNGEST.whole_days().cast_unsigned();
        if bodies > DAYS_MAX {
            self.add(here("bodies_days"), format!("`bodies_days` must be between 0 and {DAYS_MAX}"));
        }
        if rows > DAYS_MAX || (1..youngest).contains(&rows) {
            let wrong = format!("`rows_days` must be 0, or between {youngest} and {DAYS_MAX}");
            self.add(here("rows_days"), wrong);
        } else if rows > 0 && bodies > rows {
            let wrong = "`bodies_days` is more than `rows_days`: bodies go with their calls at the latest";
            self.add(here("bodies_days"), wrong);
        }
        if !(1..=STEP_MAX).contains(&retention.step_rows) {
            self.add(here("step_rows"), format!("`step_rows` must be between 1 and {STEP_MAX}"));
        }
    }

    fn forward(&mut self, config: &Config) {
        let overrides = &config.forward.overrides;
        for (number, entry) in overrides.iter().enumerate() {
            let here = || KeyPath::of("forward", "override").item(number);
            let name = entry.host.strip_prefix("*.").unwrap_or(&entry.host);
            if let Err(error) = name.parse::<HostName>() {
                self.add(here().key("host"), format!("{error}; write a host name or `*.suffix`"));
            } else if name != name.to_ascii_lowercase() {
                self.add(here().key("host"), "write host names in lower case");
            } else if overrides.iter().take(number).any(|earlier| earlier.host == entry.host) {
                self.add(
                    here().key("host"),
                    format!("{} is listed twice: only the first is used", entry.host),
                );
            }
            if let Some(wrong) = wrong_target(entry.address, config) {
                self.add(here().key("address"), format!("{} {wrong}", entry.address));
            }
        }
    }

    fn others(&mut self, config: &Config) {
        if config.api.group.is_empty() {
            self.add(KeyPath::of("api", "group"), "`group` must name a group of this host");
        }
        if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&config.log.filter) {
            self.add(KeyPath::of("log", "filter"), format!("not a log filter: {error}"));
        }
        if let Some(endpoint) = &config.credentials.sts_endpoint
            && let Some(wrong) = wrong_endpoint(endpoint)
        {
            self.add(KeyPath::of("credentials", "sts_endpoint"), wrong);
        }
    }

    fn workloads(&mut self, config: &Config) {
        let mut seen: HashSet<(&str, &str)> = HashSet::new();
        for (number, workload) in config.workload.iter().enumerate() {
            let here = |key| KeyPath(vec![Step::Key("workload"), Step::Item(number), Step::Key(key)]);
            let unique = [
                ("name", Some(workload.name.as_str())),
                ("cgroup", workload.cgroup.as_deref()),
                ("tag", workload.tag.as_deref()),
            ];
            for (key, value) in unique {
                if let Some(value) = value
                    && !seen.insert((key, value))
                {
                    self.add(here(key), format!("another workload has the {key} {value:?} already"));
                }
            }
            self.recognised(workload, &config.redirect.slice, here);
            self.vouched(workload, config, here);
            self.rights(workload, here);
        }
    }

    /// How a workload's cgroup is recognised.
    fn recognised(&mut self, workload: &WorkloadConfig, slice: &str, here: impl Fn(&'static str) -> KeyPath) {
        match (&workload.cgroup, &workload.tag) {
            (Some(pattern), None) => {
                if let Some(wrong) = wrong_pattern(pattern, slice) {
                    self.add(here("cgroup"), wrong);
                }
            }
            (None, Some(tag)) => {
                if tag.is_empty() || tag.len() > TAG_MAX || tag.chars().any(char::is_control) {
                    self.add(
                        here("tag"),
                        format!("a tag has 1 to {TAG_MAX} bytes and no control characters"),
                    );
                }
            }
            (Some(_), Some(_)) => {
                self.add(here("tag"), "a workload is recognised by `cgroup` or by `tag`, not by both");
            }
            (None, None) => {
                let name = &workload.name;
                self.add(
                    here("cgroup"),
                    format!(
                        "workload {name} needs `cgroup = \"{slice}/…\"` or `tag = \"…\"` to be recognised"
                    ),
                );
            }
        }
    }

    /// Who vouches for a workload.
    fn vouched(
        &mut self,
        workload: &WorkloadConfig,
        config: &Config,
        here: impl Fn(&'static str) -> KeyPath,
    ) {
        match (workload.identity, &workload.issuer) {
            (Voucher::Host, _) => {
                let with_token = workload.credentials == CredentialSource::WebIdentity;
                if with_token && workload.role_arn.is_some() {
                    let wrong = "\"web-identity\" needs `identity = \"oidc\"`: the host's word is no token";
                    self.add(here("credentials"), wrong);
                }
                let keys = [
                    ("issuer", workload.issuer.is_some()),
                    ("token_file", workload.token_file.is_some()),
                    ("subjects", !workload.subjects.globs().is_empty()),
                ];
                for (key, _) in keys.into_iter().filter(|(_, there)| *there) {
                    self.add(
                        here(key),
                        format!("`{key}` needs `identity = \"oidc\"`: the host alone vouches"),
                    );
                }
            }
            (Voucher::Oidc, None) => {
                self.add(here("identity"), "`identity = \"oidc\"` needs `issuer`, the name of an [[issuer]]");
            }
            (Voucher::Oidc, Some(issuer)) => {
                if !config.issuer.iter().any(|known| known.name == *issuer) {
                    self.add(here("issuer"), format!("there is no [[issuer]] with the name {issuer}"));
                }
            }
        }
        if let Some(file) = &workload.token_file {
            let plain = file.replace("{unit}", "");
            if !Path::new(file).is_absolute() {
                self.add(here("token_file"), "`token_file` must be an absolute path");
            } else if plain.contains(['{', '}']) {
                self.add(here("token_file"), "only {unit} is replaced in `token_file`");
            }
        }
        for (number, glob) in workload.subjects.globs().iter().enumerate() {
            if glob.is_empty() {
                self.add(here("subjects").item(number), format!("{glob:?} is no glob of subjects"));
            }
        }
    }

    fn rights(&mut self, workload: &WorkloadConfig, here: impl Fn(&'static str) -> KeyPath) {
        for (number, group) in workload.groups.iter().enumerate() {
            let ok = (1..=128).contains(&group.len()) && !group.chars().any(char::is_control);
            if !ok {
                self.add(here("groups").item(number), "a group has 1 to 128 bytes and no control characters");
            } else if workload.groups.iter().take(number).any(|earlier| earlier == group) {
                self.add(here("groups").item(number), format!("the group {group:?} is listed twice"));
            }
        }
        if let Some(first) = &workload.web_identity_role {
            if workload.credentials != CredentialSource::WebIdentity {
                let wrong =
                    "`web_identity_role` needs `credentials = \"web-identity\"`: it is assumed with a token";
                self.add(here("web_identity_role"), wrong);
            } else if identify::role_account(first).is_none() {
                self.add(here("web_identity_role"), not_a_role(first));
            }
        }
        let Some(role) = &workload.role_arn else {
            if workload.credentials == CredentialSource::WebIdentity {
                self.add(here("credentials"), "\"web-identity\" needs the `role_arn` that the token is for");
            }
            if workload.scope.is_some() {
                self.add(
                    here("scope"),
                    "without `role_arn` the gateway's own keys sign, and those cannot be limited: add the role",
                );
            }
            return;
        };
        if workload.credentials == CredentialSource::Passthrough {
            self.add(
                here("role_arn"),
                "the gateway assumes no role for a workload with `credentials = \"passthrough\"`: \
                 its agents use keys of their own",
            );
        }
        match identify::role_account(role) {
            None => self.add(here("role_arn"), not_a_role(role)),
            Some(account) => {
                if let Some(other) = workload.account.as_ref().filter(|other| **other != account) {
                    self.add(
                        here("role_arn"),
                        format!("the role is of account {account}, but `account` says {other}"),
                    );
                }
            }
        }
    }
}

fn not_a_role(text: &str) -> String {
    format!("{text:?} is not the ARN of a role, such as arn:aws:iam::123456789012:role/name")
}

/// Signs that make a glob of a path.
const GLOB_SIGNS: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];

/// Why a text is not a cgroup's path below the mount.
fn wrong_cgroup(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("must not be empty");
    }
    if path.starts_with('/') || path.ends_with('/') {
        return Some("is written relative to the cgroup v2 mount, without outer slashes");
    }
    path.split('/')
        .any(|part| part.is_empty() || part == "." || part == "..")
        .then_some("must not contain empty parts, `.` or `..`")
}

/// Why a text is not a pattern of cgroups strictly below `slice`.
fn wrong_pattern(pattern: &str, slice: &str) -> Option<String> {
    if let Some(wrong) = wrong_cgroup(pattern) {
        return Some(format!("the cgroup {wrong}"));
    }
    if let Err(error) = GlobBuilder::new(pattern).literal_separator(true).build() {
        return Some(format!("not a glob: {}", error.kind()));
    }
    let (slice, whole) = (CgroupPath::new(slice), CgroupPath::new(pattern));
    (!whole.is_within(&slice) || whole == slice).then(|| {
        let slice = slice.as_str();
        format!("the cgroup must lie below the redirected slice: write \"{slice}/…\"")
    })
}

/// Why nothing can be dialled there.
fn wrong_target(address: SocketAddr, config: &Config) -> Option<&'static str> {
    let redirect = &config.redirect;
    if address.port() == 0 {
        return Some("needs a port");
    }
    if address.ip().is_unspecified() || address.ip().is_multicast() {
        return Some("is no address of a host");
    }
    redirect
        .listen_v4
        .iter()
        .chain(&redirect.listen_v6)
        .any(|own| *own == address)
        .then_some("is a listener of the gateway itself")
}

/// Why AWS cannot be asked there: keys are secret, so they cross no network in the clear.
fn wrong_endpoint(endpoint: &str) -> Option<String> {
    let Ok(uri) = endpoint.parse::<http::Uri>() else { return Some(format!("{endpoint:?} is not a URL")) };
    let host = uri.host().unwrap_or_default();
    let local = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") if !host.is_empty() => None,
        Some("http") if local => None,
        Some("http") => Some("keys would cross the network in the clear: use https".to_owned()),
        _ => Some(format!("{endpoint:?} is not an https URL")),
    }
}
