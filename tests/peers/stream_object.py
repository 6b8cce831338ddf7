"""Sends a file to S3 as one streamed PutObject and fetches it again as a stream.

Usage: stream_object.py BUCKET FILE BACK
"""

import shutil
import sys

import boto3

bucket, file, back = sys.argv[1:]
s3 = boto3.client("s3")
with open(file, "rb") as body:
    answer = s3.put_object(Bucket=bucket, Key="boto3", Body=body)
print("put", answer["ResponseMetadata"]["HTTPStatusCode"])
answer = s3.get_object(Bucket=bucket, Key="boto3")
with open(back, "wb") as out:
    shutil.copyfileobj(answer["Body"], out)
print("got", answer["ContentLength"], "bytes")
