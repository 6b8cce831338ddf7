"""Signed requests to be verified: in the header and as presigned URLs.

Usage: python3 signatures.py > signatures.jsonl

Lines as those of `generate.py`, whose variants these are, for services of each protocol; then paths and
values that have broken signers before. The variant of a presigned request begins with `url-`. What botocore
itself cannot presign (bodies that are no form) is counted on standard error.
"""

import collections
import sys

import botocore.exceptions

import capture
import generate
from values import Maker

# Of each protocol some, and those whose paths have labels with colons and slashes.
SERVICES = (
    "s3 bedrock-runtime bedrock lambda dynamodb kms sts iam sqs sns ec2 cloudwatch route53 glacier s3control"
).split()
# Of a service with many operations, every so many.
SAMPLES = {"ec2": 12, "iam": 3, "bedrock": 3, "lambda": 2, "s3control": 3}
KEYS = (
    "a b", "a+b", "a%2Fb", "a/b", "a//b", "/a", "a/", "a/../b", "./a", "..", "a@b", "a*b", "a:b", "a=b&c", "a?b",
    "a#b", "a;b", "a,b", "a'b(c)!", "~a_b-c.d", "%", "%25", "é", "日本語", "a\u0301", "🙂", " a ", "a\\b", "a|b", "<a>",
    '"a"', "{a}", "a^b`c", "a$b", "x" * 300,
)
OPERATIONS = (
    "GetObject HeadObject PutObject DeleteObject CopyObject GetObjectTagging GetObjectAttributes ListParts UploadPart"
    " CreateMultipartUpload"
).split()
ADDRESSES = (
    ("virtual", "bkt", {}),
    ("path", "bkt", {"s3": {"addressing_style": "path"}}),
    ("dotted", "a.dotted.bkt", {}),
)
MODELS = (
    "anthropic.claude-3-5-sonnet-20241022-v2:0",
    "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc123def456",
)


class Lines:
    def __init__(self, session):
        self.session = session
        self.refused = collections.Counter()

    def write(self, client, operation, params, variant):
        service = client.meta.service_model
        for form in ("", "url-"):
            try:
                if form:
                    line = capture.presigned(client, operation, params, 3600)
                else:
                    request, _ = capture.call(client, operation, params)
                    line, _ = capture.sent(request, service.signing_name, client.meta.region_name)
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, ValueError, TypeError) as error:
                self.refused[f"{form}{service.service_name}: {type(error).__name__}"] += 1
                continue
            line["truth"] = {
                "service": service.service_name,
                "prefix": "",
                "operation": operation,
                "variant": form + variant,
                "params": {},
                "unsigned": False,
            }
            print(capture.written(line))

    def of_service(self, name):
        service = generate.Service(self.session, name)
        metadata = self.session.loader.load_service_model(name, "service-2")
        operations = list(metadata["operations"])[:: SAMPLES.get(name, 1)]
        for variant in generate.variants(name, service.regions(), service.protocols):
            config = dict(variant.config)
            bucket = config.pop("bucket", None)
            protocol = variant.protocol or service.protocols[0]
            try:
                client = self.session.client(name, variant.region, protocol, **config)
            except (botocore.exceptions.BotoCoreError, ValueError) as error:
                self.refused[f"{name}: {type(error).__name__}"] += len(operations)
                continue
            for turn, operation in enumerate(operations):
                shape = client.meta.service_model.operation_model(operation).input_shape
                partition = generate.partition_of(variant.region)
                maker = Maker(variant.style, variant.members, partition, variant.region, service.prefix, turn)
                params = maker.input(shape)
                if bucket:
                    if "Bucket" not in params or not generate.of_objects(operation, params):
                        continue
                    params["Bucket"] = bucket
                self.write(client, operation, params, variant.name)

    def of_keys(self):
        for style, bucket, config in ADDRESSES:
            client = self.session.client("s3", "us-east-1", **config)
            for key in KEYS:
                for operation in OPERATIONS:
                    params = {"Bucket": bucket, "Key": key}
                    if operation == "CopyObject":
                        params["CopySource"] = {"Bucket": "src", "Key": key}
                    if operation == "GetObjectAttributes":
                        params["ObjectAttributes"] = ["ETag", "ObjectSize"]
                    if operation in ("ListParts", "UploadPart"):
                        params.update(UploadId=key)
                    if operation == "UploadPart":
                        params.update(PartNumber=1)
                    self.write(client, operation, params, f"key-{style}")
                self.write(client, "ListObjectsV2", {"Bucket": bucket, "Prefix": key, "Delimiter": ""}, f"key-{style}")

    def of_unsigned_bodies(self):
        client = self.session.client("s3", "us-east-1", s3={"payload_signing_enabled": False})
        for key in KEYS:
            self.write(client, "GetObject", {"Bucket": "bkt", "Key": key, "ResponseContentType": "text/plain"}, "unsigned-body")

    def of_models(self):
        client = self.session.client("bedrock-runtime", "us-east-1")
        for model in MODELS:
            message = {"role": "user", "content": [{"text": "é"}]}
            self.write(client, "Converse", {"modelId": model, "messages": [message]}, "model")
            self.write(client, "InvokeModel", {"modelId": model, "body": b"{}"}, "model")
            self.write(client, "InvokeModelWithResponseStream", {"modelId": model, "body": b"{}"}, "model")


def main():
    capture.freeze()
    lines = Lines(capture.Session())
    lines.of_keys()
    lines.of_unsigned_bodies()
    lines.of_models()
    for name in SERVICES:
        lines.of_service(name)
    for reason, count in sorted(lines.refused.items()):
        print(f"not made by botocore: {count} of {reason}", file=sys.stderr)


main()
