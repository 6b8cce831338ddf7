//! The query string, read in the one way all parsers agree on.

use std::borrow::Cow;

use super::strict::percent_encoding_is_whole;

/// Why a query string is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// `+` is a space for some parsers and a plus for others; `;` separates pairs for some.
    #[error("the query string has a bare {0:?}, which must be percent-encoded")]
    BareCharacter(char),
    /// A `%` without two hexadecimal digits.
    #[error("the query string has a broken percent-encoding")]
    PercentEncoding,
    /// The decoded bytes are not UTF-8, or contain NUL.
    #[error("the query string is not UTF-8 text")]
    NotText,
    /// `a&&b`, or a pair without a name.
    #[error("the query string has an empty pair")]
    EmptyPair,
}

/// A decoded query string, in wire order. Names may repeat: see [`Query::duplicate`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn read(raw: Option<&str>) -> Result<Self, QueryError> {
        let raw = raw.unwrap_or_default();
        if raw.is_empty() {
            return Ok(Self::default());
        }
        let allowed =
            |c: &char| c.is_ascii_graphic() && !matches!(c, '+' | ';' | '"' | '\\' | '<' | '>' | '#');
        if let Some(bare) = raw.chars().find(|c| !allowed(c)) {
            return Err(QueryError::BareCharacter(bare));
        }
        if !percent_encoding_is_whole(raw) {
            return Err(QueryError::PercentEncoding);
        }
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if name.is_empty() {
                return Err(QueryError::EmptyPair);
            }
            Ok((decode(name)?, decode(value)?))
        };
        raw.split('&').map(pair).collect::<Result<_, _>>().map(Self)
    }

    /// The decoded pairs in wire order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a pair of this name is there.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The value of the first pair of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// A name that is there twice, if any; names that differ only in case count as the same.
    #[must_use]
    pub fn duplicate(&self) -> Option<&str> {
        let mut names: Vec<(String, &str)> =
            self.pairs().map(|(name, _)| (name.to_ascii_lowercase(), name)).collect();
        names.sort_unstable();
        names.windows(2).find_map(|pair| match pair {
            [(one, name), (two, _)] if one == two => Some(*name),
            _ => None,
        })
    }

    /// Only the pairs whose name `keep`s.
    pub(super) fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| keep(name)).cloned().collect())
    }

    /// Whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn decode(text: &str) -> Result<String, QueryError> {
    match percent_encoding::percent_decode_str(text).decode_utf8() {
        Ok(text) if text.contains('\0') => Err(QueryError::NotText),
        Ok(text) => Ok(Cow::into_owned(text)),
        Err(_) => Err(QueryError::NotText),
    }
}
