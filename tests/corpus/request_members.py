"""Writes requests that botocore's own serializers make of known parameters, as JSON lines.

Usage: python3 request_members.py [--all | --seeds] > members.jsonl

A line has the request, the labels of its path, and the parameters as the gateway must read them: by
their names in the model, with whole numbers, truth values, texts, lists and records as JSON has them.
Without --all, a fixed sample of each protocol is written. With
--seeds, some of the sample become what the fuzz targets begin with. Made with botocore 1.44.5.
"""

import base64
import datetime
import hashlib
import json
import pathlib
import sys
from urllib.parse import urlsplit

import botocore.awsrequest
import botocore.serialize
import botocore.session

NOW = datetime.datetime(2025, 8, 30, 12, 36, 0, tzinfo=datetime.timezone.utc)
TEXTS = ("name-1", "a b+c&d=e", "é<x>\"y\"'z' %2F", "arn:aws:s3:::b/k*", "", "{\"a\": 1}", "line\nbreak\ttab")
# In headers and labels not every text can be written.
PLAIN = ("name-1", "a b+c", "arn:aws:iam::1:role/x", "x,y", "d\"q")
PROTOCOLS = {"json": "Json", "rest-json": "RestJson", "rest-xml": "RestXml", "query": "Query", "ec2": "Ec2",
             "smithy-rpc-v2-cbor": "Cbor"}
# Lines of each protocol in the sample, and how long one may be.
SAMPLE, LONGEST = 50, 3000
# Seeds of each fuzz target.
SEEDS = 12


class Values:
    """Values for shapes: always the same for the same operation."""

    def __init__(self, seed):
        self.seed, self.count = seed, 0

    def pick(self, among):
        self.count += 1
        digest = hashlib.sha256(f"{self.seed}/{self.count}".encode()).digest()
        return among[digest[0] % len(among)]

    def value(self, shape, texts=TEXTS, depth=0):
        kind = shape.type_name
        if kind == "structure":
            if getattr(shape, "is_document_type", False):
                return {"Any": [1, "two", True]}
            members = shape.members.items()
            if depth > 4:
                members = [(n, s) for n, s in members if s.type_name not in ("structure", "list", "map")]
            if shape.is_tagged_union:
                members = list(members)[:1]
            attributes = {n: "Group" for n, s in members if s.serialization.get("xmlAttribute")}
            made = {n: v for n, s in members if (v := self.value(s, texts, depth + 1)) not in ({}, [], None)}
            return made | attributes
        if kind == "list":
            items = [self.value(shape.member, texts, depth + 1) for _ in range(self.pick((1, 1, 2, 3)))]
            return [item for item in items if item not in ({}, [], None)]
        if kind == "map":
            item = self.value(shape.value, texts, depth + 1)
            return {} if item in ({}, [], None) else {"k 1": item}
        if kind in ("string", "character"):
            return self.pick(texts)
        if kind in ("integer", "long"):
            return self.pick((0, 1, -7, 2**31 - 1, 600))
        if kind in ("float", "double"):
            return self.pick((1.5, -0.25, 100.125))
        if kind == "boolean":
            return self.pick((True, False))
        if kind == "timestamp":
            return NOW
        if kind == "blob":
            return self.pick((b"blob", b"\x00\xff\xfe"))
        raise NotImplementedError(kind)


def is_streaming(member, payload_name, name):
    return (
        member.serialization.get("eventstream")
        or member.metadata.get("streaming")
        or member.serialization.get("streaming")
    ) and name == payload_name


def of_shape(serializer, value, shape, location=None):
    """A parameter by its shape, all the way down."""
    kind = shape.type_name
    if kind == "structure":
        return {n: of_shape(serializer, v, shape.members[n]) for n, v in value.items()}
    if kind == "list":
        return [of_shape(serializer, item, shape.member, location) for item in value]
    if kind == "map":
        return {k: of_shape(serializer, v, shape.value, location) for k, v in value.items()}
    if kind in ("float", "double"):
        return str(value)
    if kind == "timestamp":
        default = {"header": "rfc822", "querystring": "iso8601", "uri": "iso8601"}.get(location)
        text = shape.serialization.get("timestampFormat", default)
        return str(serializer._convert_timestamp_to_str(value, text))
    if kind == "blob":
        return base64.b64encode(value).decode()
    return value


