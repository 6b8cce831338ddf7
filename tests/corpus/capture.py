"""Clients that sign but do not send: what they would have sent, as one JSON line each."""

import base64
import datetime
import json
import uuid

import botocore
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import botocore.session
from botocore.config import Config

NOW = datetime.datetime(2025, 8, 30, 12, 36, 0, tzinfo=datetime.timezone.utc)
KEYS = ("ASIAPLACEHOLDER00001", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00", "placeholder-token")
# Neither signed nor of any meaning, and they tell of the machine.
UNSIGNED = ("user-agent", "amz-sdk-invocation-id", "amz-sdk-request")


class Done(Exception):
    """Raised in place of sending."""


def freeze():
    """Every signature at the same moment, every idempotency token the same."""
    botocore.auth.get_current_datetime = lambda *_args, **_kwargs: NOW
    uuid.uuid4 = lambda: uuid.UUID(int=0x0123456789ABCDEF0123456789ABCDEF, version=4)


class Session:
    """One botocore session; makes clients of any protocol that a service lists."""

    def __init__(self):
        self._session = botocore.session.Session(profile=None)
        self._session.set_config_variable("region", "us-east-1")
        self.loader = self._session.get_component("data_loader")

    @property
    def botocore(self):
        return self._session

    def forget(self):
        """Drops the models of services, which together need more memory than is worth it."""
        cache = self.loader._cache
        for key in [key for key in cache if len(key) > 1 and "/" in key[1]]:
            del cache[key]

    def client(self, service, region, protocol=None, account=None, url=None, **config):
        metadata = self.loader.load_service_model(service, "service-2")["metadata"]
        if protocol:
            metadata["protocols"] = [protocol]
        # What is sent by newer rules (SigV4a) or older ones (v2) is signed as all else is; what has a
        # bearer token is signed in `sent`.
        version = "s3v4" if service in ("s3", "s3control") else "v4"
        if metadata["signatureVersion"] == "bearer":
            version = botocore.UNSIGNED
        self._session._credentials = botocore.credentials.Credentials(*KEYS, account_id=account)
        settings = Config(
            parameter_validation=False,
            retries={"total_max_attempts": 1},
            signature_version=version,
            endpoint_discovery_enabled=False,
            **config,
        )
        client = self._session.create_client(service, region_name=region, config=settings, endpoint_url=url)
        client._chaperone_caught = {}
        events = client.meta.events
        events.register_last("before-parameter-build", _keep_params(client))
        events.register("before-send", _keep_request(client))
        return client


def _keep_params(client):
    def keep(params, **_kwargs):
        client._chaperone_caught["params"] = params

    return keep


def _keep_request(client):
    def keep(request, event_name, **_kwargs):
        client._chaperone_caught.update(request=request, event=event_name)
        raise Done

    return keep


def call(client, operation, params):
    """The request that `operation` would send and the parameters it was built from."""
    caught = client._chaperone_caught
    caught.clear()
    try:
        client._make_api_call(operation, params)
    except Done:
        pass
    if not caught["event"].endswith(f".{operation}"):
        raise botocore.exceptions.ClientError({}, caught["event"])
    return caught["request"], caught["params"]


def presigned(client, operation, params, seconds):
    """As a line, the request of a URL that the client makes for `operation`."""
    signed = []
    sign = client._request_signer.sign

    def keep(operation_name, request, *args, **kwargs):
        sign(operation_name, request, *args, **kwargs)
        signed.append(request)

    client._request_signer.sign = keep
    try:
        client.generate_presigned_url(botocore.xform_name(operation), Params=params, ExpiresIn=seconds)
    finally:
        client._request_signer.sign = sign
    request = signed[-1].prepare()
    return as_line(request, bytes_of(request.body))


def sent(request, signing_name, region):
    """Method, URL, headers and body; signed here where the client leaves the request unsigned."""
    body = bytes_of(request.body)
    names = {name.lower() for name in request.headers}
    unsigned = "authorization" not in names
    if unsigned:
        texts = {name: _text(value) for name, value in request.headers.items() if name.lower() not in UNSIGNED}
        plain = botocore.awsrequest.AWSRequest(method=request.method, url=request.url, data=body, headers=texts)
        credentials = botocore.credentials.Credentials(*KEYS)
        # Of a partition's only endpoint; IAM signs for the region in which that is.
        region = "us-east-1" if region == "aws-global" else region
        botocore.auth.SigV4Auth(credentials, signing_name, region).add_auth(plain)
        request = plain.prepare()
    return as_line(request, body), unsigned


def bytes_of(body):
    body = body or b""
    if hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else body


def as_line(request, body):
    scheme, _, rest = request.url.partition("://")
    headers = [
        [name.lower(), _text(text)]
        for name, text in request.headers.items()
        if name.lower() not in UNSIGNED
    ]
    line = {
        "method": request.method,
        "url": rest if "/" in rest else rest + "/",
        "headers": headers,
        "body": base64.b64encode(body).decode(),
    }
    assert scheme == "https", request.url
    return line


def _text(header):
    return header.decode("latin-1") if isinstance(header, bytes) else header


def written(line):
    return json.dumps(line, separators=(",", ":"), ensure_ascii=True)
