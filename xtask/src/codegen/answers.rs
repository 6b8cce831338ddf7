//! Answers that carry pairs of keys, as the models have them: what the gateway's own table of them is held against.
//!
//! One line of JSON for each place, with a body as the service would write it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use super::service;

/// What stands for the parts of the keys in a body, in the order of a line's `names`.
const PARTS: [&str; 4] = ["@id@", "@secret@", "@token@", ""];

/// The lines of all services.
pub fn lines(models: &BTreeMap<String, Value>) -> Result<String> {
    let mut text = String::new();
    for (name, model) in models {
        let operations = model.get("operations").and_then(Value::as_object).context("no operations")?;
        let operations: BTreeMap<&String, &Value> = operations.iter().collect();
        for (operation, value) in operations {
            let answer = Answer { model, operation, value };
            for line in answer.lines(name).with_context(|| format!("{name} {operation}"))? {
                text.push_str(&line.to_string());
                text.push('\n');
            }
        }
    }
    Ok(text)
}

/// The answer of an operation.
struct Answer<'a> {
    model: &'a Value,
    operation: &'a str,
    value: &'a Value,
}

/// A structure with a pair of keys.
struct Found {
    /// The names around it.
    place: Vec<String>,
    /// The shape.
    shape: String,
    /// The members with id, secret, session token and expiry, where it has them, in the model and on the wire.
    parts: [Option<(String, String)>; 4],
}

