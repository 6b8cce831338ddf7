//! Members of an answer that are HTTP headers.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    Counts, Echo, Job, Known, MASKED, MaskError, Report,
    hide::{Hider, Wire},
    place::What,
    plan::HeaderRule,
};

/// What says how the body is to be read stays, even where models have it as a member.
const OF_THE_BODY: [HeaderName; 4] =
    [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::CONTENT_ENCODING, header::TRANSFER_ENCODING];

/// Hides what the plan says of the headers of an answer. Gives the job back, for the body.
///
/// # Errors
/// [`MaskError`] where what stands in the place of a value is no header value.
pub fn headers(mut job: Job, headers: &mut HeaderMap) -> Result<(Job, Report), MaskError> {
    // No token stands for what is in a header.
    let replace = job.replace.take();
    let mut hider = Hider::new(job);
    let plan = hider.plan_shared();
    for (name, value) in headers.iter_mut() {
        let rule = rule(plan.headers(), name.as_str()).filter(|_| !OF_THE_BODY.contains(name));
        let Some(rule) = rule else { continue };
        let What::Hide(why) = hider.field(rule.field) else { continue };
        hider.begin(why);
        hider.update(value.as_bytes())?;
        let masked = hider.end_at(|| name.as_str().to_owned(), Wire::Untyped)?;
        *value = HeaderValue::from_str(&masked).map_err(|_| MaskError::Malformed("a header"))?;
    }
    let (job, report) = hider.into_parts();
    Ok((Job { replace, ..job }, report))
}

/// Hides values that were put into the request. Says how often each was there, by its digest.
pub fn without(known: &Arc<Known>, headers: &mut HeaderMap) -> Counts {
    let mut found = Vec::new();
    for (name, value) in headers.iter_mut() {
        if OF_THE_BODY.contains(name) {
            continue;
        }
        if let Some((text, more)) = Echo::new(Arc::clone(known)).whole(value.as_bytes()) {
            *value = HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static(MASKED));
            found.extend(more);
        }
    }
    found
}

/// The rule for a header. One that names it whole comes before one that names how it begins.
pub(super) fn rule<'p>(rules: &'p [HeaderRule], name: &str) -> Option<&'p HeaderRule> {
    let whole = |rule: &&HeaderRule| *rule.name == *name;
    let begins = |rule: &&HeaderRule| rule.name.strip_suffix('*').is_some_and(|head| name.starts_with(head));
    rules.iter().find(whole).or_else(|| rules.iter().find(begins))
}
