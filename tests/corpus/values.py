"""Values for the members of an operation's input, in several styles.

A style is a list of candidate texts; the first that the model's pattern and length allow is taken,
so the values are as hard as the model lets them be. Everything is deterministic.
"""

import base64
import datetime
import functools
import hashlib
import re
import warnings
import zlib
from re import _constants as sre, _parser as sre_parser

ACCOUNT = "123456789012"
UUID = "01234567-89ab-4def-8123-456789abcdef"
TIME = datetime.datetime(2025, 7, 4, 5, 6, 7, tzinfo=datetime.timezone.utc)
# Leaves of one input; recursive models would have millions.
MAX_LEAVES = 400

PLAIN = ("name-1", "name1", "Name", "a1b2c3d4e5", ACCOUNT, "us-east-1", "1", "a@example.com")
ODD = ("a b+c d=é%20&;?#'*~", "a b+c_d", "a b", "a+b", "x_1.y-2", "ä", "a:b", "A.b-c")
GREEDY = ("a b/c+d//é%2F=.txt", "a b/c.txt", "a/b/c")
IDS = (
    "i-0123456789abcdef0",
    "0123456789abcdef0123456789abcdef",
    UUID,
    "x" * 64,
    ACCOUNT,
    "ABCDEFGHIJKLM1",
    "a1",
)
# What follows the account in ARNs of a service, where a made-up kind would not do.
OWN_RESOURCES = {
    "kinesis": ("stream/name-1", "stream/name-1/consumer/name-1:1", "queue/name-1", "channel/name-1"),
    "lambda": ("function:function-1", "layer:layer-1", "layer:layer-1:1"),
    "sns": ("topic-1",),
    "sqs": ("queue-1",),
    "acm": (f"certificate/{UUID}",),
    "ecs": ("cluster/name-1", "service/name-1/name-1", "task/name-1/0123456789abcdef0123456789abcdef"),
    "states": ("stateMachine:machine-1", "execution:machine-1:run-1", "activity:activity-1"),
    "elasticloadbalancing": ("loadbalancer/app/name-1/0123456789abcdef",),
}
STYLES = ("plain", "odd", "ids")


# Patterns of the models that Python reads as they are meant, but not without a remark.
warnings.simplefilter("ignore", FutureWarning)


