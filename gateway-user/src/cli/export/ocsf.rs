//! OCSF: API Activity, class 6003.
//!
//! <https://schema.ocsf.io/1.4.0/classes/api_activity>

use serde_json::{Value, json};

use super::{error_code, event_source, is_answer_unknown, milliseconds, refusal, was_made};
use crate::{
    catalog::{AccessLevel, catalog},
    record::query::CallView,
};

const VERSION: &str = "1.4.0";
const CLASS: u32 = 6003;
const CATEGORY: u32 = 6;

/// What an API call does, in OCSF's four words and the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activity {
    Create = 1,
    Read = 2,
    Update = 3,
    Delete = 4,
    Other = 99,
}

/// A call as an event.
pub(super) fn event(call: &CallView) -> Value {
    let activity = activity(call);
    let id = activity as u32;
    let groups: Vec<Value> = call.groups.texts().into_iter().map(|name| json!({"name": name})).collect();
    let mut resources = call.resources.texts();
    resources.sort();
    resources.dedup();
    let resources: Vec<Value> = resources.into_iter().map(|uid| json!({"uid": uid})).collect();
    let (status_id, status) = status(call);
    // The gateway's own answer is not AWS's.
    let code = call.status.filter(|_| !is_answer_unknown(call));
    let time = milliseconds(&call.time);
    let mut event = json!({
        "class_uid": CLASS,
        "class_name": "API Activity",
        "category_uid": CATEGORY,
        "category_name": "Application Activity",
        "activity_id": id,
        "activity_name": format!("{activity:?}"),
        "type_uid": CLASS * 100 + id,
        "type_name": format!("API Activity: {activity:?}"),
        "severity_id": if was_made(call) { 1 } else { 2 },
        "severity": if was_made(call) { "Informational" } else { "Low" },
        "status_id": status_id,
        "status": status,
        "status_code": error_code(call),
        "status_detail": refusal(call),
        "time": time,
        "start_time": time,
        "end_time": call.ended.as_deref().and_then(milliseconds),
        "metadata": {
            "version": VERSION,
            "uid": call.id,
            "profiles": ["cloud"],
            "product": {"name": "chaperone", "vendor_name": "chaperone", "version": env!("CARGO_PKG_VERSION")},
        },
        "actor": {
            "user": {
                "name": call.subject,
                "uid": call.subject,
                "type_id": 99,
                "type": "Agent",
                "domain": call.issuer,
                "groups": groups,
                "credential_uid": call.access_key_id,
            },
            "session": {"uid": call.session, "issuer": call.issuer},
            "process": {"pid": call.pid, "user": {"uid": call.uid.to_string()}},
            "app_name": call.workload,
        },
        "api": {
            "operation": call.operation.as_deref().unwrap_or("unknown"),
            "service": {"name": event_source(call)},
            "request": {"uid": call.aws_request_id.as_ref().unwrap_or(&call.id)},
            "response": {"code": code, "error": error_code(call), "error_message": refusal(call)},
        },
        "cloud": {"provider": "AWS", "region": call.region, "account": {"uid": call.account}},
        "resources": resources,
        "src_endpoint": {"hostname": call.hostname},
        "dst_endpoint": {"hostname": call.host, "svc_name": event_source(call)},
        "http_request": {"http_method": call.method},
        // Without a code there is none.
        "http_response": code.map(|code| json!({"code": code, "length": call.bytes_out})),
        "unmapped": {
            "decision": call.decision,
            "rules": call.rules,
            "reason": call.reason,
            "policy_digest": call.policy_digest,
            "outcome": call.outcome,
            "actions": call.actions,
            "params": call.params,
            "request_digest": call.request_digest,
            "gateway_us": call.gateway_us,
            "upstream_us": call.upstream_us,
            "truncated": call.truncated,
        },
    });
    prune(&mut event);
    event
}

/// OCSF has no null: what is not known is absent.
fn prune(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|name, value| {
            if name != "unmapped" {
                prune(value);
            }
            !value.is_null() && value.as_object().is_none_or(|fields| !fields.is_empty())
        });
    }
}

/// Unknown where there is no answer: the call may have taken effect.
fn status(call: &CallView) -> (u32, &'static str) {
    match call.status {
        _ if is_answer_unknown(call) => (0, "Unknown"),
        Some(200..=399) => (1, "Success"),
        Some(_) => (2, "Failure"),
        None if !was_made(call) => (2, "Failure"),
        None => (0, "Unknown"),
    }
}

/// By the verb, as far as it says it, and otherwise by IAM's access level.
fn activity(call: &CallView) -> Activity {
    const VERBS: [(Activity, &[&str]); 4] = [
        (
            Activity::Create,
            &["Create", "Run", "Allocate", "Register", "Import", "Copy", "Issue", "Publish", "Upload"],
        ),
        (
            Activity::Read,
            &["Get", "Describe", "List", "Head", "Search", "Query", "Scan", "Select", "Lookup", "BatchGet"],
        ),
        (
            Activity::Update,
            &[
                "Update",
                "Modify",
                "Put",
                "Set",
                "Attach",
                "Detach",
                "Associate",
                "Disassociate",
                "Tag",
                "Untag",
                "Enable",
                "Disable",
                "Add",
                "Remove",
                "Start",
                "Stop",
                "Reset",
                "Restore",
                "Authorize",
                "Revoke",
            ],
        ),
        (Activity::Delete, &["Delete", "Terminate", "Deregister", "Release", "Purge", "BatchDelete"]),
    ];
    let operation = call.operation.as_deref().unwrap_or_default();
    // A verb ends where the next word begins: `Settle` does not set.
    let begins = |verb: &&str| {
        let rest = operation.strip_prefix(*verb);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_lowercase()))
    };
    if let Some((activity, _)) = VERBS.iter().find(|(_, verbs)| verbs.iter().any(begins)) {
        return *activity;
    }
    let actions = call.actions.texts();
    let access =
        actions.iter().filter_map(|action| catalog().action(action)).map(|action| action.access).max();
    match access {
        Some(AccessLevel::List | AccessLevel::Read) => Activity::Read,
        Some(AccessLevel::Tagging | AccessLevel::PermissionsManagement) => Activity::Update,
        Some(AccessLevel::Write) | None => Activity::Other,
    }
}
