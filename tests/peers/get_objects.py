"""Fetches one object after the other from S3, in eight threads, until it is killed; what fails is not asked again.

Usage: get_objects.py BUCKET; no key is asked for twice.
"""

import itertools
import sys
import threading
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

WORKERS = 8

(bucket,) = sys.argv[1:]
once = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=5, max_pool_connections=WORKERS)
s3 = boto3.client("s3", config=once)


def work(worker):
    for number in itertools.count():
        try:
            s3.get_object(Bucket=bucket, Key=f"{worker}-{number}/bytes-100")["Body"].read()
        except (BotoCoreError, ClientError):
            # Nobody is there: the machine is left to whoever starts the daemon.
            time.sleep(0.02)


for worker in range(WORKERS):
    threading.Thread(target=work, args=[worker]).start()