class Maker:
    """Makes the input of one operation: `members` is `least` or `all`."""

    def __init__(self, style, members, partition, region, service, turn=0):
        self.style, self.members, self.turn = style, members, turn
        self.partition, self.region, self.service = partition, region, service
        self.leaves = 0

    def input(self, shape):
        return self._structure(shape, "", 0, top=True) if shape is not None else {}

    def value(self, shape, name, depth, place=""):
        kind = shape.type_name
        if kind == "structure":
            if getattr(shape, "is_document_type", False):
                return {"a": 1, "b": ["x", True]}
            return self._structure(shape, name, depth)
        if kind == "list":
            least = max(shape.metadata.get("min") or 0, 1)
            count = max(least, 2) if self.members == "all" and depth < 2 else least
            return [self.value(shape.member, name, depth + 1) for _ in range(min(count, 25))]
        if kind == "map":
            key = self.value(shape.key, name, depth + 1, place)
            return {key: self.value(shape.value, name, depth + 1, "header" if place == "headers" else place)}
        self.leaves += 1
        if kind in ("string", "character"):
            return self._text(shape, name, place)
        if kind in ("integer", "long"):
            return self._number(shape)
        if kind in ("float", "double"):
            return 0.5 if self._fits(shape, 0.5) else float(shape.metadata.get("min") or 1)
        if kind == "boolean":
            return self.style != "odd"
        if kind == "timestamp":
            return TIME
        if kind == "blob":
            return self._blob()
        raise NotImplementedError(kind)

    def _blob(self):
        return b"PK\x03\x04blob" if self.style == "ids" else b"blob"

    def _structure(self, shape, name, depth, top=False):
        members = shape.members
        if getattr(shape, "is_tagged_union", False) and members:
            chosen = list(members)[self.turn % len(members)]
            if depth > 6:
                chosen = next((m for m in members if members[m].type_name not in ("structure", "list", "map")), chosen)
            return {chosen: self.value(members[chosen], chosen, depth + 1)} if depth < 9 else {}
        if self.members == "all" and (top or (depth < 4 and self.leaves < MAX_LEAVES)):
            names = list(members)
        else:
            names = shape.required_members if depth < 9 else []
        return {
            m: self.value(members[m], m, depth + 1, members[m].serialization.get("location", ""))
            for m in names
            if m in members and not (depth >= 4 and members[m].type_name == "structure" and m not in shape.required_members)
        }

    def _number(self, shape):
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if self.style == "ids" and high is not None:
            return int(high)
        if self.style == "odd" and low is not None:
            return int(low)
        return max(int(low or 1), 1) if high is None or int(high) >= 1 else int(high)

    @staticmethod
    def _fits(shape, number):
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        return (low is None or number >= low) and (high is None or number <= high)

    def _text(self, shape, name, place):
        if name == "ChecksumAlgorithm":
            # The others need a library of their own.
            return "CRC32" if self.style == "plain" else "SHA256"
        if shape.enum:
            return shape.enum[zlib.crc32(self.style.encode()) % len(shape.enum) if self.style != "plain" else 0]
        known = self._known(name)
        low, high = shape.metadata.get("min") or 0, shape.metadata.get("max") or 1 << 20
        if name.lower().endswith("arn"):
            candidates = self.arns()
        elif self.style == "odd":
            candidates = (GREEDY if place == "greedy" else ()) + ODD + PLAIN
        elif self.style == "ids":
            candidates = IDS + PLAIN
        else:
            candidates = PLAIN
        pattern = shape.metadata.get("pattern")
        if pattern and "arn" in pattern:
            candidates += self.arns()
        if known:
            candidates = (known, *candidates)
        for text in candidates:
            # HTTP has no agreed way to write other characters in a header or a host.
            if place in ("header", "host") and not text.isascii():
                continue
            # The key of a map that is sent as headers is part of a header's name.
            if place == "headers" and not re.fullmatch("[A-Za-z0-9._-]+", text):
                continue
            if len(text) < low and text:
                text += "x" * (low - len(text))
            if len(text) <= high and matches(pattern, text):
                return text
        return from_pattern(pattern, low, high) or "x" * max(low, 1)

    def arns(self):
        """ARNs as the service itself has them, then of what others often refer to."""
        own = OWN_RESOURCES.get(self.service, ("thing/name-1",))
        here = f"{self.region}:{ACCOUNT}"
        near = [f"{self.service}:{here}:{resource}" for resource in own]
        far = (
            f"iam::{ACCOUNT}:role/role-1",
            f"kms:{here}:key/{UUID}",
            f"lambda:{here}:function:function-1",
            "s3:::bkt",
            f"sns:{here}:topic-1",
            f"kinesis:{here}:stream/name-1",
            f"secretsmanager:{here}:secret:secret-1-AbCdEf",
            f"acm:{here}:certificate/{UUID}",
            f"cloudfront::{ACCOUNT}:key-value-store/{UUID}",
            f"logs:{here}:log-group:group-1",
            f"ec2:{here}:vpc/vpc-0123456789abcdef0",
        )
        return tuple(f"arn:{self.partition}:{arn}" for arn in (*near, *far))

    def _known(self, name):
        """Members whose text decides over host or path, or is checked by botocore."""
        if name == "KvsARN":
            return f"arn:aws:cloudfront::{ACCOUNT}:key-value-store/{UUID}"
        if name == "QueueUrl":
            return f"https://sqs.{self.region}.amazonaws.com/{ACCOUNT}/queue"
        if name == "PredictEndpoint":
            return f"https://realtime.machinelearning.{self.region}.amazonaws.com"
        if name == "Bucket":
            return "bkt"
        if name == "CopySource":
            return "src/a%20k"
        if name == "Key" and self.style == "plain":
            return "a/k 1+2.txt"
        if name in ("AccountId", "accountId", "AwsAccountId", "awsAccountId"):
            return ACCOUNT
        if name == "assetSHA256":
            # Sent as the hash of the body.
            return hashlib.sha256(self._blob()).hexdigest()
        if name == "SSECustomerKey" or name == "CopySourceSSECustomerKey":
            return "k" * 32
        return None


@functools.lru_cache(maxsize=None)
def compiled(pattern):
    """The model's pattern as Python's `re` reads it; `None` where it does not."""
    text = re.sub(r"\\p\{(L|Letter|Alpha|IsAlphabetic|L[ulm])\}", "a-zA-Zé" if "[" in pattern else "[a-zA-Zé]", pattern)
    text = re.sub(r"\\p\{(N|Nd|Digit)\}", "0-9" if "[" in pattern else "[0-9]", text)
    text = re.sub(r"\\p\{(Z|Zs|Space|IsWhite_Space)\}", " ", text)
    text = re.sub(r"\\p\{(S|P|M|C|Graph|Print|ASCII|Punct|Cntrl|[A-Z][a-z]?)\}", "_", text)
    text = text.replace("\\z", "\\Z").replace("&&", "")
    try:
        return re.compile(text)
    except re.error:
        return None


@functools.lru_cache(maxsize=None)
def matches(pattern, text):
    if not pattern:
        return True
    expression = compiled(pattern)
    return expression is not None and expression.fullmatch(text) is not None


@functools.lru_cache(maxsize=None)
def from_pattern(pattern, low, high):
    """A text that the pattern matches, built from the pattern itself; `None` where that fails."""
    expression = compiled(pattern or "")
    if expression is None:
        return None
    for more in (0, 1, 2, 4, 8, 12, 16, 20, 24, 32, 36, 40, 64, 128):
        try:
            text = "".join(walk(sre_parser.parse(expression.pattern), more))
        except (NotImplementedError, RecursionError, re.error):
            return None
        if low <= len(text) <= high and expression.fullmatch(text):
            return text
    return None


