//! Which members fill the ARN of a resource type.
//!
//! A member is taken where its name says so. Whoever makes a request chooses its members: so one that
//! AWS does not insist on is not taken while one that it does insist on is left unexplained.

use std::collections::BTreeMap;

use super::{
    iam::Type,
    model::{Input, Kind, Member},
    names::{identifies, plain, singular, stem, verb_and_noun},
};

/// The ARN of one resource type, filled as far as names tell.
pub struct Filled {
    /// ARNs in the language of needs, one for every way to name the resource.
    pub templates: Vec<String>,
    /// Whether every one of them takes only members that AWS insists on.
    pub firm: bool,
    /// The members taken.
    pub members: Vec<String>,
}

/// An ARN of iam-data taken apart.
struct Pattern<'a> {
    service: &'a str,
    region: &'a str,
    account: &'a str,
    /// Literal before each placeholder, and the placeholder's name.
    pieces: Vec<(&'a str, &'a str)>,
    tail: &'a str,
}

/// What a member is also called: placeholders and resource types, from an overlay.
pub type Aliases = BTreeMap<String, Vec<String>>;

/// The forms of members' texts, from an overlay.
pub type Forms = BTreeMap<String, String>;

/// The members that have to do with a resource type, though they do not fill its ARN: AWS chose a part
/// of it that requests never say.
pub fn related(of: &Type, operation: &str, input: &Input<'_>, aliases: &Aliases) -> Vec<String> {
    let forms = Forms::new();
    let fill = Fill { of, operation, input, aliases, forms: &forms, accounts: &[], alone: true, made: false };
    let Some(pattern) = of.arn.split(", ").next().and_then(Pattern::read) else { return Vec::new() };
    let relates = |member: &&Member<'_>| {
        let about = stem(member.name);
        pattern.pieces.iter().any(|piece| {
            fill.score(member, piece.1, pattern.kind()) > 0
                || fill.parent_score(member, piece.1, &pattern) > 0
        }) || !about.is_empty() && about == singular(&plain(&of.name))
    };
    input.members.iter().filter(relates).map(|member| member.name.to_owned()).collect()
}

/// A resource type whose ARN is to be filled from an operation's input.
#[derive(Clone, Copy)]
pub struct Fill<'a> {
    /// The type.
    pub of: &'a Type,
    /// The operation's name.
    pub operation: &'a str,
    /// Its input.
    pub input: &'a Input<'a>,
    /// What members are also called.
    pub aliases: &'a Aliases,
    /// The forms of their texts.
    pub forms: &'a Forms,
    /// Members that say in whose account the resource is.
    pub accounts: &'a [String],
    /// Whether the action knows no other type.
    pub alone: bool,
    /// Whether the operation makes the resource.
    pub made: bool,
}

impl Fill<'_> {
    /// The ARN, filled; `None` where no names fit.
    pub fn fill(mut self) -> Option<Filled> {
        let members = self.input.members.iter();
        let named = members.filter(|member| member.label || member.required && identifies(member.name));
        let others = named.filter(|member| !self.accounts.iter().any(|name| name == member.name));
        self.alone = self.alone && others.count() == 1;
        // Some have an older form besides.
        self.of.arn.split(", ").find_map(|arn| self.by(arn))
    }
}

impl Fill<'_> {
    fn by(&self, arn: &str) -> Option<Filled> {
        let pattern = Pattern::read(arn)?;
        self.by_arn_only(&pattern, 2)
            .or_else(|| self.by_names(&pattern))
            .or_else(|| self.by_arn_only(&pattern, 1))
    }

    fn by_names(&self, pattern: &Pattern<'_>) -> Option<Filled> {
        let input = self.input;
        let account = account(input, self.accounts);
        let (last, parents) =
            pattern.pieces.split_last().map_or((None, &[][..]), |(last, rest)| (Some(last), rest));
        let Some(last) = last else {
            // No placeholder: there is one in every account, like Glue's catalog.
            let template = pattern.write(&account, &[], self.forms);
            return template.map(|template| Filled {
                templates: vec![template],
                firm: true,
                members: Vec::new(),
            });
        };
        let mut chosen = Vec::new();
        for (_, placeholder) in parents {
            let (_, candidates) = best(input, |member| self.parent_score(member, placeholder, pattern));
            chosen.push(*candidates.first()?);
        }
        let kind = pattern.kind();
        let (_, candidates) = best(input, |member| self.score(member, last.1, kind));
        let candidates: Vec<&Member<'_>> = candidates
            .into_iter()
            .filter(|member| !chosen.iter().any(|other| other.path == member.path))
            .collect();
        let mut filled = Filled { templates: Vec::new(), firm: true, members: Vec::new() };
        for candidate in candidates {
            let members: Vec<&Member<'_>> = chosen.iter().copied().chain([candidate]).collect();
            let template = pattern.write(&account, &members, self.forms)?;
            let optional = members.iter().all(|member| !(member.required || member.label));
            filled.firm &= members.iter().all(|member| member.required || member.label);
            filled.templates.push(if optional { format!("{template}?") } else { template });
            filled.members.extend(members.iter().map(|member| member.path.clone()));
        }
        (!filled.templates.is_empty()).then_some(filled)
    }
}

