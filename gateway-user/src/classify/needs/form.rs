//! The forms of texts: what each may look like and what of an ARN it becomes.

use std::borrow::Cow;

use super::{
    arn::Arn,
    reach::Found,
    resource::{Arns, last},
};
use crate::{catalog::Form, parse::check_bucket, prim::AccountId, tokens::is_token};

impl Arns<'_> {
    /// A text as a piece of an ARN's resource; `None` where it cannot be one.
    pub(super) fn piece<'t>(&self, form: Form<'_>, text: &'t str) -> Option<Cow<'t, str>> {
        // What will stand there is not told by what stands there now.
        if is_token(text) {
            return None;
        }
        let fits = |fits: bool, text: &'t str| fits.then_some(Cow::Borrowed(text));
        match form {
            Form::Word => fits(is_word(text), text),
            Form::Path => fits(is_path(text), text),
            Form::Plain => fits(is_path(text) && !text.starts_with("arn:"), text),
            Form::IamPath => {
                let inner = text.strip_prefix('/')?;
                fits(inner.is_empty() || inner.ends_with('/') && is_path(inner), inner)
            }
            Form::Bucket => fits(check_bucket(text).is_ok(), text),
            Form::Folder if text.is_empty() => Some(Cow::Borrowed("")),
            Form::Folder if !is_path(text) => None,
            Form::Folder if text.ends_with('/') => Some(Cow::Borrowed(text)),
            Form::Folder => Some(Cow::Owned(format!("{text}/"))),
            Form::Function => self.function(text),
            Form::Qualifier if text.is_empty() => Some(Cow::Borrowed("")),
            Form::Qualifier => is_word(text).then(|| Cow::Owned(format!(":{text}"))),
            Form::Revision => fits(is_revision(text), text),
            Form::Key => fits(is_word(text), text),
            Form::Tail => {
                if text.starts_with("arn:") {
                    let arn = Arn::parse(text)?;
                    let own = self.account.is_some_and(|account| account.as_str() == arn.account);
                    let here = arn.region.is_empty() || arn.region == self.region.as_str();
                    if !own || !here || arn.partition != self.partition.arn_name() {
                        return None;
                    }
                }
                let tail = last(text);
                fits(is_word(tail) && is_name(text), tail)
            }
            Form::Parameter => {
                let name = text.split_once(':').map_or(text, |(name, _)| name);
                let name = name.strip_prefix('/').unwrap_or(name);
                fits(is_path(name), name)
            }
            Form::Arn(_) | Form::Queue | Form::Secret | Form::Document | Form::Model => None,
        }
    }

    /// A text that is, or is made into, a whole ARN.
    pub(super) fn whole(&self, form: Form<'_>, found: &Found<'_>) -> Option<String> {
        let Found::Text(text) = found else { return None };
        if is_token(text) {
            return None;
        }
        match form {
            Form::Arn(services) => self.arn_of(services, text).then(|| text.clone().into_owned()),
            Form::Queue => self.queue(text),
            Form::Secret => self.secret(text),
            Form::Document => self.document(text),
            Form::Model => self.model(text),
            Form::Word
            | Form::Path
            | Form::Plain
            | Form::IamPath
            | Form::Bucket
            | Form::Folder
            | Form::Function
            | Form::Qualifier
            | Form::Revision
            | Form::Key
            | Form::Tail
            | Form::Parameter => None,
        }
    }

    /// Whether a text is an ARN of one of these services, here or of a global resource; behind a
    /// service may be what its resources begin with.
    fn arn_of(&self, services: &str, text: &str) -> bool {
        let Some(arn) = Arn::parse(text) else { return false };
        let kind = services.split(',').any(|service| {
            let (service, prefix) = service.split_once(':').unwrap_or((service, ""));
            arn.service == service && arn.resource.starts_with(prefix)
        });
        let account = arn.account.is_empty() || arn.account == "aws" || AccountId::is_valid(arn.account);
        let region = arn.region.is_empty() || arn.region == self.region.as_str();
        kind && account && region && arn.partition == self.partition.arn_name()
    }

    /// `name`, `name:qualifier`, `account:function:name`: only the own account's are looked up by a name.
    fn function<'t>(&self, text: &'t str) -> Option<Cow<'t, str>> {
        let parts: Vec<&str> = text.split(':').collect();
        let name = match parts.as_slice() {
            [_] | [_, _] => text,
            [account, "function", ..] if self.account.is_some_and(|own| own.as_str() == *account) => {
                text.split_once(":function:")?.1
            }
            _ => return None,
        };
        // Lambda takes an account, a region or `function` before the name as well.
        let (first, qualifier) =
            name.split_once(':').map_or((name, None), |(first, rest)| (first, Some(rest)));
        let plain = is_word(first) && qualifier.is_none_or(is_word);
        let prefix =
            qualifier.is_some() && (first == "function" || AccountId::is_valid(first) || is_region(first));
        (plain && !prefix).then_some(Cow::Borrowed(name))
    }

    /// `https://HOST/ACCOUNT/NAME`.
    fn queue(&self, url: &str) -> Option<String> {
        let (_, path) = url.strip_prefix("https://")?.split_once('/')?;
        let (account, name) = path.split_once('/')?;
        let plain = !name.contains(['?', '#', '%']) && is_word(name) && AccountId::is_valid(account);
        plain.then(|| format!("arn:{}:sqs:{}:{account}:{name}", self.partition.arn_name(), self.region))
    }

    /// A secret by its whole ARN, which ends in six random characters. Without them it is looked up by
    /// name, and the ARN that IAM decides on is another one.
    fn secret(&self, text: &str) -> Option<String> {
        let suffix = text.rsplit_once('-').map_or("", |(_, suffix)| suffix);
        let whole = suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_alphanumeric());
        (whole && self.arn_of("secretsmanager:secret:", text)).then(|| text.to_owned())
    }

    /// A document by its name or ARN. Names that begin like this are AWS's own.
    fn document(&self, text: &str) -> Option<String> {
        if text.starts_with("arn:") {
            return self.arn_of("ssm:document/", text).then(|| text.to_owned());
        }
        let lower = text.to_ascii_lowercase();
        let account = match ["aws", "amazon", "amzn"].iter().any(|start| lower.starts_with(start)) {
            true => "",
            false => self.account?.as_str(),
        };
        let (partition, region) = (self.partition.arn_name(), self.region);
        is_word(text).then(|| format!("arn:{partition}:ssm:{region}:{account}:document/{text}"))
    }

    /// A model by its id, which begins with who made it, or an inference profile, whose id begins with
    /// where it runs. What begins with neither is not known.
    fn model(&self, text: &str) -> Option<String> {
        if text.starts_with("arn:") {
            return self.arn_of("bedrock,sagemaker:endpoint/", text).then(|| text.to_owned());
        }
        let (partition, region) = (self.partition.arn_name(), self.region);
        let (first, _) = text.split_once('.')?;
        if !is_name(text) || text.contains('/') {
            return None;
        }
        if MAKERS.contains(&first) {
            return Some(format!("arn:{partition}:bedrock:{region}::foundation-model/{text}"));
        }
        let account = self.account?;
        let profile = || format!("arn:{partition}:bedrock:{region}:{account}:inference-profile/{text}");
        PLACES.contains(&first).then(profile)
    }
}