def walk(tokens, more):
    for op, arg in tokens:
        if op is sre.LITERAL:
            yield chr(arg)
        elif op is sre.NOT_LITERAL:
            yield "x" if arg != ord("x") else "y"
        elif op is sre.ANY:
            yield "x"
        elif op is sre.IN:
            yield member_of(arg)
        elif op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            low, high, inner = arg
            for _ in range(min(max(low, more), high if high is not sre.MAXREPEAT else 1 << 16)):
                yield from walk(inner, more)
        elif op is sre.SUBPATTERN:
            yield from walk(arg[3], more)
        elif op is sre.BRANCH:
            yield from walk(arg[1][0], more)
        elif op in (sre.AT, sre.ASSERT, sre.ASSERT_NOT):
            continue
        else:
            raise NotImplementedError(op)


def member_of(items):
    negated = bool(items) and items[0][0] is sre.NEGATE
    if negated:
        for candidate in "x1-a ":
            if not re.fullmatch("[" + "".join(class_text(item) for item in items[1:]) + "]", candidate):
                return candidate
        raise NotImplementedError("negated class")
    for wanted in "ax1A-_":
        if any(holds(item, ord(wanted)) for item in items):
            return wanted
    op, arg = items[0]
    if op is sre.RANGE:
        return chr(arg[0])
    if op is sre.LITERAL:
        return chr(arg)
    return {sre.CATEGORY_DIGIT: "1", sre.CATEGORY_WORD: "a", sre.CATEGORY_SPACE: " "}.get(arg, "x")


def holds(item, code):
    op, arg = item
    if op is sre.LITERAL:
        return arg == code
    if op is sre.RANGE:
        return arg[0] <= code <= arg[1]
    if op is sre.CATEGORY:
        text = chr(code)
        return {
            sre.CATEGORY_DIGIT: text.isdigit(),
            sre.CATEGORY_WORD: text.isalnum() or text == "_",
            sre.CATEGORY_SPACE: text.isspace(),
            sre.CATEGORY_NOT_SPACE: not text.isspace(),
            sre.CATEGORY_NOT_DIGIT: not text.isdigit(),
        }.get(arg, False)
    return False


def class_text(item):
    op, arg = item
    if op is sre.LITERAL:
        return re.escape(chr(arg))
    if op is sre.RANGE:
        return f"{re.escape(chr(arg[0]))}-{re.escape(chr(arg[1]))}"
    if op is sre.CATEGORY:
        return {sre.CATEGORY_DIGIT: r"\d", sre.CATEGORY_WORD: r"\w", sre.CATEGORY_SPACE: r"\s"}.get(arg, r"\S")
    return ""


def described(value, shape, protocol, top=True):
    """`value` as JSON, for comparing with what the product read.

    Texts, whole numbers, truth values, lists and structures are themselves. A member of a structure
    below the top whose name on the wire differs is `model|wire`. What has no leaves is empty in the query
    protocols, which write nothing else. What has several spellings is marked:
    `{"$time": seconds}`, `{"$float": number}`, `{"$blob": base64}`, and `{"$open": true}` where
    nothing is compared.
    """
    kind = shape.type_name
    if kind == "structure":
        if getattr(shape, "is_document_type", False) or not isinstance(value, dict):
            return {"$open": True}
        members = {
            name if top else both(name, shape.members[name], protocol): described(
                value[name], shape.members[name], protocol, False
            )
            for name in value
            if name in shape.members and value[name] is not None
        }
        return {} if protocol in ("query", "ec2") and leafless(members) else members
    if kind == "list":
        if not isinstance(value, (list, tuple)):
            return {"$open": True}
        items = [described(item, shape.member, protocol, False) for item in value]
        return [] if protocol in ("query", "ec2") and all(map(leafless, items)) else items
    if kind == "map":
        return {str(key): described(item, shape.value, protocol, False) for key, item in value.items()}
    if kind == "timestamp":
        return {"$time": int(value.timestamp())} if hasattr(value, "timestamp") else {"$open": True}
    if kind in ("float", "double"):
        return {"$float": float(value)}
    if kind == "blob":
        if not isinstance(value, (bytes, bytearray, str)):
            return {"$open": True}
        raw = value.encode() if isinstance(value, str) else bytes(value)
        return {"$blob": base64.b64encode(raw).decode()}
    if shape.serialization.get("jsonvalue"):
        return {"$open": True}
    return value


def leafless(described):
    """Whether there is no text, number or truth value anywhere in it."""
    if isinstance(described, dict):
        return all(map(leafless, described.values()))
    return isinstance(described, list) and all(map(leafless, described))


def both(name, shape, protocol):
    serialization = shape.serialization
    wire = serialization.get("name", name)
    if protocol == "ec2":
        wire = serialization.get("queryName") or wire[:1].upper() + wire[1:]
    return name if wire == name else f"{name}|{wire}"
