//! Our own lists: what of the marked is no secret, and what is one without being marked.

use std::cell::Cell;

use anyhow::{Context as _, Result, bail, ensure};

use crate::sh;

/// What a list says of a member that the models mark as sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Hidden where the configuration says so.
    Personal,
    /// Hidden.
    Secret,
}

/// A step from a shape to what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A member of a structure.
    Member(String),
    /// What is in a list.
    Item,
    /// The keys of a map.
    Key,
    /// What is in a map.
    Value,
}

impl Step {
    /// `Shape.Member`, `Shape[]`, `Shape{key}`, `Shape{}`.
    pub fn of(&self, shape: &str) -> String {
        match self {
            Self::Member(name) => format!("{shape}.{name}"),
            Self::Item => format!("{shape}[]"),
            Self::Key => format!("{shape}{{key}}"),
            Self::Value => format!("{shape}{{}}"),
        }
    }
}

/// All lists.
pub struct Lists {
    opened: Vec<Line>,
    noise: Vec<Line>,
    personal: Vec<Line>,
    /// Secrets that are not marked.
    pub rules: Vec<Rule>,
}

/// A line about marked members.
struct Line {
    service: String,
    words: Vec<Word>,
}

struct Word {
    glob: String,
    /// What the other words of the line are not about.
    except: bool,
    used: Cell<bool>,
}

/// A path to a secret that is not marked.
pub struct Rule {
    /// The service.
    pub service: String,
    start: String,
    /// What follows the first shape.
    pub steps: Vec<Step>,
    text: String,
    /// Whether something is at its end.
    pub used: Cell<bool>,
}

impl Lists {
    /// Reads the lists.
    pub fn read() -> Result<Self> {
        let dir = sh::root().join("xtask/src/codegen/secrets");
        let text = |name: &str| {
            let path = dir.join(name);
            std::fs::read_to_string(&path).with_context(|| path.display().to_string())
        };
        let opened = text("opened.txt")?;
        Self::parse(&opened, &text("noise.txt")?, &text("personal.txt")?, &text("unmarked.txt")?)
    }

    /// The texts.
    pub fn parse(opened: &str, noise: &str, personal: &str, unmarked: &str) -> Result<Self> {
        let marks = |text| words(text).map(|(service, words)| Line::new(service, &words)).collect();
        let rules = words(unmarked).flat_map(|(service, words)| {
            words.into_iter().map(move |word| Rule::parse(service, word)).collect::<Vec<_>>()
        });
        Ok(Self {
            opened: marks(opened),
            noise: marks(noise),
            personal: marks(personal),
            rules: rules.collect::<Result<_>>()?,
        })
    }

    /// Whether a marked member is not hidden as a whole.
    pub fn opens(&self, service: &str, shape: &str, step: &Step) -> bool {
        self.opened.iter().any(|line| line.says(service, shape, step))
    }

    /// What a marked member of an answer is; `None` where it need not be hidden at all. What no list names is a secret.
    pub fn class(&self, service: &str, shape: &str, step: &Step) -> Option<Class> {
        let says = |lines: &[Line]| lines.iter().any(|line| line.says(service, shape, step));
        match () {
            () if self.opens(service, shape, step) || says(&self.noise) => None,
            () if says(&self.personal) => Some(Class::Personal),
            () => Some(Class::Secret),
        }
    }

    /// That every word of every list was about something: models change.
    pub fn check(&self) -> Result<()> {
        let mut unused = Vec::new();
        for line in self.opened.iter().chain(&self.noise).chain(&self.personal) {
            for word in line.words.iter().filter(|word| !word.used.get()) {
                let sign = if word.except { "-" } else { "" };
                unused.push(format!("{} {sign}{}", line.service, word.glob));
            }
        }
        unused.extend(self.rules.iter().filter(|rule| !rule.used.get()).map(|rule| rule.text.clone()));
        ensure!(unused.is_empty(), "the models have nothing (any more) for: {}", unused.join("; "));
        Ok(())
    }
}

/// The service and the words of each line; `#` begins a remark.
fn words(text: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    text.lines().filter_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        Some((words.next()?, words.collect()))
    })
}

impl Line {
    fn new(service: &str, words: &[&str]) -> Self {
        let word = |word: &&str| {
            let (glob, except) = word.strip_prefix('-').map_or((*word, false), |glob| (glob, true));
            Word { glob: glob.to_owned(), except, used: Cell::new(false) }
        };
        Self { service: service.to_owned(), words: words.iter().map(word).collect() }
    }