impl Answer<'_> {
    fn lines(&self, service: &str) -> Result<Vec<Value>> {
        let Some(output) = self.value.pointer("/output/shape").and_then(Value::as_str) else {
            return Ok(Vec::new());
        };
        let protocols = service::protocols(self.model);
        let xml = protocols.iter().all(|protocol| matches!(*protocol, "query" | "ec2" | "rest-xml"));
        let body = self.shape(output)?;
        // Where one member is the body, nothing has its name.
        let body = match body.get("payload").and_then(Value::as_str) {
            Some(payload) => text(body, &format!("/members/{payload}/shape")).context("no payload")?,
            None => output,
        };
        let mut place = Vec::new();
        if xml {
            place.push(match text(self.value, "/output/resultWrapper") {
                Some(_) => format!("{}Response", self.operation),
                None => output.to_owned(),
            });
            place.extend(text(self.value, "/output/resultWrapper").map(str::to_owned));
        }
        let around = place.clone();
        let mut found = Vec::new();
        self.find(body, &mut place, &mut Vec::new(), &mut found)?;
        // What the operation says, or else the service; older models have nothing but a version of the signature.
        let schemes = self.value.get("auth").or_else(|| self.model.pointer("/metadata/auth"));
        let by_scheme = schemes.and_then(Value::as_array).map(|schemes| {
            let names = || schemes.iter().filter_map(Value::as_str);
            let open = names().any(|scheme| scheme == "smithy.api#noAuth");
            !open && names().any(|scheme| scheme.starts_with("aws.auth#sigv4"))
        });
        let signed = by_scheme.unwrap_or(true) && text(self.value, "/authtype") != Some("none");
        let line = |found: &Found| {
            let names: Vec<_> = found.parts.iter().map(|part| part.as_ref().map(|part| &part.1)).collect();
            let body = if xml {
                let inner = self.xml(body, found, &mut Vec::new())?;
                let open: String = around.iter().map(|name| format!("<{name}>")).collect();
                let close: String = around.iter().rev().map(|name| format!("</{name}>")).collect();
                format!("{open}{inner}{close}")
            } else {
                self.json(body, found, &mut Vec::new())?.to_string()
            };
            Ok(json!({
                "service": service, "operation": self.operation, "protocols": protocols, "signed": signed,
                "place": found.place, "names": names, "body": body,
            }))
        };
        found.iter().map(line).collect()
    }

    fn shape(&self, name: &str) -> Result<&Value> {
        self.model.pointer(&format!("/shapes/{name}")).with_context(|| format!("no shape {name}"))
    }

    /// Looks into a shape that is at `place`, within the shapes `seen`.
    fn find(
        &self,
        name: &str,
        place: &mut Vec<String>,
        seen: &mut Vec<String>,
        found: &mut Vec<Found>,
    ) -> Result<()> {
        if seen.iter().any(|seen| seen == name) {
            return Ok(());
        }
        let shape = self.shape(name)?;
        seen.push(name.to_owned());
        let members = self.members(name)?;
        let is_plain = |member: &&Member| {
            let kind = self.shape(&member.shape).ok().and_then(|shape| text(shape, "/type"));
            matches!(kind, Some("string" | "blob" | "timestamp" | "long" | "integer"))
        };
        if let Some(parts) = parts(&members.iter().filter(is_plain).collect::<Vec<_>>()) {
            found.push(Found { place: place.clone(), shape: name.to_owned(), parts });
        }
        let inner = members.iter().map(|member| (member.wire.clone(), member.shape.clone()));
        let listed = ["member", "key", "value"]
            .iter()
            .filter_map(|part| Some(("[]".to_owned(), text(shape, &format!("/{part}/shape"))?.to_owned())));
        for (at, shape) in inner.chain(listed) {
            place.push(at);
            self.find(&shape, place, seen, found)?;
            place.pop();
        }
        seen.pop();
        Ok(())
    }

    /// The members of a structure that are in the body.
    fn members(&self, name: &str) -> Result<Vec<Member>> {
        let members = self.shape(name)?.get("members").and_then(Value::as_object);
        let in_body = members.into_iter().flatten().filter(|(_, member)| member.get("location").is_none());
        in_body
            .map(|(name, member)| {
                let shape = text(member, "/shape").context("no shape")?.to_owned();
                let wire = text(member, "/locationName").unwrap_or(name).to_owned();
                Ok(Member { name: name.clone(), wire, shape })
            })
            .collect()
    }

    fn json(&self, name: &str, found: &Found, seen: &mut Vec<String>) -> Result<Value> {
        let shape = self.shape(name)?;
        if seen.iter().any(|seen| seen == name) {
            return Ok(Value::Null);
        }
        seen.push(name.to_owned());
        let value = match text(shape, "/type").context("no type")? {
            "structure" => {
                let mut object = Map::new();
                for member in self.members(name)? {
                    let value = match found.part(name, &member.name) {
                        Some(part) => json!(part),
                        None => self.json(&member.shape, found, seen)?,
                    };
                    object.insert(member.wire, value);
                }
                Value::Object(object)
            }
            "list" => {
                let member = text(shape, "/member/shape").context("no member")?;
                json!([self.json(member, found, seen)?])
            }
            "map" => {
                let value = text(shape, "/value/shape").context("no value")?;
                json!({ "name": self.json(value, found, seen)? })
            }
            "boolean" => json!(true),
            "integer" | "long" | "float" | "double" => json!(1),
            "timestamp" if text(shape, "/timestampFormat") == Some("iso8601") => {
                json!("2030-01-01T01:00:00Z")
            }
            "timestamp" => json!(1_893_459_600),
            _ => json!("text"),
        };
        seen.pop();
        Ok(value)
    }

    fn xml(&self, name: &str, found: &Found, seen: &mut Vec<String>) -> Result<String> {
        let shape = self.shape(name)?;
        if seen.iter().any(|seen| seen == name) {
            return Ok(String::new());
        }
        seen.push(name.to_owned());
        let value = match text(shape, "/type").context("no type")? {
            "structure" => {
                let mut elements = String::new();
                for Member { name: member, wire, shape } in self.members(name)? {
                    let value = match found.part(name, &member) {
                        Some(part) => part.to_owned(),
                        None => self.xml(&shape, found, seen)?,
                    };
                    elements.push_str(&format!("<{wire}>{value}</{wire}>"));
                }
                elements
            }
            "list" => {
                let member = text(shape, "/member/shape").context("no member")?;
                format!("<member>{}</member>", self.xml(member, found, seen)?)
            }
            "boolean" => "true".to_owned(),
            "integer" | "long" | "float" | "double" => "1".to_owned(),
            "timestamp" => "2030-01-01T01:00:00Z".to_owned(),
            _ => "text".to_owned(),
        };
        seen.pop();
        Ok(value)
    }
}

impl Found {
    /// What stands for a part of the keys; `None` for other members.
    fn part(&self, shape: &str, member: &str) -> Option<&'static str> {
        let is = |part: &Option<(String, String)>| part.as_ref().is_some_and(|part| part.0 == member);
        let at = self.parts.iter().position(is).filter(|_| shape == self.shape)?;
        PARTS.get(at).copied().filter(|part| !part.is_empty())
    }
}

