//! Amazon Resource Names, as far as policies look into them.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>

/// `arn:partition:service:region:account:resource`; region and account are absent in some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arn<'a> {
    pub(super) service: &'a str,
    pub(super) region: Option<&'a str>,
    pub(super) account: Option<&'a str>,
    /// The kind of resource, e.g. `table`, `function`, `bucket`, `object`.
    pub(super) kind: Option<&'a str>,
}

impl<'a> Arn<'a> {
    /// Reads an ARN; `None` for anything else, also `*`.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        if parts.next()? != "arn" {
            return None;
        }
        let filled = |part: &'a str| (!part.is_empty()).then_some(part);
        filled(parts.next()?)?;
        let service = filled(parts.next()?)?;
        let region = filled(parts.next()?);
        let account = filled(parts.next()?);
        let resource = filled(parts.next()?)?;
        Some(Self { service, region, account, kind: kind(service, region, resource) })
    }
}

/// The word before the first `/` or `:`; three services write none and have few kinds.
fn kind<'a>(service: &str, region: Option<&str>, resource: &'a str) -> Option<&'a str> {
    match service {
        // Access points carry a region and say `accesspoint/…`; buckets and objects carry neither.
        "s3" if region.is_none() => Some(if resource.contains('/') { "object" } else { "bucket" }),
        "sqs" => Some("queue"),
        "sns" => Some("topic"),
        _ => {
            let (word, _) = resource.trim_start_matches('/').split_once(['/', ':'])?;
            (!word.is_empty()).then_some(word)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_kind() {
        type Parts<'a> = (&'a str, Option<&'a str>, Option<&'a str>, Option<&'a str>);
        let check = |text, expected: Option<Parts<'_>>| {
            let parsed = Arn::parse(text).map(|arn| (arn.service, arn.region, arn.account, arn.kind));
            assert_eq!(parsed, expected, "{text}");
        };
        check("arn:aws:s3:::builds", Some(("s3", None, None, Some("bucket"))));
        check("arn:aws:s3:::builds/a:b/c", Some(("s3", None, None, Some("object"))));
        check(
            "arn:aws:s3:eu-west-1:123456789012:accesspoint/ap",
            Some(("s3", Some("eu-west-1"), Some("123456789012"), Some("accesspoint"))),
        );
        check(
            "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/jobs/index/by-day",
            Some(("dynamodb", Some("cn-north-1"), Some("123456789012"), Some("table"))),
        );
        check(
            "arn:aws:lambda:us-east-1:123456789012:function:f:1",
            Some(("lambda", Some("us-east-1"), Some("123456789012"), Some("function"))),
        );
        check("arn:aws:iam::123456789012:role/r", Some(("iam", None, Some("123456789012"), Some("role"))));
        check(
            "arn:aws:sqs:us-east-1:123456789012:q",
            Some(("sqs", Some("us-east-1"), Some("123456789012"), Some("queue"))),
        );
        check(
            "arn:aws:apigateway:us-east-1::/restapis/x",
            Some(("apigateway", Some("us-east-1"), None, Some("restapis"))),
        );
        check("arn:aws:sts::123456789012:root", Some(("sts", None, Some("123456789012"), None)));
        check("*", None);
        check("", None);
        check("arn:aws:s3", None);
        check("arn:aws:s3:::", None);
        check("arn::s3:::b", None);
        check("arn:aws::::b", None);
        check("ARN:aws:s3:::b", None);
    }
}
