"""Keys that AWS gives a call, and a call with them, with boto3. Usage: minted.py CASE; prints one line of JSON.

`given` has every pair of keys that boto3 was given, `seen` all that it was answered.
"""

import json
import sys

import boto3

BUCKET = "e2e--use1-az4--x-s3"

given, seen = [], []


def parts(keys):
    return [keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]]


def note(parsed, http_response, **_):
    seen.append(f"{dict(http_response.headers)} {http_response.text}")
    if isinstance(parsed.get("Credentials"), dict):
        given.append(parts(parsed["Credentials"]))


def client(service, keys=None, **more):
    names = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"]
    made = boto3.client(service, **dict(zip(names, keys or [])), **more)
    made.meta.events.register("after-call.sts", note)
    made.meta.events.register("after-call.s3.CreateSession", note)
    return made


def session_token():
    client("sts").get_session_token()
    return client("sts", given[-1]).get_caller_identity()["Arn"]


def express(keys=None):
    # boto3 makes the session by itself, and signs with its keys.
    s3 = client("s3", keys, region_name="us-east-1")
    length = len(s3.get_object(Bucket=BUCKET, Key="bytes-1000")["Body"].read())
    s3.put_object(Bucket=BUCKET, Key="small", Body=b"hello")
    return length


def express_with_session_token():
    session_token()
    return express(given[-1])


CASES = {"session-token": session_token, "express": express, "express-with-session-token": express_with_session_token}

try:
    print(json.dumps({"result": CASES[sys.argv[1]](), "given": given, "seen": seen}))
except Exception as error:  # whatever the SDK makes of a refusal
    print(json.dumps({"exception": f"{type(error).__name__}: {error}", "given": given, "seen": seen}))
