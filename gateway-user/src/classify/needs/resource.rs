//! ARN templates + parameters → ARNs. What cannot be computed is `*`, which needs a rule that says `*`.
//!
//! Whoever makes a request chooses its texts. So a text is taken for no more than the template has a
//! place for, and an ARN only where its partition, service, region and kind are the template's.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>

use std::borrow::Cow;

use super::{
    arn::Arn,
    case, form,
    reach::{Found, Scope, find},
};
use crate::{
    catalog::{ArnTemplate, Field, Form, Part, Partition, Placeholder},
    parse::check_bucket,
    prim::{AccountId, Region},
};

const ANY: &str = "*";

/// Builds ARNs of one partition, region and account.
pub(in crate::classify) struct Arns<'a> {
    pub(super) partition: Partition,
    pub(super) region: &'a Region,
    pub(super) account: Option<&'a AccountId>,
}

impl<'a> Arns<'a> {
    pub(in crate::classify) fn new(
        partition: Partition,
        region: &'a Region,
        account: Option<&'a AccountId>,
    ) -> Self {
        Self { partition, region, account }
    }

    pub(in crate::classify) fn own_account(&self) -> Option<&'a AccountId> {
        self.account
    }

    pub(in crate::classify) fn partition(&self) -> Partition {
        self.partition
    }

    /// A role by its name.
    pub(super) fn role(&self, name: &str) -> String {
        match self.account {
            Some(account) if form::is_path(name) => {
                format!(
                    "arn:{}:iam::{account}:role/{}",
                    self.partition.arn_name(),
                    name.trim_start_matches('/')
                )
            }
            Some(_) | None => ANY.to_owned(),
        }
    }

    /// An object of S3 by `BUCKET/KEY`; `None` where the text names none, or more than one. An access
    /// point in the place of the bucket is none.
    pub(super) fn object(&self, text: &str) -> Option<String> {
        let (bucket, key) = text.split_once('/')?;
        let fits = check_bucket(bucket).is_ok() && form::is_path(key) && !key.is_empty();
        fits.then(|| format!("arn:{}:s3:::{bucket}/{key}", self.partition.arn_name()))
    }

    /// Every ARN that the template has for this request; `None` where none of its members is there.
    pub(super) fn fill(&self, template: &ArnTemplate<'_>, scope: &Scope<'_>) -> Option<Vec<String>> {
        match template {
            ArnTemplate::Whole(placeholder) => {
                let texts = find(&placeholder.path, scope);
                if texts.is_empty() {
                    return None;
                }
                Some(texts.iter().map(|found| or_any(self.whole(placeholder.form, found))).collect())
            }
            ArnTemplate::Parts { service, region, account, resource } => {
                let place = Place { service, region, account, resource };
                self.fill_parts(&place, scope)
            }
        }
    }

    fn fill_parts(&self, place: &Place<'_>, scope: &Scope<'_>) -> Option<Vec<String>> {
        let members: Vec<&Placeholder<'_>> = place.placeholders().collect();
        let texts: Vec<Vec<Found<'_>>> = members.iter().map(|member| find(&member.path, scope)).collect();
        if !members.is_empty()
            && texts.iter().all(Vec::is_empty)
            && !members.iter().all(|m| m.default.is_some())
        {
            return None;
        }
        // Which of two lists' items belong together is not told.
        if texts.iter().filter(|texts| texts.len() > 1).count() > 1 {
            return Some(vec![ANY.to_owned()]);
        }
        let account = self.account(place.account, scope);
        let rows = texts.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let row = |at: usize| -> Vec<Option<&Found<'_>>> {
            texts.iter().map(|texts| if texts.len() > 1 { texts.get(at) } else { texts.first() }).collect()
        };
        Some((0..rows).map(|at| or_any(self.write(place, account.as_deref(), &row(at)))).collect())
    }

    /// The account that the request is about; `None`: not known.
    fn account<'b>(&self, field: &Field<'b>, scope: &Scope<'b>) -> Option<Cow<'b, str>>
    where
        'a: 'b,
    {
        let own = || self.account.map(|account| Cow::Borrowed(account.as_str()));
        match field {
            Field::Empty => Some(Cow::Borrowed("")),
            Field::Own => own(),
            Field::Fixed(fixed) => Some(Cow::Borrowed(fixed)),
            Field::Member(path) => match find(path, scope).as_slice() {
                [] => own(),
                [Found::Text(text)] if text == "-" => own(),
                [Found::Text(text)] if AccountId::is_valid(text) => Some(text.clone()),
                _ => None,
            },
        }
    }

    /// One ARN; `texts` are those of the placeholders, in order.
    fn write(
        &self,
        place: &Place<'_>,
        account: Option<&str>,
        texts: &[Option<&Found<'_>>],
    ) -> Option<String> {
        let text = |at: usize| match texts.get(at).copied().flatten() {
            Some(Found::Text(text)) => Some(text.as_ref()),
            Some(Found::Record | Found::Other) | None => None,
        };
        // The innermost member that is an ARN stands for the template up to it.
        let arns = (0..texts.len()).rev().filter(|at| text(*at).is_some_and(|text| text.starts_with("arn:")));
        let mut written = None;
        for at in arns {
            if !place.placeholders().nth(at).is_some_and(|member| form::may_be_arn(member.form)) {
                return None;
            }
            if let Some(whole) = self.in_place(place, account, at, &text) {
                written = Some((at, whole));
                break;
            }
            // The ARN of something around it, of which only the name is wanted.
            if !place.placeholders().nth(at).is_some_and(|member| member.form == Form::Tail) {
                return None;
            }
        }
        let (after, mut out) = match written {
            Some((at, arn)) => (Some(at), arn),
            None => {
                let region = match place.region {
                    Field::Empty => "",
                    Field::Own => self.region.as_str(),
                    Field::Fixed(fixed) => fixed,
                    Field::Member(_) => return None,
                };
                let partition = self.partition.arn_name();
                (None, format!("arn:{partition}:{}:{region}:{}:", place.service, account?))
            }
        };
        let mut at = 0;
        for part in place.resource {
            let done = after.is_some_and(|after| at <= after);
            match part {
                Part::Literal(literal) if !done => out.push_str(literal),
                Part::Literal(_) => {}
                Part::Member(member) => {
                    if !done {
                        let piece = match texts.get(at).copied().flatten() {
                            Some(Found::Text(text)) => self.piece(member.form, text)?,
                            Some(Found::Record | Found::Other) => return None,
                            None => self.piece(member.form, member.default?)?,
                        };
                        out.push_str(&piece);
                    }
                    at += 1;
                }
            }
        }
        Some(out)
    }

    /// The text of the placeholder `at`, where it is an ARN that fits the template up to there and
    /// contradicts no other member.
    fn in_place<'t>(
        &self,
        place: &Place<'_>,
        account: Option<&str>,
        at: usize,
        text: &impl Fn(usize) -> Option<&'t str>,
    ) -> Option<String> {
        let whole = text(at)?;
        let arn = Arn::parse(whole)?;
        let region_fits = match place.region {
            Field::Empty => arn.region.is_empty(),
            Field::Own => arn.region == self.region.as_str(),
            Field::Fixed(fixed) => arn.region == *fixed,
            Field::Member(_) => false,
        };
        let account_fits = match place.account {
            Field::Empty => arn.account.is_empty(),
            Field::Own => AccountId::is_valid(arn.account) || arn.account == "aws",
            Field::Fixed(fixed) => arn.account == *fixed,
            Field::Member(_) => account == Some(arn.account),
        };
        if arn.partition != self.partition.arn_name() || arn.service != place.service {
            return None;
        }
        if !region_fits || !account_fits {
            return None;
        }
        let captured = place.captures(arn.resource, at)?;
        let same = |(other, capture): (usize, &&str)| {
            other == at || text(other).is_none_or(|given| given == *capture || last(given) == *capture)
        };
        captured.iter().enumerate().all(same).then(|| whole.to_owned())
    }
}