/// Required members that may name a resource and that nothing has taken.
pub fn unexplained<'a>(input: &'a Input<'_>, taken: &[String], accounts: &[String]) -> Vec<&'a str> {
    let members = input.members.iter().filter(|member| member.kind != Kind::Other);
    let members = members.filter(|member| member.label || member.required && identifies(member.name));
    let members = members.filter(|member| !taken.iter().any(|name| name == member.name));
    members.map(|member| member.name).filter(|name| !accounts.iter().any(|of| of == name)).collect()
}

/// Members that AWS does not insist on, that may name a resource as well as those taken.
pub fn alternatives<'a>(input: &'a Input<'_>, taken: &[String], accounts: &[String]) -> Vec<&'a str> {
    let stems: Vec<String> = taken.iter().map(|name| stem(name)).collect();
    let names = |member: &&Member<'_>| {
        identifies(member.name) && member.kind != Kind::Other || stems.contains(&stem(member.name))
    };
    let others = input.members.iter().filter(|member| !member.required && !member.label).filter(names);
    let others = others.map(|member| member.name).filter(|name| !taken.iter().any(|taken| taken == name));
    others.filter(|name| !accounts.iter().any(|account| account == name)).collect()
}

/// The members that fit best, and how well.
fn best<'a, 'b>(input: &'b Input<'a>, score: impl Fn(&Member<'a>) -> u32) -> (u32, Vec<&'b Member<'a>>) {
    let scored: Vec<(u32, &Member<'a>)> = input
        .members
        .iter()
        .chain(&input.inner)
        .filter(|member| member.kind != Kind::Other)
        .map(|member| (score(member), member))
        .filter(|(score, _)| *score > 0)
        .collect();
    let top = scored.iter().map(|(score, _)| *score).max().unwrap_or(0);
    let best: Vec<&Member<'a>> =
        scored.into_iter().filter(|(score, _)| *score == top).map(|(_, member)| member).collect();
    // What is not in another structure comes first, then what AWS insists on: that decides, unless there
    // is an ARN as well, or the other end of something; another name is a new one.
    let some = |keep: &dyn Fn(&&Member<'a>) -> bool, best: Vec<&'b Member<'a>>| {
        let kept: Vec<&Member<'a>> = best.iter().copied().filter(|member| keep(member)).collect();
        if kept.is_empty() { best } else { kept }
    };
    let best = some(&|member| member.path == member.name, best);
    let insisted = best.iter().any(|member| member.required || member.label);
    let decides = |member: &&Member<'a>| {
        let name = plain(member.name);
        let end = ["source", "target", "destination"].iter().any(|start| name.starts_with(start));
        !insisted || member.required || member.label || name.ends_with("arn") || end
    };
    (top, some(&decides, best))
}

impl Fill<'_> {
    fn is_arn_of(&self, member: &Member<'_>) -> bool {
        let name = format!("arn:{}", plain(&self.of.name));
        self.aliases.get(member.name).is_some_and(|names| names.contains(&name))
    }

    fn is_called(&self, member: &Member<'_>, name: &str) -> bool {
        self.aliases.get(member.name).is_some_and(|names| names.iter().any(|known| known == &plain(name)))
    }

    fn score(&self, member: &Member<'_>, placeholder: &str, kind: &str) -> u32 {
        let Self { of, operation, .. } = *self;
        if self.is_called(member, placeholder) || self.is_called(member, &of.name) || self.is_arn_of(member) {
            return 7;
        }
        // AWS chooses ids, whatever the name.
        if is_id(placeholder) && !is_id(member.name) && (self.made || plain(member.name).ends_with("name")) {
            return 0;
        }
        let (name, wanted) = (plain(member.name), plain(placeholder));
        let (about, wanted_about) = (stem(member.name), stem(placeholder));
        let of_type = singular(&plain(&of.name));
        let kind = singular(&plain(kind));
        let insisted = member.required || member.label;
        if !identifies(member.name) && name != wanted && about != of_type {
            return 0;
        }
        if name == wanted && !wanted_about.is_empty() {
            return 6;
        }
        if !about.is_empty() && about == wanted_about {
            return 5;
        }
        if !about.is_empty() && (about == of_type || about == kind) {
            return 4;
        }
        let (_, noun) = verb_and_noun(operation);
        let noun = singular(&noun);
        // Within another structure a mere `Name` is that structure's.
        if let Some((outer, _)) = member.path.split_once('.') {
            let fits = about.is_empty() && plain(outer).contains(&of_type) && of_type.len() > 2;
            return if fits { 3 } else { 0 };
        }
        let noun_fits = noun == of_type || noun == kind || !wanted_about.is_empty() && noun == wanted_about;
        if about.is_empty() && insisted && (noun_fits || self.alone) {
            return 3;
        }
        if self.alone
            && insisted
            && [&of_type, &kind].into_iter().any(|word| word.len() > 2 && about.ends_with(word.as_str()))
        {
            return 3;
        }
        // `dbcluster` for a cluster, `sourcesnapshot` and `targetsnapshot` for a snapshot.
        const BEFORE: [&str; 8] =
            ["source", "target", "destination", "src", "dest", "db", "existing", "current"];
        let ends =
            |word: &str| word.len() > 2 && BEFORE.iter().any(|before| about == format!("{before}{word}"));
        if ends(&of_type) || ends(&kind) || ends(&wanted_about) {
            return 2;
        }
        0
    }

    fn parent_score(&self, member: &Member<'_>, placeholder: &str, pattern: &Pattern<'_>) -> u32 {
        if self.is_called(member, placeholder) {
            return 5;
        }
        let (name, wanted) = (plain(member.name), plain(placeholder));
        let (about, wanted_about) = (stem(member.name), stem(placeholder));
        let before = pattern.pieces.iter().find(|piece| piece.1 == placeholder).map_or("", |piece| piece.0);
        let before = before.rsplit(['/', ':']).find(|word| !word.is_empty()).unwrap_or("");
        let before = singular(&plain(before));
        if member.kind != Kind::Scalar {
            return 0;
        }
        match () {
            () if name == wanted => 4,
            () if !about.is_empty() && about == wanted_about => 3,
            () if !about.is_empty() && about == before && identifies(member.name) => {
                // `environment/${ApplicationName}/…`: the word is that of the whole, not of this part.
                if wanted_about.is_empty() || wanted_about == before { 2 } else { 0 }
            }
            () => 0,
        }
    }
}

