"""Requests for every operation of every service, as botocore's own serializers and signer make them.

Usage: python3 generate.py [--sample N] [--services a,b] [--jobs N] > corpus.jsonl

One JSON line each: method, url (host, path and query as sent), headers, body (base64) and the truth:
`service` (botocore's name), `prefix` (of its IAM actions), `operation`, `variant`, `params` (as
`values.described` writes them), and `unsigned` where a client leaves the request without signature,
so that it was signed here. With `--sample N` about every Nth request is made, at least one for each
service. What botocore itself refuses to send is counted on standard error.

The output depends only on botocore's models and this directory: fixed time, key and values.
"""

import argparse
import collections
import functools
import multiprocessing
import pathlib
import sys
import zlib

import botocore.exceptions

import capture
from values import ACCOUNT, Maker, described

HERE = pathlib.Path(__file__).parent


class Variant(collections.namedtuple("Variant", "name style members region protocol every config")):
    """How a request is made: `every` is how many operations share one such request."""


def variants(service, regions, protocols):
    """`regions`: one list each of the partitions aws, aws-cn and aws-us-gov."""
    aws, china, gov = regions
    home = "us-east-1" if "us-east-1" in aws or not aws else aws[0]
    second = "eu-central-1" if "eu-central-1" in aws else aws[-1] if aws else home
    foreign = [region for region in (china[:1] + gov[:1]) if region]
    pick = zlib.crc32(service.encode())
    third = foreign[pick % len(foreign)] if foreign else aws[pick % len(aws)] if aws else home
    main, others = protocols[0], protocols[1:]
    yield Variant("least", "plain", "least", home, main, 1, {})
    yield Variant("odd", "odd", "all", second, main, 1, {})
    yield Variant("ids", "ids", "all", third, main, 1, {})
    for other in others:
        yield Variant(f"{other}", "plain", "least", home, other, 1, {})
        yield Variant(f"{other}-all", "ids", "all", second, other, 1, {})
    yield Variant("fips", "plain", "least", home, main, 4, {"use_fips_endpoint": True})
    yield Variant("dualstack", "plain", "all", second, main, 4, {"use_dualstack_endpoint": True})
    yield Variant(
        "fips-dualstack", "odd", "least", home, main, 8,
        {"use_fips_endpoint": True, "use_dualstack_endpoint": True},
    )
    if foreign:
        other = foreign[(pick + 1) % len(foreign)]
        yield Variant("partition", "odd", "least", other, main, 4, {})
    if service.startswith("dynamodb"):
        yield Variant("account", "plain", "least", home, main, 1, {"account": ACCOUNT})
    if service == "s3":
        yield from s3_variants(home)


def of_objects(operation, params):
    return "Key" in params or operation in ("ListObjects", "ListObjectsV2", "DeleteObjects", "ListMultipartUploads")


def s3_variants(home):
    """The ways to address a bucket. The bucket of each stands in for that of the style."""
    arn = f"arn:aws:s3:us-west-2:{ACCOUNT}"
    for name, bucket, config in (
        ("path", "bkt", {"s3": {"addressing_style": "path"}}),
        ("dotted", "a.dotted.bkt", {}),
        ("global", "bkt", {"s3": {"us_east_1_regional_endpoint": "legacy"}}),
        ("accelerate", "bkt", {"s3": {"use_accelerate_endpoint": True}}),
        ("access-point", f"{arn}:accesspoint/ap-1", {"s3": {"use_arn_region": True}}),
        ("access-point-fips", f"{arn}:accesspoint/ap-1", {"use_fips_endpoint": True}),
        ("object-lambda", f"arn:aws:s3-object-lambda:us-west-2:{ACCOUNT}:accesspoint/olap-1", {}),
        ("outposts", f"arn:aws:s3-outposts:us-west-2:{ACCOUNT}:outpost/op-01234567890123456/accesspoint/ap-1", {}),
        ("express", "bkt--use1-az4--x-s3", {"s3": {"disable_s3_express_session_auth": True}}),
    ):
        region = "us-west-2" if bucket.startswith("arn") else home
        yield Variant(f"s3-{name}", "plain", "least", region, None, 1, dict(config, bucket=bucket))


def prefixes():
    """IAM prefixes of the services whose signing name is another."""
    lines = (HERE / "prefixes.txt").read_text().splitlines()
    return dict(line.split() for line in lines if line and not line.startswith("#"))


PREFIXES = prefixes()


def partition_of(region):
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"


