"""A call by each protocol with boto3, all of which are refused. Prints one line of JSON for each."""

import json

import boto3
import botocore.exceptions
import botocore.model
from botocore.config import Config


def calls():
    yield "json 1.0", "dynamodb", "list_tables", {}
    yield "json 1.1", "ssm", "describe_parameters", {}
    yield "rest-json", "lambda", "list_functions", {}
    yield "query", "iam", "list_users", {}
    yield "ec2", "ec2", "describe_instances", {}
    yield "rest-xml", "route53", "list_hosted_zones", {}
    yield "s3", "s3", "list_buckets", {}
    yield "json after query", "sqs", "list_queues", {}
    yield "cbor after query", "cloudwatch", "list_metrics", {}


for protocol, service, operation, parameters in calls():
    if protocol.startswith("cbor"):
        # botocore would choose JSON; newer SDKs choose CBOR.
        botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS = ("smithy-rpc-v2-cbor",)
    client = boto3.client(service, config=Config(retries={"max_attempts": 3}))
    try:
        getattr(client, operation)(**parameters)
        line = {"protocol": protocol, "error": "it was not refused"}
    except botocore.exceptions.ClientError as error:
        meta = error.response["ResponseMetadata"]
        line = {
            "protocol": protocol,
            "wire": client.meta.service_model.resolved_protocol,
            "type": type(error).__name__,
            "status": meta["HTTPStatusCode"],
            "retries": meta["RetryAttempts"],
            "request": meta.get("RequestId"),
            "code": error.response["Error"]["Code"],
            "message": error.response["Error"]["Message"],
        }
    print(json.dumps(line))
