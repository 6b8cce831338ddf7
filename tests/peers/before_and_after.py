"""Calls STS with boto3, waits, and calls again with the same keys.

Usage: before_and_after.py READY GO AFTER, three FIFOs: the first call's outcome is written to READY,
reading GO is the wait, the second call's outcome is written to AFTER.
"""

import sys

import boto3
import botocore.config

ready, go, after = sys.argv[1:]
sts = boto3.client("sts", config=botocore.config.Config(retries={"total_max_attempts": 1}))


def outcome():
    try:
        return sts.get_caller_identity()["Arn"]
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def tell(fifo):
    text = outcome()
    with open(fifo, "w") as out:
        print(text, file=out)


tell(ready)
open(go).read()
tell(after)
