//! Which of the known names a mistyped one was meant to be.

/// The longest distance between a name and what it is taken for.
const FAR: usize = 3;

/// The known name closest to `name`, where it is close enough to be meant: a mistake in every three letters, at most three in all
/// (Damerau and Levenshtein's distance). The case of ASCII letters is no mistake.
#[must_use]
pub(crate) fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_ascii_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&lower, &known.to_ascii_lowercase()), known))
        .filter(|(distance, known)| *distance <= (known.len() / 3).clamp(1, FAR) && !known.is_empty())
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_name_is_meant_where_it_is_close() {
        let known = ["listen", "listener", "id", "", "CreateFunction"];
        assert_eq!(meant("lisen", known), Some("listen"));
        assert_eq!(meant("listner", known), Some("listener"));
        assert_eq!(meant("createfunctoin", known), Some("CreateFunction"));
        assert_eq!(meant("di", known), Some("id"));
        assert_eq!(meant("", known), None);
        assert_eq!(meant("x", known), None);
        assert_eq!(meant("lessen", known), Some("listen"));
        assert_eq!(meant("session", known), None);
    }
}