class Service:
    def __init__(self, session, name):
        self.session, self.name = session, name
        self.metadata = session.loader.load_service_model(name, "service-2")["metadata"]
        # Restored before each client is made: forcing a protocol changes it.
        self.protocols = list(self.metadata.get("protocols") or [self.metadata["protocol"]])
        self.prefix = PREFIXES.get(name) or self.metadata.get("signingName") or self.metadata["endpointPrefix"]

    def regions(self):
        return [
            self.session.botocore.get_available_regions(self.name, partition)
            for partition in ("aws", "aws-cn", "aws-us-gov")
        ]

    def requests(self, sample, refused):
        operations = list(self.session.loader.load_service_model(self.name, "service-2")["operations"])
        for number, variant in enumerate(variants(self.name, self.regions(), self.protocols)):
            # Making a client takes as long as fifty requests: a sample takes a third of the variants.
            if sample > 1 and number and (number + zlib.crc32(self.name.encode())) % 3 and len(operations) < 150:
                continue
            chosen = [
                (turn, operation)
                for turn, operation in enumerate(operations)
                if (turn + number) % variant.every == 0
                and (sample == 1 or self._sampled(operation, variant, sample) or (turn == 0 and number == 0))
            ]
            if chosen:
                yield from self._of_variant(variant, chosen, refused)

    def _sampled(self, operation, variant, sample):
        return zlib.crc32(f"{self.name}.{operation}.{variant.name}".encode()) % sample == 0

    def _cell(self, region):
        """A host as discovery tells it; without discovery botocore does not send."""
        kind = "ingest" if self.name.endswith("write") else "query"
        cell = "" if region == "us-east-1" else "-cell2"
        return f"https://{kind}{cell}.timestream.{region}.amazonaws.com"

    def _of_variant(self, variant, chosen, refused):
        config = dict(variant.config)
        if self.name in ("timestream-query", "timestream-write"):
            config["url"] = self._cell(variant.region)
        bucket = config.pop("bucket", None)
        protocol = variant.protocol or self.protocols[0]
        try:
            client = self.session.client(self.name, variant.region, protocol, **config)
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            refused[f"{variant.name}: {type(error).__name__}"] += len(chosen)
            return
        model = client.meta.service_model
        for turn, operation in chosen:
            shape = model.operation_model(operation).input_shape
            maker = Maker(
                variant.style, variant.members, partition_of(variant.region), variant.region, self.prefix.split(",")[0], turn
            )
            params = maker.input(shape)
            if bucket:
                # What is not simply a bucket has objects, and little that could be configured.
                plain = not bucket.startswith("arn:") and not bucket.endswith("-x-s3")
                if "Bucket" not in params or not (plain or of_objects(operation, params)):
                    continue
                params["Bucket"] = bucket
            try:
                request, final = capture.call(client, operation, params)
                line, unsigned = capture.sent(
                    request, client.meta.service_model.signing_name, client.meta.region_name
                )
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, ValueError) as error:
                refused[f"{variant.name}: {type(error).__name__}"] += 1
                if VERBOSE:
                    print(self.name, operation, variant.name, type(error).__name__, error, file=sys.stderr)
                continue
            line["truth"] = {
                "service": self.name,
                "prefix": self.prefix,
                "operation": operation,
                "variant": variant.name,
                "params": described(final, shape, protocol) if shape is not None else {},
                "unsigned": unsigned,
            }
            if shape is not None:
                streaming = shape.serialization.get("payload")
                if streaming and shape.members[streaming].serialization.get("streaming"):
                    line["truth"]["streaming"] = streaming
            yield capture.written(line)


VERBOSE = False


@functools.lru_cache(maxsize=1)
def session():
    return capture.Session()


def of_service(work):
    name, sample = work
    refused = collections.Counter()
    lines = list(Service(session(), name).requests(sample, refused))
    session().forget()
    return "\n".join(lines) + "\n" if lines else "", refused


def main():
    global VERBOSE
    parser = argparse.ArgumentParser(description="Requests for every operation of every service.")
    parser.add_argument("--sample", type=int, default=1)
    parser.add_argument("--services", default="")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    VERBOSE = args.verbose
    names = capture.Session().botocore.get_available_services()
    if args.services:
        names = [name for name in names if name in args.services.split(",")]
    refused = collections.Counter()
    with multiprocessing.Pool(args.jobs, capture.freeze) as pool:
        for lines, left_out in pool.imap(of_service, [(name, args.sample) for name in names]):
            sys.stdout.write(lines)
            refused.update(left_out)
    for reason, count in sorted(refused.items()):
        print(f"not sent by botocore: {count} of {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
