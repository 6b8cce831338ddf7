//! What an operation needs of IAM: one line per action and resource. *pure*
//!
//! ```text
//! ACTION RESOURCE [each PATH] [when TESTS | unless TESTS]...
//! ```
//! A *resource* is one of
//! - `*`: what cannot be told from a request;
//! - `roles`: every role that the request names, wherever it does;
//! - `objects`: every object of S3 that the request names by a URI, wherever it does;
//! - an ARN with placeholders; a `?` behind it: nothing where no placeholder's member is there.
//!
//! ARNs may start with `~:` for `arn:${Partition}:SERVICE:${Region}:${Account}:`, or with `^:` for
//! `arn:${Partition}:SERVICE::${Account}:`; the service follows. A *placeholder* `${PATH|FORM=DEFAULT}` is a
//! member of the request, the form of its text ([`Form`]), and what AWS takes where the member is
//! absent. `${Partition}`, `${Region}` and `${Account}` are the call's own; `${Account|PATH}` is the
//! account that a member names, else the own.
//!
//! A *path* is member names with dots between them; `*` are all items of a list, all values of a
//! map, and at the end of a path the keys of a map. With `each`, the line stands for every item of a
//! list, and paths start at the item; a path that starts with `/` starts at the request.
//!
//! A *test* is `PATH` (there, and not empty), `PATH=TEXT` or `PATH~TEXT` (contains, in any case);
//! `|` between tests is *or*.
//!
//! Every need whose condition holds must be allowed. An action all of whose resources are optional
//! and absent is needed on `*`.

/// One action and the resource that it is needed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need<'a> {
    /// `service:Name` as IAM writes it.
    pub action: &'a str,
    /// On what.
    pub resource: Resource<'a>,
    /// The list for whose every item the need stands.
    pub each: Option<Path<'a>>,
    /// All must hold.
    pub conditions: Vec<Condition<'a>>,
}

/// What an action is needed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource<'a> {
    /// Not told by a request.
    Any,
    /// The roles that the request hands to a service.
    Roles,
    /// The objects of S3 that the request names by their URIs.
    Objects,
    /// An ARN that is filled from the request.
    Arn {
        /// Its parts.
        template: ArnTemplate<'a>,
        /// Whether it is left out where none of its members is there.
        optional: bool,
    },
}

/// An ARN with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArnTemplate<'a> {
    /// A member whose text is the ARN, or is made into the whole of one.
    Whole(Placeholder<'a>),
    /// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
    Parts {
        /// The service's name in ARNs.
        service: &'a str,
        /// The region.
        region: Field<'a>,
        /// The account.
        account: Field<'a>,
        /// What follows.
        resource: Vec<Part<'a>>,
    },
}

/// The region or account of an ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field<'a> {
    /// None.
    Empty,
    /// The call's own.
    Own,
    /// Always this.
    Fixed(&'a str),
    /// What the member names; the call's own where it is absent.
    Member(Path<'a>),
}

/// A piece of an ARN's resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<'a> {
    /// Always this.
    Literal(&'a str),
    /// Filled from the request.
    Member(Placeholder<'a>),
}

/// Where a text comes from and what it must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder<'a> {
    /// The member.
    pub path: Path<'a>,
    /// What its text looks like.
    pub form: Form<'a>,
    /// What AWS takes where the member is absent.
    pub default: Option<&'a str>,
}

/// What the text of a member looks like, and how it becomes a piece of an ARN or all of it. Except
/// for [`Form::Plain`] and [`Form::Bucket`], a text that is itself an ARN stands for the ARN up to here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form<'a> {
    /// One name, without `:` and `/`. No form is written.
    Word,
    /// A name that may have `/` in it.
    Path,
    /// The same, never an ARN.
    Plain,
    /// An IAM path: `/` or `/a/b/`.
    IamPath,
    /// A bucket.
    Bucket,
    /// The beginning of object keys: nothing, or with a `/` at its end.
    Folder,
    /// A Lambda function: name, `name:qualifier`, `account:function:name`.
    Function,
    /// Nothing, or a name with `:` before it.
    Qualifier,
    /// `family:revision`; without a revision AWS takes one that is not told.
    Revision,
    /// A KMS key's id; behind an alias is a key that is not told.
    Key,
    /// An id with an optional path before it (Route 53: `/hostedzone/Z1`).
    Tail,
    /// An SSM parameter: a leading `/` is dropped, and so are version and label.
    Parameter,
    /// The whole ARN of a resource of one of these services, with commas between them.
    Arn(&'a str),
    /// An SQS queue by its URL; the whole ARN.
    Queue,
    /// A Secrets Manager secret; only its whole ARN with the random suffix tells which.
    Secret,
    /// An SSM document; those of AWS are in no account; the whole ARN.
    Document,
    /// A Bedrock model or inference profile, by id or ARN; the whole ARN.
    Model,
}

/// Member names from the request, or from an item of the list in `each`, inwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path<'a> {
    /// Whether it starts at the request within an `each`.
    pub absolute: bool,
    /// The names; `*` are all of a list or map.
    pub names: Vec<&'a str>,
}

