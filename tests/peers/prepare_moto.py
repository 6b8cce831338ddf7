"""Makes moto look like the AWS account of the tests, with a user and two roles, then turns its IAM enforcement on.

Usage: prepare_moto.py ENDPOINT BUCKET TABLE; prints the user's access key id and secret.
"""

import io
import json
import os
import ssl
import sys
import urllib.request
import zipfile

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


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(actions, resource="*"):
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


iam = client("iam")
user = iam.create_user(UserName="gateway")["User"]["Arn"]


def role(name, trusted, *statements):
    """A role that this principal may assume; its ARN."""
    trust = {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=document(*statements))
    return arn


# A chain: the user may assume deploy, deploy may assume release. To list is left to the one, to delete to the other.
account = user.split(":")[4]
session = f"arn:aws:sts::{account}:assumed-role/deploy/agent"
release = role("release", session, allow("s3:DeleteObject"))
deploy = role("deploy", user, allow("s3:ListBucket"), allow("sts:AssumeRole", release))
actions = [
    "s3:*",
    "dynamodb:*",
    "sts:GetCallerIdentity",
    "lambda:PublishLayerVersion",
    "iam:ListUsers",
    "ec2:DescribeVpcs",
    "iam:CreateAccessKey",
    "lambda:GetFunctionConfiguration",
    "lambda:UpdateFunctionConfiguration",
    "secretsmanager:GetSecretValue",
    "ssm:GetParameter",
]
left_to_roles = {"Effect": "Deny", "Action": ["s3:ListBucket", "s3:DeleteObject"], "Resource": "*"}
iam.put_user_policy(
    UserName="gateway",
    PolicyName="gateway",
    PolicyDocument=document(allow(actions), allow("sts:AssumeRole", deploy), left_to_roles),
)
key = iam.create_access_key(UserName="gateway")["AccessKey"]

# The same password in three places, and a secret that is none.
password = "correct horse battery staple"
iam.create_user(UserName="ci")
for name, value in ("demo/db", password), ("demo/motto", "festina lente"):
    client("secretsmanager").create_secret(Name=name, SecretString=value)
client("ssm").put_parameter(Name="/demo/password", Type="SecureString", Value=password)
archive = io.BytesIO()
with zipfile.ZipFile(archive, "w") as file:
    file.writestr("demo.py", "def handler(event, context): pass")
client("lambda").create_function(
    FunctionName="demo",
    Runtime="python3.13",
    Role=deploy,
    Handler="demo.handler",
    Code={"ZipFile": archive.getvalue()},
    Environment={"Variables": {"DB_PASSWORD": password}},
)
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
