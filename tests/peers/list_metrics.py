"""Asks for CloudWatch's metrics with boto3 by CBOR; prints the protocol, and the error it raises."""

import boto3
import botocore.exceptions
import botocore.model

# botocore would choose JSON; newer SDKs choose CBOR.
botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS = ("smithy-rpc-v2-cbor",)

client = boto3.client("cloudwatch")
print(client.meta.service_model.resolved_protocol, end=": ")
try:
    client.list_metrics()
    print("it was allowed")
except botocore.exceptions.ClientError as error:
    print(error.response["Error"]["Code"], error.response["Error"]["Message"])