def of_wire(serializer, value, shape, cbor):
    """What self-describing data has below the operation's own members: names and types of the wire."""
    kind = shape.type_name
    if kind == "structure" and not getattr(shape, "is_document_type", False):
        members = shape.members
        return {
            members[n].serialization.get("name", n): of_wire(serializer, v, members[n], cbor)
            for n, v in value.items()
        }
    if kind == "list":
        return [of_wire(serializer, item, shape.member, cbor) for item in value]
    if kind == "map":
        return {k: of_wire(serializer, v, shape.value, cbor) for k, v in value.items()}
    if kind in ("float", "double"):
        return str(value)
    if kind == "timestamp":
        if cbor:
            return str(int(value.timestamp()))
        return serializer._convert_timestamp_to_str(value, shape.serialization.get("timestampFormat"))
    if kind == "blob":
        return base64.b64encode(value).decode()
    return value


def top(serializer, value, shape, cbor):
    """What the table knows of a member of an operation's own whose services only have bodies that
    describe themselves: scalars and lists of them."""
    kinds = ("structure", "list", "map")
    if shape.type_name not in kinds or shape.type_name == "list" and shape.member.type_name not in kinds:
        return of_shape(serializer, value, shape)
    return of_wire(serializer, value, shape, cbor)


def expected(serializer, model, protocol, params):
    spoken = model.service_model.metadata.get("protocols", [model.service_model.protocol])
    whole = any(known in ("query", "ec2", "rest-xml") for known in spoken)
    cbor = protocol == "smithy-rpc-v2-cbor"
    payload = model.input_shape.serialization.get("payload")
    read = {}
    for name, value in params.items():
        member = model.input_shape.members[name]
        location = member.serialization.get("location")
        if location == "headers":
            read[name] = {key.lower(): text for key, text in value.items()}
        elif name == payload and value == {}:
            read[name] = {}
        elif location == "header" and member.serialization.get("jsonvalue"):
            read[name] = base64.b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()
        elif whole or location:
            read[name] = of_shape(serializer, value, member, location)
        elif name == payload and member.type_name == "structure" and not member.is_document_type:
            read[name] = {n: top(serializer, v, member.members[n], cbor) for n, v in value.items()}
        else:
            read[name] = top(serializer, value, member, cbor)
    return read


def given(values, model, full):
    """Parameters of an operation, and the members that are streams."""
    shape = model.input_shape
    params, unread = {}, []
    payload = shape.serialization.get("payload")
    for name, member in shape.members.items():
        if is_streaming(member, payload, name):
            unread.append(name)
            if member.type_name == "blob":
                params[name] = b"blob"
            continue
        location = member.serialization.get("location")
        if not full and name not in shape.required_members:
            continue
        if name == "SourceRegion" and "PreSignedUrl" in shape.members:
            # Only botocore has it, and replaces it by the URL.
            continue
        if name == payload and member.type_name in ("blob", "string"):
            params[name] = b"raw \xff" if member.type_name == "blob" else "raw text"
        elif location == "headers":
            params[name] = {"k-1": "v 1"}
        elif location == "header" and member.serialization.get("jsonvalue"):
            params[name] = {"a": 1}
        elif location == "header" and member.serialization.get("name", "").lower().startswith(("content-", "x-amz-content-sha256")):
            continue
        elif member.serialization.get("hostLabel"):
            params[name] = "host-label"
        elif location == "querystring" and member.type_name == "map":
            is_list = member.value.type_name == "list"
            params[name] = {"k-1": ["v 1", "v 2"] if is_list else "v 1"}
        elif location == "uri" and member.type_name == "string":
            params[name] = values.pick(("name-1", "a b/c", "arn:aws:iam::1:role/x"))
        elif location:
            params[name] = values.value(member, PLAIN)
        else:
            value = values.value(member)
            if value not in ({}, []):
                params[name] = value
    return params, unread


def add_what_was_not_given(model, prepared, body, params, unread):
    """Members that the serializer writes by itself."""
    for name, member in model.input_shape.members.items():
        written = member.serialization.get("name", "").lower()
        if member.serialization.get("location") == "header" and written == "content-type":
            if text := prepared.headers.get("Content-Type"):
                params[name] = text
    payload = model.input_shape.serialization.get("payload")
    if payload and payload not in params and payload not in unread and body == b"{}":
        params[payload] = {}


