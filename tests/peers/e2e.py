"""One call with boto3, as an agent would write it. Usage: e2e.py CASE; prints one line of JSON."""

import hashlib
import io
import json
import sys

import boto3
import botocore.exceptions

BUCKET = "e2e-bucket"


class Stream(io.RawIOBase):
    """Five million bytes that boto3 cannot hash beforehand."""

    def __init__(self):
        self.data = io.BytesIO(b"stream" * 833_334)

    def readable(self):
        return True

    def read(self, size=-1):
        return self.data.read(size)

    def seek(self, offset, whence=0):
        return self.data.seek(offset, whence)

    def tell(self):
        return self.data.tell()


def get(key):
    body = boto3.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return {"sha256": hashlib.sha256(body).hexdigest(), "length": len(body)}


CASES = {
    "put": lambda: boto3.client("s3").put_object(Bucket=BUCKET, Key="small", Body=b"hello"),
    "put-odd-key": lambda: boto3.client("s3").put_object(Bucket=BUCKET, Key="a b/+%é~(1).txt", Body=b"hello"),
    "put-stream": lambda: boto3.client("s3").put_object(Bucket=BUCKET, Key="stream", Body=Stream()),
    "get": lambda: get("bytes-1000000"),
    "list": lambda: boto3.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="a b/c"),
    "put-item": lambda: boto3.client("dynamodb").put_item(TableName="t", Item={"id": {"S": "1"}}),
    "identity": lambda: {"arn": boto3.client("sts").get_caller_identity()["Arn"]},
    "delete-bucket": lambda: boto3.client("s3").delete_bucket(Bucket=BUCKET),
    "delete-table": lambda: boto3.client("dynamodb").delete_table(TableName="t"),
}

try:
    answer = CASES[sys.argv[1]]()
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 200)
    seen = {key: answer[key] for key in ("sha256", "length", "arn") if key in answer}
    print(json.dumps({"status": status, **seen}))
except botocore.exceptions.ClientError as error:
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    print(json.dumps({"status": status, **error.response["Error"]}))
except Exception as error:  # whatever the SDK makes of a broken connection
    print(json.dumps({"exception": type(error).__name__, "Message": str(error)}))
