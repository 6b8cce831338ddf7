//! Members of an answer that are HTTP headers.

use http::{HeaderMap, HeaderValue};

use super::{
    Job, MaskError, Report,
    hide::{Hider, Wire},
    place::What,
    plan::HeaderRule,
};

/// Hides what the plan says of the headers of an answer.
///
/// # Errors
/// [`MaskError`] where what stands in the place of a value is no header value.
pub fn headers(mut job: Job, headers: &mut HeaderMap) -> Result<Report, MaskError> {
    job.replace = None;
    let mut hider = Hider::new(job);
    let plan = hider.plan_shared();
    for (name, value) in headers.iter_mut() {
        let Some(rule) = rule(plan.headers(), name.as_str()) else { continue };
        let What::Hide(why) = hider.field(rule.field) else { continue };
        hider.begin(why);
        hider.update(value.as_bytes())?;
        let masked = hider.end_at(|| name.as_str().to_owned(), Wire::Untyped)?;
        *value = HeaderValue::from_str(&masked).map_err(|_| MaskError::Malformed("a header"))?;
    }
    Ok(hider.into_report())
}

/// The rule for a header. One that names it whole comes before one that names how it begins.
pub(super) fn rule<'p>(rules: &'p [HeaderRule], name: &str) -> Option<&'p HeaderRule> {
    let whole = |rule: &&HeaderRule| *rule.name == *name;
    let begins = |rule: &&HeaderRule| rule.name.strip_suffix('*').is_some_and(|head| name.starts_with(head));
    rules.iter().find(whole).or_else(|| rules.iter().find(begins))
}