    fn says(&self, service: &str, shape: &str, step: &Step) -> bool {
        if self.service != "*" && self.service != service {
            return false;
        }
        let whole = step.of(shape);
        let is = |word: &&Word| {
            let alone = matches!(step, Step::Member(name) if matches(&word.glob, name));
            alone || matches(&word.glob, &whole)
        };
        let (mut named, mut left_out) = (false, false);
        for word in self.words.iter().filter(is) {
            word.used.set(true);
            (named, left_out) = (named || !word.except, left_out || word.except);
        }
        named && !left_out
    }
}

impl Rule {
    fn parse(service: &str, text: &str) -> Result<Self> {
        let end = text.find(['.', '[', '{']).with_context(|| format!("{text}: no path"))?;
        let (start, mut rest) = text.split_at(end);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("[]") {
                (rest, _) = (after, steps.push(Step::Item));
            } else if let Some(after) = rest.strip_prefix("{}") {
                (rest, _) = (after, steps.push(Step::Value));
            } else if let Some(after) = rest.strip_prefix('.') {
                let (name, after) = after.split_at(after.find(['.', '[', '{']).unwrap_or(after.len()));
                (rest, _) = (after, steps.push(Step::Member(name.to_owned())));
            } else {
                bail!("{text} is no path");
            }
        }
        Ok(Self {
            service: service.to_owned(),
            start: start.to_owned(),
            steps,
            text: format!("{service} {text}"),
            used: Cell::new(false),
        })
    }

    /// Whether the path may begin at `shape`.
    pub fn begins(&self, service: &str, shape: &str) -> bool {
        self.service == service && matches(&self.start, shape)
    }
}

/// Whether `text` is one of those that `glob` stands for: `*` is anything.
fn matches(glob: &str, text: &str) -> bool {
    let Some((start, rest)) = glob.split_once('*') else { return glob == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    let mut ends = (0..=text.len()).filter_map(|at| text.get(at..));
    ends.any(|end| matches(rest, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str) -> Step {
        Step::Member(name.to_owned())
    }

    #[test]
    fn the_lists_decide_in_order_and_what_is_in_none_is_secret() {
        let lists = Lists::parse("s Out.Open", "* NextToken # a page", "s * -Password -Keys{}", "").unwrap();
        for (service, shape, step, expected) in [
            ("s", "Out", member("NextToken"), None),
            ("s", "Out", member("Open"), None),
            ("s", "Out", member("Name"), Some(Class::Personal)),
            ("s", "Out", member("Password"), Some(Class::Secret)),
            ("s", "Keys", Step::Value, Some(Class::Secret)),
            ("s", "Names", Step::Value, Some(Class::Personal)),
            ("other", "Out", member("Name"), Some(Class::Secret)),
        ] {
            assert_eq!(lists.class(service, shape, &step), expected, "{service} {shape} {step:?}");
        }
        assert!(lists.opens("s", "Out", &member("Open")) && !lists.opens("s", "In", &member("Open")));
        lists.check().unwrap();
    }

    #[test]
    fn a_word_that_is_about_nothing_is_an_error() {
        for (opened, noise, personal, unmarked, wrong) in [
            ("s Gone", "", "", "", "s Gone"),
            ("", "s Gone", "", "", "s Gone"),
            ("", "", "s * -Gone", "", "s -Gone"),
            ("", "", "", "s Shape.Gone", "s Shape.Gone"),
        ] {
            let lists = Lists::parse(opened, noise, personal, unmarked).unwrap();
            lists.class("s", "Shape", &member("Name"));
            let error = lists.check().unwrap_err().to_string();
            assert!(error.ends_with(&format!(": {wrong}")), "{error}");
        }
    }

    #[test]
    fn paths_are_read() {
        let rule = Rule::parse("s", "List[].Member{}").unwrap();
        assert_eq!(rule.steps, [Step::Item, member("Member"), Step::Value]);
        assert!(rule.begins("s", "List") && !rule.begins("s", "Lists") && !rule.begins("t", "List"));
        assert!(Rule::parse("s", "*.Key").unwrap().begins("s", "AnyOutput"));
        for wrong in ["Shape", "Shape[x]", "Shape{}x"] {
            assert!(Rule::parse("s", wrong).is_err(), "{wrong}");
        }
    }
}