def line(service, name, protocol, full):
    model = service.operation_model(name)
    serializer = botocore.serialize.create_serializer(protocol, include_validation=False)
    values = Values(f"{service.service_name}.{name}.{protocol}.{full}")
    params, unread = given(values, model, full) if model.input_shape else ({}, [])
    request = serializer.serialize_to_request(params, model)
    botocore.awsrequest.prepare_request_dict(request, "https://host.invalid")
    prepared = botocore.awsrequest.create_request_object(request).prepare()
    url = urlsplit(prepared.url)
    body = prepared.body or b""
    body = body.encode() if isinstance(body, str) else bytes(body)
    labels, params = [], {n: v for n, v in params.items() if n not in unread}
    for member_name, value in params.items():
        member = model.input_shape.members[member_name]
        if member.serialization.get("location") == "uri":
            labels.append([member_name, str(value)])
    if model.input_shape:
        add_what_was_not_given(model, prepared, body, params, unread)
    unsent = ("content-length", "transfer-encoding")
    headers = {k.lower(): v.decode() if isinstance(v, bytes) else v for k, v in prepared.headers.items()}
    return {
        "service": service.service_name,
        "operation": name,
        "protocol": PROTOCOLS[protocol],
        "method": prepared.method,
        "target": url.path + (f"?{url.query}" if url.query else ""),
        "headers": [[k, v] for k, v in headers.items() if k not in unsent],
        "body": base64.b64encode(body).decode(),
        "labels": labels,
        "params": expected(serializer, model, protocol, params) if model.input_shape else {},
        "unread": unread,
    }


def lines():
    session = botocore.session.get_session()
    for service_name in session.get_available_services():
        service = session.get_service_model(service_name)
        for protocol in service.metadata.get("protocols", [service.protocol]):
            for name in service.operation_names:
                # Signing parameters in the query string are refused before anything else is read.
                if "?x-amz-" in service.operation_model(name).http["requestUri"]:
                    continue
                # Two of its members have one name on the wire; it is long replaced by another operation.
                if (service_name, name) == ("s3", "PutBucketNotification"):
                    continue
                yield line(service, name, protocol, True)
                yield line(service, name, protocol, False)


def write_seeds(sample, directory):
    """The shortest lines of the sample, each as the fuzz target of its protocol takes it."""
    names = {"Query": "query", "Ec2": "ec2", "RestJson": "rest_json", "RestXml": "xml"}
    for protocol, texts in sample.items():
        chosen = [json.loads(text) for text in sorted(texts, key=len)]
        bodies = [made for made in chosen if made["body"]][:SEEDS]
        heads = [made for made in chosen if made["protocol"].startswith("Rest") and made["params"]][:SEEDS]
        for made in bodies:
            operation = f"{made['service']}.{made['operation']}"
            target = directory / f"members_{names.get(protocol, protocol.lower())}"
            target.mkdir(parents=True, exist_ok=True)
            (target / operation).write_bytes(operation.encode() + b"\n" + base64.b64decode(made["body"]))
        for made in heads:
            operation = f"{made['service']}.{made['operation']}"
            label = made["labels"][0][1] if made["labels"] else "label"
            headers = [f"{name}: {value}" for name, value in made["headers"]]
            (directory / "members_head").mkdir(parents=True, exist_ok=True)
            text = "\n".join([operation, made["target"], label, *headers])
            (directory / "members_head" / operation).write_text(text)


def main():
    texts = ((made["protocol"], json.dumps(made, separators=(",", ":"), ensure_ascii=False)) for made in lines())
    if "--all" in sys.argv:
        for _, text in texts:
            print(text)
        return
    fitting = {}
    for protocol, text in texts:
        if len(text) <= LONGEST:
            order = hashlib.sha256(text.encode()).hexdigest()
            fitting.setdefault(protocol, []).append((order, text))
    sample = {protocol: [text for _, text in sorted(fitting[protocol])[:SAMPLE]] for protocol in sorted(fitting)}
    if "--seeds" in sys.argv:
        write_seeds(sample, pathlib.Path(__file__).parents[2] / "fuzz/seeds")
        return
    for protocol in sample:
        print("\n".join(sorted(sample[protocol])))


main()
