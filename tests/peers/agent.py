"""An agent that lives on: boto3 clients that are made once and used for as long as it lives.

For every line on stdin ("get", "identity", "credentials") it prints one line of JSON. With the variable
RECEIVED all bytes that it receives, inside TLS as well, are appended to that file.
"""

import json
import os
import socket
import ssl
import sys

import boto3
import botocore.exceptions


def keep_what_is_received(path):
    """HTTP reads through recv_into, as http.client does."""
    kept = open(path, "ab", buffering=0)

    def keeping(recv_into):
        def kept_recv_into(self, buffer, *rest, **named):
            count = recv_into(self, buffer, *rest, **named)
            kept.write(memoryview(buffer)[:count])
            return count

        return kept_recv_into

    ssl.SSLSocket.recv_into = keeping(ssl.SSLSocket.recv_into)
    socket.socket.recv_into = keeping(socket.socket.recv_into)


if "RECEIVED" in os.environ:
    keep_what_is_received(os.environ["RECEIVED"])

session = boto3.Session()
clients = {}


def client(name):
    if name not in clients:
        clients[name] = session.client(name)
    return clients[name]


def get():
    body = client("s3").get_object(Bucket="e2e-bucket", Key="bytes-100000")["Body"].read()
    return {"length": len(body)}


def credentials():
    found = session.get_credentials()
    if found is None:
        return {"key": None}
    keys = found.get_frozen_credentials()
    return {"key": keys.access_key, "secret": keys.secret_key, "token": keys.token}


CASES = {
    "get": get,
    "identity": lambda: {"arn": client("sts").get_caller_identity()["Arn"]},
    "credentials": credentials,
}

for line in sys.stdin:
    try:
        print(json.dumps({"status": 200, **CASES[line.strip()]()}), flush=True)
    except botocore.exceptions.ClientError as error:
        meta = error.response["ResponseMetadata"]
        seen = {"status": meta["HTTPStatusCode"], "retries": meta["RetryAttempts"], **error.response["Error"]}
        print(json.dumps(seen), flush=True)
    except Exception as error:  # whatever the SDK makes of it
        print(json.dumps({"exception": type(error).__name__, "Message": str(error)}), flush=True)
