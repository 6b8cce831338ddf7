"""Writes requests as botocore's own serializers and signer make them, as JSON lines.

Usage: python3 sign_requests.py [--all] > botocore.jsonl

Every request is signed with the placeholder of the unit tests at 2025-08-30T12:36:00Z, so the file
only changes when botocore does (made with botocore 1.44.5). Members are filled with the least that
the model demands. Without --all, S3 is complete and of the other services every 25th operation is
taken.
"""

import base64
import datetime
import json
import sys
import uuid

import botocore.auth
import botocore.exceptions
import botocore.session
from botocore.config import Config

NOW = datetime.datetime(2025, 8, 30, 12, 36, 0, tzinfo=datetime.timezone.utc)
SERVICES = (
    "cloudformation cloudtrail cloudwatch dynamodb dynamodbstreams ec2 ecr ecs events iam kinesis kms"
    " logs secretsmanager sns sqs ssm stepfunctions sts"
).split()
ACCOUNT = "123456789012"
# Neither signed nor of any meaning, and they tell of the machine.
UNSIGNED = ("user-agent", "amz-sdk-invocation-id", "amz-sdk-request")


class Done(Exception):
    pass


def frozen(*_args, **_kwargs):
    return NOW


botocore.auth.get_current_datetime = frozen
uuid.uuid4 = lambda: uuid.UUID(int=0x0123456789ABCDEF0123456789ABCDEF, version=4)


def value(shape, name, depth=0):
    """The least value that the shape allows; names of AWS things look like such."""
    kind = shape.type_name
    if kind == "structure":
        if shape.is_tagged_union and shape.members:
            member = next(iter(shape.members))
            return {member: value(shape.members[member], member, depth + 1)}
        return {m: value(shape.members[m], m, depth + 1) for m in shape.required_members if depth < 8}
    if kind == "list":
        count = max(shape.metadata.get("min", 1), 1)
        return [value(shape.member, name, depth + 1) for _ in range(count)]
    if kind == "map":
        return {value(shape.key, name, depth + 1): value(shape.value, name, depth + 1)}
    if kind == "string":
        if shape.enum:
            return shape.enum[0]
        if name == "Bucket":
            return "bkt"
        if name in ("Key",):
            return "a/k 1+2.txt"
        if name == "CopySource":
            return "src/a%20k"
        if name == "QueueUrl":
            return f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/queue"
        if name.lower().endswith("arn"):
            return f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/name-1"
        text = "name-1"
        return text.ljust(shape.metadata.get("min", 0), "x")
    if kind in ("integer", "long"):
        return max(shape.metadata.get("min", 1), 1)
    if kind in ("float", "double"):
        return 1.5
    if kind == "boolean":
        return True
    if kind == "timestamp":
        return NOW
    if kind == "blob":
        return b"blob"
    raise NotImplementedError(kind)


def record(client, operation, model, extra=None):
    params = value(model.input_shape, "", 0) if model.input_shape else {}
    params.update(extra or {})
    caught = {}

    def catch(request, **_kwargs):
        caught["request"] = request
        raise Done

    client.meta.events.register("before-send", catch)
    try:
        client._make_api_call(operation, params)
    except Done:
        pass
    finally:
        client.meta.events.unregister("before-send", catch)
    request = caught["request"]
    scheme, rest = request.url.split("://", 1)
    assert scheme == "https", request.url
    host, _, target = rest.partition("/")
    body = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, str):
        body = body.encode()
    headers = [
        [name.lower(), text.decode() if isinstance(text, bytes) else text]
        for name, text in request.headers.items()
        if name.lower() not in UNSIGNED
    ]
    line = {
        "operation": operation,
        "service": client.meta.service_model.service_name,
        "method": request.method,
        "host": host,
        "target": "/" + target,
        "headers": headers,
        "body": base64.b64encode(body).decode(),
    }
    print(json.dumps(line, separators=(",", ":")))


def main():
    take_all = "--all" in sys.argv
    session = botocore.session.Session(profile=None)
    session.set_config_variable("region", "us-east-1")
    session.set_credentials(
        "ASIAPLACEHOLDER00001", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00", "placeholder-token"
    )
    for service in SERVICES + ["s3"]:
        config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
        client = session.create_client(service, config=config)
        names = client.meta.service_model.operation_names
        for number, operation in enumerate(names):
            if service != "s3" and not take_all and number % 25:
                continue
            model = client.meta.service_model.operation_model(operation)
            try:
                record(client, operation, model)
            except (botocore.exceptions.BotoCoreError, NotImplementedError) as error:
                print(service, operation, type(error).__name__, error, file=sys.stderr)


main()