/// Who makes the models of Bedrock.
const MAKERS: [&str; 17] = [
    "ai21",
    "amazon",
    "anthropic",
    "cohere",
    "deepseek",
    "google",
    "luma",
    "meta",
    "minimax",
    "mistral",
    "moonshot",
    "nvidia",
    "openai",
    "qwen",
    "stability",
    "twelvelabs",
    "writer",
];

/// Where inference profiles run.
const PLACES: [&str; 9] = ["apac", "au", "ca", "eu", "global", "jp", "sa", "us", "us-gov"];

/// Whether the text in this place may be an ARN that stands for more than itself.
pub(super) fn may_be_arn(form: Form<'_>) -> bool {
    match form {
        Form::Word
        | Form::Path
        | Form::Function
        | Form::Revision
        | Form::Key
        | Form::Tail
        | Form::Parameter => true,
        Form::Plain
        | Form::IamPath
        | Form::Bucket
        | Form::Folder
        | Form::Qualifier
        | Form::Arn(_)
        | Form::Queue
        | Form::Secret
        | Form::Document
        | Form::Model => false,
    }
}

/// Whether a piece of an ARN can stand in the place of a text of this form.
pub(super) fn fits(form: Form<'_>, piece: &str) -> bool {
    match form {
        Form::Word | Form::Key | Form::Tail => is_word(piece),
        Form::Path | Form::Plain | Form::Folder | Form::Parameter => is_path(piece),
        Form::IamPath => piece.is_empty() || piece.ends_with('/') && is_path(piece),
        Form::Function => {
            let mut names = piece.splitn(3, ':');
            names.by_ref().take(2).all(is_word) && names.next().is_none()
        }
        Form::Revision => is_revision(piece),
        Form::Bucket
        | Form::Qualifier
        | Form::Arn(_)
        | Form::Queue
        | Form::Secret
        | Form::Document
        | Form::Model => false,
    }
}

/// Names never have wildcards, spaces or control characters; something that has could make an ARN
/// say more than it should.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'*' | b'?' | b'"' | b'\\'))
}

/// `family:7`.
fn is_revision(text: &str) -> bool {
    text.split_once(':').is_some_and(|(family, revision)| {
        is_word(family) && !revision.is_empty() && revision.bytes().all(|b| b.is_ascii_digit())
    })
}

/// `eu-west-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number =
        parts.last().is_some_and(|last| !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()));
    parts.len() >= 3 && number && parts.first().is_some_and(|first| first.len() <= 4)
}

/// One segment of an ARN.
fn is_word(text: &str) -> bool {
    is_name(text) && !text.contains([':', '/'])
}

/// Segments of an ARN's resource.
pub(super) fn is_path(text: &str) -> bool {
    is_name(text) && !text.contains(':')
}
