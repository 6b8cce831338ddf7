//! Names that a service does not tell apart by case: `PROD` is `prod` to it, and two resources to a rule.

use super::arn::Arn;

/// Services whose names are lower case and may be asked for in any: as the models' documentation says of
/// the identifiers of these.
const LOWER: [&str; 5] = ["dax", "elasticache", "memorydb", "rds", "redshift"];

/// What Glue keeps in lower case, "for Hive compatibility"; names of jobs, crawlers… are told by case.
///
/// <https://docs.aws.amazon.com/glue/latest/webapi/API_Database.html>
const GLUE: [&str; 3] = ["database/", "table/", "userDefinedFunction/"];

/// The ARN as the service has it; `None` where that is not certain.
pub(super) fn told(arn: String) -> Option<String> {
    let Some(parsed) = Arn::parse(&arn) else { return Some(arn) };
    let start = arn.len() - parsed.resource.len();
    let mut capitals = parsed.resource.bytes().filter(u8::is_ascii_uppercase);
    if LOWER.contains(&parsed.service) {
        return capitals.next().is_none().then_some(arn);
    }
    let kind = GLUE.iter().find(|kind| parsed.resource.starts_with(**kind));
    match kind.filter(|_| parsed.service == "glue") {
        Some(kind) => {
            let (kept, name) = arn.split_at_checked(start + kind.len())?;
            Some(format!("{kept}{}", name.to_lowercase()))
        }
        None => Some(arn),
    }
}
