//! The `[[issuer]]` sections.

use std::collections::HashSet;

use super::{Config, DAY, KIB, KeyPath, MIB, Problems, Step};
use crate::issuer;

/// Audiences of one issuer.
const AUDIENCES_MAX: usize = 32;
/// Bytes of an audience, of a claim's name, of a prefix.
const TEXT_MAX: usize = 256;

impl Problems {
    pub(super) fn issuers(&mut self, config: &Config) {
        let mut names = HashSet::new();
        for (number, issuer) in config.issuer.iter().enumerate() {
            let here = |key| KeyPath(vec![Step::Key("issuer"), Step::Item(number), Step::Key(key)]);
            if !names.insert(&issuer.name) {
                let name = issuer.name.as_str();
                self.add(here("name"), format!("another issuer has the name {name:?} already"));
            }
            if issuer.name.as_str() == "host" {
                self.add(here("name"), "\"host\" is what records and policies call the host itself");
            }
            if !issuer::is_issuer_url(&issuer.url) {
                let url = &issuer.url;
                self.add(here("url"), format!("{url:?} is not an https URL without query and fragment"));
            }
            if issuer.ca_file.as_ref().is_some_and(|path| !path.is_absolute()) {
                self.add(here("ca_file"), "`ca_file` must be an absolute path");
            }
            self.issuer_ranges(issuer, here);
            self.audiences(issuer, here);
            self.claim_names(issuer, here);
        }
    }

    fn issuer_ranges(&mut self, issuer: &issuer::Config, here: impl Fn(&'static str) -> KeyPath) {
        let size = |size: usize| size as u64;
        let ranges: [(&'static str, u64, u64, u64); 8] = [
            ("max_lifetime_secs", issuer.max_lifetime_secs, 1, DAY),
            ("skew_secs", issuer.skew_secs, 0, 300),
            ("keys_refresh_secs", issuer.keys_refresh_secs, 1, DAY),
            ("keys_max_age_secs", issuer.keys_max_age_secs, 1, DAY),
            ("min_refetch_secs", issuer.min_refetch_secs, 1, DAY),
            ("timeout_secs", issuer.timeout_secs, 1, DAY),
            ("token_max_bytes", size(issuer.token_max_bytes), 512, 128 * KIB),
            ("response_max_bytes", size(issuer.response_max_bytes), KIB, 16 * MIB),
        ];
        for (key, value, low, high) in ranges {
            if !(low..=high).contains(&value) {
                self.add(here(key), format!("`{key}` must be between {low} and {high}"));
            }
        }
        if issuer.keys_refresh_secs <= DAY && issuer.keys_max_age_secs < issuer.keys_refresh_secs {
            self.add(
                here("keys_max_age_secs"),
                "`keys_max_age_secs` must not be less than `keys_refresh_secs`: keys would end before they are renewed",
            );
        }
    }

    fn audiences(&mut self, issuer: &issuer::Config, here: impl Fn(&'static str) -> KeyPath) {
        let audiences = &issuer.audiences;
        if audiences.is_empty() || audiences.len() > AUDIENCES_MAX {
            self.add(
                here("audiences"),
                format!(
                    "1 to {AUDIENCES_MAX} audiences are needed: what `aud` of a token for chaperone says"
                ),
            );
        }
        for (number, audience) in audiences.iter().enumerate() {
            if !is_text(audience) {
                self.add(here("audiences").item(number), NOT_A_TEXT);
            } else if audiences.iter().take(number).any(|earlier| earlier == audience) {
                self.add(here("audiences").item(number), format!("{audience:?} is listed twice"));
            }
        }
        if !issuer.groups_prefix.is_empty() && !is_text(&issuer.groups_prefix) {
            self.add(here("groups_prefix"), NOT_A_TEXT);
        }
    }

    fn claim_names(&mut self, issuer: &issuer::Config, here: impl Fn(&'static str) -> KeyPath) {
        if issuer.groups_claim.as_ref().is_some_and(|name| !is_claim_name(name)) {
            self.add(here("groups_claim"), NOT_A_CLAIM);
        }
        let claims = &issuer.claims;
        if claims.len() > issuer::CLAIMS_MAX {
            let most = issuer::CLAIMS_MAX;
            self.add(here("claims").item(most), format!("`claims` takes at most {most} names"));
        }
        for (number, name) in claims.iter().enumerate() {
            if !is_claim_name(name) {
                self.add(here("claims").item(number), NOT_A_CLAIM);
            } else if claims.iter().take(number).any(|earlier| earlier == name) {
                self.add(here("claims").item(number), format!("{name:?} is listed twice"));
            }
        }
    }
}

const NOT_A_TEXT: &str = "1 to 256 bytes without control characters are allowed";
const NOT_A_CLAIM: &str = "a claim is a name, or names joined by dots, which may be in single quotes";

fn is_text(text: &str) -> bool {
    (1..=TEXT_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn is_claim_name(name: &str) -> bool {
    is_text(name) && issuer::steps(name).is_some()
}
