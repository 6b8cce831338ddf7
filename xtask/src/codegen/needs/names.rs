//! How members, placeholders and resource types are named alike.

/// Letters and digits in lower case: `DBInstanceIdentifier` and `db-instance-identifier` are the same.
pub fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// What a name is about: without `Name`, `Id`, `Arn`… and plural at its end. Empty for `ResourceId`.
pub fn stem(name: &str) -> String {
    const ENDINGS: [&str; 15] = [
        "identifiers",
        "identifier",
        "uniqueid",
        "resourceid",
        "uuid",
        "names",
        "name",
        "arns",
        "arn",
        "ids",
        "id",
        "lists",
        "list",
        "unique",
        "resource",
    ];
    let mut stem = plain(name);
    while let Some(shorter) = ENDINGS.iter().find_map(|ending| stem.strip_suffix(ending)) {
        stem = shorter.to_owned();
    }
    singular(&stem)
}

/// `policies` → `policy`, `tables` → `table`; what ends in `ss` or `us` stays.
pub fn singular(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("ies") {
        return format!("{stem}y");
    }
    match word.strip_suffix('s') {
        Some(stem) if !stem.ends_with('s') && !stem.ends_with('u') && stem.len() > 2 => stem.to_owned(),
        _ => word.to_owned(),
    }
}

/// Whether a member may say which resource is meant.
pub fn identifies(name: &str) -> bool {
    const WORDS: [&str; 11] = [
        "id",
        "ids",
        "arn",
        "arns",
        "name",
        "names",
        "identifier",
        "identifiers",
        "identity",
        "identities",
        "uuid",
    ];
    let plain = plain(name);
    WORDS.iter().any(|word| plain.ends_with(word))
}

/// The verb of an operation and what it is about: `CreateDBInstance` → `create`, `dbinstance`.
pub fn verb_and_noun(operation: &str) -> (String, String) {
    let end = operation
        .char_indices()
        .skip(1)
        .find(|(_, c)| c.is_ascii_uppercase())
        .map_or(operation.len(), |(at, _)| at);
    let (verb, noun) = operation.split_at(end);
    if verb == "Batch" {
        return verb_and_noun(noun);
    }
    (verb.to_ascii_lowercase(), plain(noun))
}

/// Whether an operation makes something.
pub fn makes(operation: &str) -> bool {
    const VERBS: [&str; 16] = [
        "create",
        "run",
        "start",
        "allocate",
        "request",
        "import",
        "register",
        "copy",
        "restore",
        "purchase",
        "submit",
        "provision",
        "send",
        "invite",
        "publish",
        "upload",
    ];
    VERBS.contains(&verb_and_noun(operation).0.as_str())
}
