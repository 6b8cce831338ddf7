"""Makes moto look like the AWS account of the tests, then turns its IAM enforcement on.

Usage: prepare_moto.py ENDPOINT BUCKET TABLE; prints the user's access key id and secret.
"""

import json
import os
import ssl
import sys
import urllib.request

import boto3

endpoint, bucket, table = sys.argv[1:]


def client(service):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="eu-central-1",
        aws_access_key_id="setup",
        aws_secret_access_key="setup",
    )


iam = client("iam")
iam.create_user(UserName="gateway")
statement = {
    "Effect": "Allow",
    "Action": [
        "s3:*",
        "dynamodb:*",
        "sts:GetCallerIdentity",
        "lambda:PublishLayerVersion",
        "iam:ListUsers",
        "ec2:DescribeVpcs",
    ],
    "Resource": "*",
}
iam.put_user_policy(
    UserName="gateway",
    PolicyName="gateway",
    PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
)
key = iam.create_access_key(UserName="gateway")["AccessKey"]
client("s3").create_bucket(
    Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
)
client("dynamodb").create_table(
    TableName=table,
    AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    BillingMode="PAY_PER_REQUEST",
)

# From here on every request is verified. A form content type would hide the body from moto.
enforce = urllib.request.Request(
    f"{endpoint}/moto-api/reset-auth",
    data=b"0",
    headers={"Content-Type": "text/plain"},
    method="POST",
)
context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
urllib.request.urlopen(enforce, context=context).read()
print(key["AccessKeyId"], key["SecretAccessKey"])