/// When a need stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition<'a> {
    /// Whether one of the tests must hold, or none may.
    pub when: bool,
    /// The tests.
    pub tests: Vec<Test<'a>>,
}

/// A question about a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test<'a> {
    /// The member.
    pub path: Path<'a>,
    /// What is asked.
    pub ask: Ask<'a>,
}

/// What is asked about a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask<'a> {
    /// Whether it is there and not empty.
    Named,
    /// Whether it has this text, in any case.
    Is(&'a str),
    /// Whether it contains this text, in any case.
    Contains(&'a str),
}

/// A line that is no need.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line:?}: {why}")]
pub struct BadNeed {
    line: String,
    why: &'static str,
}

impl<'a> Need<'a> {
    /// Reads one line.
    ///
    /// # Errors
    /// [`BadNeed`]: the line is not in the language above.
    pub fn parse(line: &'a str) -> Result<Self, BadNeed> {
        Self::read(line).map_err(|why| BadNeed { line: line.chars().take(300).collect(), why })
    }

    fn read(line: &'a str) -> Result<Self, &'static str> {
        let mut words = line.split_ascii_whitespace();
        let action = words.next().ok_or("it is empty")?;
        if !action.split_once(':').is_some_and(|(prefix, name)| is_word(prefix) && is_word(name)) {
            return Err("the action is not PREFIX:Name");
        }
        let resource = Resource::read(words.next().ok_or("it has no resource")?)?;
        let mut need = Self { action, resource, each: None, conditions: Vec::new() };
        while let Some(word) = words.next() {
            let argument = words.next().ok_or("a word is missing at its end")?;
            match word {
                "each" if need.each.is_none() => need.each = Some(Path::read(argument)?),
                "when" | "unless" => {
                    let tests = argument.split('|').map(Test::read).collect::<Result<_, _>>()?;
                    need.conditions.push(Condition { when: word == "when", tests });
                }
                _ => return Err("it has a word that is not each, when or unless"),
            }
        }
        Ok(need)
    }
}

impl<'a> Resource<'a> {
    fn read(text: &'a str) -> Result<Self, &'static str> {
        match text {
            "*" => Ok(Self::Any),
            "roles" => Ok(Self::Roles),
            "objects" => Ok(Self::Objects),
            _ => {
                let (text, optional) = text.strip_suffix('?').map_or((text, false), |text| (text, true));
                Ok(Self::Arn { template: ArnTemplate::read(text)?, optional })
            }
        }
    }
}

impl<'a> ArnTemplate<'a> {
    fn read(text: &'a str) -> Result<Self, &'static str> {
        if let Some((Part::Member(member), "")) = Part::next(text)? {
            return Ok(Self::Whole(member));
        }
        if let Some(rest) = text.strip_prefix("~:") {
            return Self::parts(rest, Field::Own, Field::Own);
        }
        if let Some(rest) = text.strip_prefix("^:") {
            return Self::parts(rest, Field::Empty, Field::Own);
        }
        let rest = text.strip_prefix("arn:${Partition}:").ok_or("the resource is no ARN")?;
        let (service, rest) = rest.split_once(':').ok_or("the ARN has no region")?;
        let (region, rest) = rest.split_once(':').ok_or("the ARN has no account")?;
        let (account, resource) = rest.split_once(':').ok_or("the ARN has no resource")?;
        let (region, account) = (Field::read(region, "Region")?, Field::read(account, "Account")?);
        Self::checked(service, region, account, resource)
    }

    fn parts(text: &'a str, region: Field<'a>, account: Field<'a>) -> Result<Self, &'static str> {
        let (service, resource) = text.split_once(':').ok_or("the ARN has no resource")?;
        Self::checked(service, region, account, resource)
    }

    fn checked(
        service: &'a str,
        region: Field<'a>,
        account: Field<'a>,
        resource: &'a str,
    ) -> Result<Self, &'static str> {
        if !is_word(service) {
            return Err("the ARN has no service");
        }
        let mut parts = Vec::new();
        let mut rest = resource;
        while let Some((part, after)) = Part::next(rest)? {
            parts.push(part);
            rest = after;
        }
        if parts.is_empty() {
            return Err("the ARN has no resource");
        }
        Ok(Self::Parts { service, region, account, resource: parts })
    }
}

impl<'a> Field<'a> {
    fn read(text: &'a str, own: &str) -> Result<Self, &'static str> {
        let Some(inner) = text.strip_prefix("${").and_then(|text| text.strip_suffix('}')) else {
            return match text {
                "" => Ok(Self::Empty),
                fixed if is_word(fixed) => Ok(Self::Fixed(fixed)),
                _ => Err("the region or account is neither a word nor a placeholder"),
            };
        };
        match inner.split_once('|') {
            None if inner == own => Ok(Self::Own),
            Some((name, path)) if name == own => Ok(Self::Member(Path::read(path)?)),
            _ => Err("the region or account is a placeholder of something else"),
        }
    }
}

impl<'a> Part<'a> {
    /// The first part of `text` and what follows it.
    fn next(text: &'a str) -> Result<Option<(Self, &'a str)>, &'static str> {
        if text.is_empty() {
            return Ok(None);
        }
        let Some(inner) = text.strip_prefix("${") else {
            let end = text.find("${").unwrap_or(text.len());
            let (literal, rest) = text.split_at(end);
            if literal.contains(['*', '?', '{', '}', '$']) {
                return Err("the resource has a wildcard or a stray bracket");
            }
            return Ok(Some((Self::Literal(literal), rest)));
        };
        let (inner, rest) = inner.split_once('}').ok_or("a placeholder has no end")?;
        let (inner, default) = match inner.split_once('=') {
            Some((inner, default)) => (inner, Some(default)),
            None => (inner, None),
        };
        let (path, form) = match inner.split_once('|') {
            Some((path, form)) => (path, Form::read(form)?),
            None => (inner, Form::Word),
        };
        let placeholder = Placeholder { path: Path::read(path)?, form, default };
        Ok(Some((Self::Member(placeholder), rest)))
    }
}

impl<'a> Form<'a> {
    fn read(text: &'a str) -> Result<Self, &'static str> {
        Ok(match text {
            "path" => Self::Path,
            "plain" => Self::Plain,
            "iampath" => Self::IamPath,
            "bucket" => Self::Bucket,
            "folder" => Self::Folder,
            "function" => Self::Function,
            "qualifier" => Self::Qualifier,
            "revision" => Self::Revision,
            "document" => Self::Document,
            "key" => Self::Key,
            "tail" => Self::Tail,
            "parameter" => Self::Parameter,
            "queue" => Self::Queue,
            "secret" => Self::Secret,
            "model" => Self::Model,
            _ => match text.strip_prefix("arn:") {
                Some(services) if !services.is_empty() => Self::Arn(services),
                _ => return Err("a placeholder has a form that does not exist"),
            },
        })
    }
}

impl<'a> Path<'a> {
    fn read(text: &'a str) -> Result<Self, &'static str> {
        let (absolute, text) = text.strip_prefix('/').map_or((false, text), |text| (true, text));
        let names: Vec<&str> = text.split('.').collect();
        let fits = |name: &&str| {
            *name == "*" || !name.is_empty() && !name.contains(['*', '/', ':', '$', '{', '}', '?'])
        };
        if names.iter().all(fits) {
            Ok(Self { absolute, names })
        } else {
            Err("a path is not names with dots")
        }
    }
}

impl<'a> Test<'a> {
    fn read(text: &'a str) -> Result<Self, &'static str> {
        let (path, ask) = match text.find(['=', '~']).map(|at| text.split_at(at)) {
            None => (text, Ask::Named),
            Some((path, rest)) => match rest.strip_prefix('=') {
                Some(value) => (path, Ask::Is(value)),
                None => (path, Ask::Contains(rest.strip_prefix('~').unwrap_or(rest))),
            },
        };
        Ok(Self { path: Path::read(path)?, ask })
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests;