/// What follows the last `/` or `:`.
pub(super) fn last(text: &str) -> &str {
    text.rsplit(['/', ':']).next().unwrap_or(text)
}

fn or_any(arn: Option<String>) -> String {
    arn.and_then(case::told).unwrap_or_else(|| ANY.to_owned())
}

/// A template with parts.
struct Place<'a> {
    service: &'a str,
    region: &'a Field<'a>,
    account: &'a Field<'a>,
    resource: &'a [Part<'a>],
}

impl<'a> Place<'a> {
    fn placeholders(&self) -> impl Iterator<Item = &'a Placeholder<'a>> + use<'a> {
        self.resource.iter().filter_map(|part| match part {
            Part::Member(member) => Some(member),
            Part::Literal(_) => None,
        })
    }

    /// What stands in the place of each placeholder up to `last` in the resource of an ARN.
    fn captures<'t>(&self, resource: &'t str, last: usize) -> Option<Vec<&'t str>> {
        let (mut rest, mut captures) = (resource, Vec::new());
        let mut parts = self.resource.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Literal(literal) => rest = rest.strip_prefix(literal)?,
                Part::Member(member) => {
                    let end = match parts.peek() {
                        _ if captures.len() == last => rest.len(),
                        Some(Part::Literal(literal)) => rest.find(literal)?,
                        Some(Part::Member(_)) | None => return None,
                    };
                    let (capture, after) = rest.split_at_checked(end)?;
                    if !form::fits(member.form, capture) {
                        return None;
                    }
                    captures.push(capture);
                    rest = after;
                    if captures.len() > last {
                        return Some(captures);
                    }
                }
            }
        }
        None
    }
}
