"""Prints the credentials that boto3 finds by itself: METHOD ID SECRET TOKEN."""

import boto3

credentials = boto3.Session().get_credentials()
if credentials is not None:
    keys = credentials.get_frozen_credentials()
    print(credentials.method, keys.access_key, keys.secret_key, keys.token)