/// A member of a structure.
struct Member {
    name: String,
    wire: String,
    shape: String,
}

/// The members that are id, secret, session token and expiry of a pair of keys, in whatever letters; `None` where
/// id or secret is not there.
fn parts(members: &[&Member]) -> Option<[Option<(String, String)>; 4]> {
    let plain = |name: &str| {
        let letters = name.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|c| c.to_ascii_lowercase()).collect::<String>()
    };
    let first = |is: &dyn Fn(&str) -> bool| {
        let mut named = members.iter().filter(|member| is(&plain(&member.name)) || is(&plain(&member.wire)));
        named.next().map(|member| (member.name.clone(), member.wire.clone()))
    };
    let id = first(&|name| name.contains("accesskey") && !name.contains("secret"));
    let secret = first(&|name| name.contains("secret") && !name.contains("arn"));
    let token = first(&|name| name.contains("sessiontoken") || name.contains("securitytoken"));
    let expiry = first(&|name| name.starts_with("expir"));
    (id.is_some() && secret.is_some()).then_some([id, secret, token, expiry])
}

fn text<'a>(value: &'a Value, place: &str) -> Option<&'a str> {
    value.pointer(place)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_wherever_they_are_and_however_they_are_written() {
        let shapes = json!({
            "Text": { "type": "string" },
            "Time": { "type": "timestamp" },
            "Number": { "type": "integer" },
            "Keys": { "type": "structure", "members": {
                "awsAccessKeyID": { "shape": "Text" },
                "Secret_Key": { "shape": "Text", "locationName": "secretKey" },
                "SESSIONTOKEN": { "shape": "Text" },
                "expires": { "shape": "Time" },
            }},
            "Job": { "type": "structure", "members": {
                "Self": { "shape": "Job" }, "Keys": { "shape": "Keys" }, "Size": { "shape": "Number" },
            }},
            "Jobs": { "type": "list", "member": { "shape": "Job" } },
            "Out": { "type": "structure", "members": {
                "Head": { "shape": "Keys", "location": "header" }, "Jobs": { "shape": "Jobs" },
            }},
            "None": { "type": "structure", "members": {
                "AccessKeyId": { "shape": "Text" }, "SecretArn": { "shape": "Text" },
            }},
        });
        let operations = |wrapper: Value| {
            json!({
                "Poll": { "output": { "shape": "Out", "resultWrapper": wrapper }, "auth": ["smithy.api#noAuth"] },
                "Other": { "output": { "shape": "None" } },
                "Nothing": {},
            })
        };
        let made = |protocol: &str, wrapper: Value| {
            let model = json!({
                "metadata": { "protocol": protocol }, "operations": operations(wrapper), "shapes": shapes.clone(),
            });
            let text = lines(&BTreeMap::from([("svc".to_owned(), model)])).unwrap();
            serde_json::from_str::<Value>(&text).unwrap()
        };
        let names = json!(["awsAccessKeyID", "secretKey", "SESSIONTOKEN", "expires"]);
        assert_eq!(
            made("json", Value::Null),
            json!({
                "service": "svc", "operation": "Poll", "protocols": ["json"], "signed": false,
                "place": ["Jobs", "[]", "Keys"], "names": names,
                "body": r#"{"Jobs":[{"Self":null,"Keys":{"awsAccessKeyID":"@id@","secretKey":"@secret@","SESSIONTOKEN":"@token@","expires":1893459600},"Size":1}]}"#,
            })
        );
        assert_eq!(
            made("query", json!("PollResult")),
            json!({
                "service": "svc", "operation": "Poll", "protocols": ["query"], "signed": false,
                "place": ["PollResponse", "PollResult", "Jobs", "[]", "Keys"], "names": names,
                "body": "<PollResponse><PollResult><Jobs><member><Self></Self><Keys><awsAccessKeyID>@id@</awsAccessKeyID>\
                         <secretKey>@secret@</secretKey><SESSIONTOKEN>@token@</SESSIONTOKEN><expires>2030-01-01T01:00:00Z\
                         </expires></Keys><Size>1</Size></member></Jobs></PollResult></PollResponse>",
            })
        );
    }
}