impl<'a> Pattern<'a> {
    fn read(arn: &'a str) -> Option<Self> {
        let rest = arn.strip_prefix("arn:${Partition}:")?;
        let (service, rest) = rest.split_once(':')?;
        let (region, rest) = rest.split_once(':')?;
        let (account, resource) = rest.split_once(':')?;
        let mut pieces = Vec::new();
        let mut rest = resource;
        while let Some((literal, after)) = rest.split_once("${") {
            let (placeholder, after) = after.split_once('}')?;
            pieces.push((literal, placeholder));
            rest = after;
        }
        let word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let field = |text: &str, own: &[&str]| text.is_empty() || own.contains(&text) || word(text);
        let fits =
            word(service) && field(region, &["${Region}"]) && field(account, &["${Account}", "${AccountId}"]);
        fits.then_some(Self { service, region, account, pieces, tail: rest })
    }

    /// The word before the last placeholder: `table` of `table/${TableName}`.
    fn kind(&self) -> &'a str {
        let before = self.pieces.last().map_or("", |piece| piece.0);
        before.rsplit(['/', ':']).find(|word| !word.is_empty()).unwrap_or("")
    }

    fn has_wildcard(&self) -> bool {
        self.tail.contains('*') || self.pieces.iter().any(|piece| piece.0.contains('*'))
    }

    /// The ARN with members in its placeholders, in order.
    fn write(&self, account: &str, members: &[&Member<'_>], forms: &Forms) -> Option<String> {
        if self.has_wildcard() || members.len() != self.pieces.len() {
            return None;
        }
        let mut text = match (self.region, self.account) {
            ("${Region}", "${Account}" | "${AccountId}") if account == "${Account}" => {
                format!("~:{}:", self.service)
            }
            ("", "${Account}" | "${AccountId}") if account == "${Account}" => format!("^:{}:", self.service),
            (region, own) => {
                let own = if own.starts_with('$') { account } else { own };
                format!("arn:${{Partition}}:{}:{region}:{own}:", self.service)
            }
        };
        for ((literal, _), member) in self.pieces.iter().zip(members) {
            text.push_str(literal);
            match forms.get(member.name) {
                Some(form) => text.push_str(&format!("${{{}|{form}}}", member.path)),
                None => text.push_str(&format!("${{{}}}", member.path)),
            }
        }
        text.push_str(self.tail);
        Some(text)
    }
}

