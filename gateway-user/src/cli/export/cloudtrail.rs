//! Records in the shape of CloudTrail's.
//!
//! What CloudTrail writes about who called and from where is AWS's view of the gateway; here it is the gateway's view of
//! the agent. <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>

use serde_json::{Value, json};

use super::{error_code, event_source, refusal};
use crate::{
    catalog::{AccessLevel, catalog},
    record::query::CallView,
};

/// One document.
pub(super) fn records(calls: &[CallView]) -> Value {
    json!({ "Records": calls.iter().map(record).collect::<Vec<_>>() })
}

fn record(call: &CallView) -> Value {
    let resources: Vec<Value> = call
        .resources
        .texts()
        .into_iter()
        .filter(|arn| arn != "*")
        .map(|arn| json!({"ARN": arn, "accountId": call.account}))
        .collect();
    let mut record = json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "Unknown",
            "principalId": call.session,
            "userName": call.subject,
            "accountId": call.account,
            "accessKeyId": call.access_key_id,
            "invokedBy": call.workload,
        },
        "eventTime": seconds(&call.time),
        "eventSource": event_source(call),
        "eventName": call.operation,
        "awsRegion": call.region,
        // The gateway knows hosts and processes.
        "sourceIPAddress": call.hostname,
        "userAgent": format!("chaperone/{}", env!("CARGO_PKG_VERSION")),
        "errorCode": error_code(call),
        "errorMessage": refusal(call),
        "requestParameters": call.params,
        "responseElements": null,
        "requestID": call.aws_request_id,
        "eventID": call.id,
        "readOnly": read_only(call),
        "resources": resources,
        "eventType": "AwsApiCall",
        "recipientAccountId": call.account,
        "additionalEventData": {
            "decision": call.decision,
            "rules": call.rules,
            "reason": call.reason,
            "outcome": call.outcome,
            "status": call.status,
            "issuer": call.issuer,
            "groups": call.groups,
            "policyDigest": call.policy_digest,
        },
        "tlsDetails": {"clientProvidedHostHeader": call.host},
    });
    // CloudTrail has these of what went wrong, and of nothing else.
    if let Some(fields) = record.as_object_mut() {
        fields
            .retain(|name, value| !value.is_null() || !matches!(name.as_str(), "errorCode" | "errorMessage"));
    }
    record
}

/// CloudTrail's times have no fraction.
fn seconds(stamp: &str) -> String {
    stamp.split_at_checked(19).map_or_else(|| stamp.to_owned(), |(seconds, _)| format!("{seconds}Z"))
}

/// `null` where an action is not known.
fn read_only(call: &CallView) -> Option<bool> {
    let actions = call.actions.texts();
    if actions.is_empty() {
        return None;
    }
    let levels: Option<Vec<AccessLevel>> =
        actions.iter().map(|action| Some(catalog().action(action)?.access)).collect();
    levels.map(|levels| levels.iter().all(|level| matches!(level, AccessLevel::List | AccessLevel::Read)))
}