impl Fill<'_> {
    /// Where one member is the ARN and the rest of the placeholders have no members of their own.
    /// `least`: how well its name must fit; 1: it is merely called an ARN.
    fn by_arn_only(&self, pattern: &Pattern<'_>, least: u32) -> Option<Filled> {
        let Self { operation, input, .. } = *self;
        let arns = |member: &Member<'_>| {
            let plain = plain(member.name);
            plain.ends_with("arn")
                || plain.ends_with("arns")
                || plain.ends_with("arnlist")
                || pattern.has_wildcard() && plain.ends_with("identifier")
                || self.is_arn_of(member)
        };
        let complex = pattern.has_wildcard() || pattern.pieces.len() > 1;
        let last = pattern.pieces.last().map_or("", |piece| piece.1);
        let (top, found) = best(input, |member| {
            if !arns(member) {
                return 0;
            }
            let generic = stem(member.name).is_empty();
            let (verb, noun) = verb_and_noun(operation);
            let about_tags = noun.contains("tag") || verb.contains("tag") || noun.contains("resource");
            match self.score(member, last, pattern.kind()) {
                0 | 3 if member.path != member.name => 0,
                0 if generic && (about_tags || member.required) => 1,
                score => score,
            }
        });
        if top < least || !complex && top > 1 {
            return None;
        }
        let prefix = pattern.pieces.first().map_or(pattern.tail, |piece| piece.0);
        let prefix = prefix.split('*').next().unwrap_or("");
        let kind = if prefix.is_empty() {
            pattern.service.to_owned()
        } else {
            format!("{}:{prefix}", pattern.service)
        };
        let firm = found.iter().all(|member| member.required || member.label);
        let write = |member: &&Member<'_>| {
            let optional = if member.required || member.label { "" } else { "?" };
            format!("${{{}|arn:{kind}}}{optional}", member.path)
        };
        Some(Filled {
            templates: found.iter().map(write).collect(),
            firm,
            members: found.iter().map(|member| member.path.clone()).collect(),
        })
    }
}

/// Whether a name is that of an id, rather than of a name.
fn is_id(name: &str) -> bool {
    let plain = plain(name);
    ["id", "ids", "uuid", "identifier", "arn", "arns"].iter().any(|ending| plain.ends_with(ending))
}

/// The account of the resource: the own one, or what a member says.
fn account(input: &Input<'_>, accounts: &[String]) -> String {
    let member = input.members.iter().find(|member| accounts.iter().any(|name| name == member.name));
    member.map_or("${Account}".to_owned(), |member| format!("${{Account|{}}}", member.name))
}

/// One template instead of several that are whole ARNs in the same member: it can be only one of them.
pub fn merged(mut templates: Vec<String>) -> Vec<String> {
    templates.sort();
    templates.dedup();
    let whole = |text: &str| -> Option<(String, String, String)> {
        let (member, rest) = text.strip_prefix("${")?.split_once("|arn:")?;
        let (kinds, optional) = rest.split_once('}')?;
        Some((member.to_owned(), optional.to_owned(), kinds.to_owned()))
    };
    // `~:a:x/${ThingArn}` of two types as well.
    let of_arn = |text: &str| -> Option<(String, String, String)> {
        let rest = text.strip_prefix("~:").or_else(|| text.strip_prefix("^:"))?;
        let (kind, member) = rest.split_once("${")?;
        let (member, optional) = member.split_once('}')?;
        let last = plain(member.rsplit('.').next()?);
        (last.ends_with("arn") || last.ends_with("arns")).then_some(())?;
        matches!(optional, "" | "?").then_some(())?;
        (!member.contains('|')).then(|| (member.to_owned(), optional.to_owned(), kind.to_owned()))
    };
    let mut groups: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for text in &templates {
        if let Some((member, optional, kind)) = whole(text).or_else(|| of_arn(text)) {
            groups.entry((member, optional)).or_default().push(kind);
        }
    }
    let single = |text: &str| {
        let group = whole(text).or_else(|| of_arn(text));
        group.is_none_or(|(member, optional, _)| {
            groups.get(&(member, optional)).is_none_or(|kinds| kinds.len() == 1)
        })
    };
    let mut merged: Vec<String> = templates.iter().filter(|text| single(text)).cloned().collect();
    for ((member, optional), mut kinds) in groups.into_iter().filter(|(_, kinds)| kinds.len() > 1) {
        if kinds.len() > 4 {
            kinds = kinds.iter().filter_map(|kind| kind.split(':').next()).map(str::to_owned).collect();
        }
        kinds.sort();
        kinds.dedup();
        merged.push(format!("${{{member}|arn:{}}}{optional}", kinds.join(",")));
    }
    merged
}
