"""Answers of operations as AWS would write them, each as it is and as it must be when masked; and parameters of requests.

Usage: python3 answers.py [--requests] [--services a,b] [--check] > answers.jsonl

What is secret is worked out here from botocore's models and the lists beside the code generator, apart from the code
that the product uses. One JSON line for each operation, protocol and setting of `mask.personal`:
`service`, `operation`, `protocol`, `personal`, `format` (`json`, `cbor`, `events`, `whole`, `text`, or `xml1`, `xml2` by
the elements around the members), `headers` and `masked_headers`, `body` and `masked` (base64), and `secrets`: texts of
which none may be in the masked answer. With `--requests`: `service`, `operation`, `params` as records have them, and
`secrets`: the JSON pointers of what must be redacted. With `--check`, botocore's own parsers read every answer.
"""

import argparse
import base64
import datetime
import functools
import io
import json
import pathlib
import re
import struct
import sys
import zlib

import botocore.awsrequest
import botocore.model
import botocore.parsers
import botocore.response
import botocore.session

HERE = pathlib.Path(__file__).parent
LISTS = HERE.parent.parent / "xtask/src/codegen/secrets"
MASKED = "chaperone:masked"
# Odd in each format.
ODD = ("", "plain", "é\u2028 <&>\"'", "tab\tline\nend", "back\\slash/", "]]>", "{\"a\": [1]}", "\U0001f512 lock")
EPOCH = 1751605567
# Shapes that contain themselves are made so often.
REPEATS = 2
# Leaves of an answer.
MAX_LEAVES = 3000


def words(name):
    for line in (LISTS / name).read_text().splitlines():
        parts = line.split("#")[0].split()
        if parts:
            yield parts[0], parts[1:]


def fits(glob, text):
    # `[]` and `{}` are signs of the lists, not of globs.
    return re.fullmatch(".*".join(re.escape(part) for part in glob.split("*")), text) is not None


class Lists:
    def __init__(self):
        self.marks = {name: list(words(f"{name}.txt")) for name in ("opened", "noise", "personal")}
        self.rules = [
            (service, *re.match(r"([^.\[{]+)(.*)", word).groups())
            for service, listed in words("unmarked.txt")
            for word in listed
        ]

    def _says(self, name, service, texts):
        for known, listed in self.marks[name]:
            if known in ("*", service):
                hits = [word for word in listed if any(fits(word.lstrip("-"), text) for text in texts)]
                if any(not word.startswith("-") for word in hits) and not any(word.startswith("-") for word in hits):
                    return True
        return False

    @functools.lru_cache(maxsize=None)
    def marked(self, service, texts, request):
        """`secret`, `personal` or None for a member that the model marks."""
        if self._says("opened", service, texts):
            return None
        if request:
            return "secret"
        if self._says("noise", service, texts):
            return None
        return "personal" if self._says("personal", service, texts) else "secret"

    @functools.lru_cache(maxsize=None)
    def starting(self, service, shape):
        """The steps of the rules that begin at a shape."""
        return tuple(rest for known, start, rest in self.rules if known == service and fits(start, shape))


class Leaf:
    """A value without parts: `kind` as plans have it, `hidden` as which kind it is to be hidden, or None."""

    def __init__(self, shape, at, value, kind, hidden):
        self.shape, self.at, self.value, self.kind, self.hidden = shape, at, value, kind, hidden


KINDS = {"string": "text", "character": "text", "integer": "number", "long": "number", "float": "number",
         "double": "number", "boolean": "boolean", "timestamp": "timestamp", "blob": "blob"}


class Maker:
    """Makes the value of one operation's answer or parameters."""

    def __init__(self, lists, service, model, personal=False, request=False):
        self.lists, self.service, self.model = lists, service, model
        self.personal, self.request = personal, request
        self.secrets, self.leaves, self.turn, self.depths = [], 0, 0, {}

    def raw(self, name):
        return self.model._shape_resolver._shape_map[name]

    def root(self, shape):
        texts = (shape.name, f".{shape.name}")
        hidden = self.hidden(shape.name, shape.name, texts, ()) if self.raw(shape.name).get("sensitive") else None
        return self.structure(shape, (), hidden)

    def hidden(self, _name, target, texts, outer):
        if not self.raw(target).get("sensitive"):
            return None
        return self.lists.marked(self.service, texts, self.request)

    def step(self, shape, text, name, ref, active, within):
        """What lies one step from `shape`: the value, or None where it is too much."""
        target = ref.name
        texts = (name, f"{shape.name}{text}") if name else (f"{shape.name}{text}",)
        said = self.hidden(name, target, texts, within)
        active = tuple(active) + self.lists.starting(self.service, shape.name)
        following = [rest[len(text):] for rest in active if rest.startswith(text)]
        # `.Name` must not be taken for the beginning of `.NameServers`.
        following = [rest for rest in following if not rest or rest[0] in ".[{"]
        if any(not rest for rest in following):
            said = "secret"
        order = {None: 0, "personal": 1, "secret": 2}
        said = max(said, within, key=order.get)
        return self.value(ref, tuple(rest for rest in following if rest), said)

    def value(self, shape, active, said):
        kind = shape.type_name
        if kind == "structure" and not getattr(shape, "is_document_type", False):
            # A structure that is hidden is so with all that is in it; else each member for itself.
            return self.structure(shape, active, said)
        if kind == "list":
            count = 2 if self.leaves < MAX_LEAVES / 4 else 1
            items = [self.step(shape, "[]", None, shape.member, active, said) for _ in range(count)]
            return [item for item in items if item is not None]
        if kind == "map":
            made = {}
            for number in range(2):
                item = self.step(shape, "{}", None, shape.value, active, said)
                if item is not None:
                    made[self.key(shape.key, number)] = item
            return made
        return self.leaf(shape, said)

    def key(self, shape, number):
        return list(shape.enum)[number % len(shape.enum)] if shape.enum else f"key-{number}"

    def structure(self, shape, active, said):
        if self.depths.get(shape.name, 0) >= REPEATS or self.leaves > MAX_LEAVES:
            return None
        self.depths[shape.name] = self.depths.get(shape.name, 0) + 1
        whole = self.is_hidden(said)
        members = list(shape.members.items())
        if getattr(shape, "is_tagged_union", False) and members:
            self.turn += 1
            leading = [m for m in members if self.leads(m[1])] or members
            members = [leading[self.turn % len(leading)]]
        made = {}
        for name, ref in members:
            if ref.serialization.get("location") == "statusCode" or ref.serialization.get("xmlAttribute"):
                continue
            if whole:
                value = self.within(ref)
            else:
                value = self.step(shape, f".{name}", name, ref, active, None)
            if value is not None:
                made[name] = value
        self.depths[shape.name] -= 1
        # A union without its one member is none.
        return made if made or not getattr(shape, "is_tagged_union", False) else None

    def within(self, shape):
        """A value in a structure that is hidden as a whole: no types are known there."""
        kind = shape.type_name
        if kind == "structure" and not getattr(shape, "is_document_type", False):
            if self.depths.get(shape.name, 0) >= REPEATS:
                return None
            self.depths[shape.name] = self.depths.get(shape.name, 0) + 1
            members = list(shape.members.items())
            if getattr(shape, "is_tagged_union", False):
                members = members[:1]
            made = {name: value for name, ref in members if (value := self.within(ref)) is not None}
            self.depths[shape.name] -= 1
            return made
        if kind == "list":
            return [item for item in [self.within(shape.member)] if item is not None]
        if kind == "map":
            value = self.within(shape.value)
            return {} if value is None else {self.key(shape.key, 0): value}
        leaf = self.leaf(shape, "secret")
        leaf.hidden = "any"
        return leaf

    def is_hidden(self, said):
        return said == "secret" or (said == "personal" and self.personal)

    def leads(self, shape, seen=()):
        if shape.name in seen:
            return False
        if self.raw(shape.name).get("sensitive"):
            return True
        seen = (*seen, shape.name)
        parts = {"structure": lambda: shape.members.values(), "list": lambda: [shape.member],
                 "map": lambda: [shape.value]}.get(shape.type_name, list)()
        return any(self.leads(part, seen) for part in parts)

    def leaf(self, shape, said):
        self.leaves += 1
        hidden = self.is_hidden(said)
        document = getattr(shape, "is_document_type", False)
        kind = "any" if document else KINDS[shape.type_name]
        number = self.leaves
        if document:
            value = {"a": [1, f"text-{number}", True, None], "b": {}}
            value = {"s": f"secret-{number}-é\"", "n": [7, True, None]} if hidden else value
            if hidden:
                self.secrets.append(f"secret-{number}-")
        elif kind == "text":
            value = list(shape.enum)[0] if shape.enum and not hidden else ODD[number % len(ODD)]
            if hidden:
                value = f"secret-{number}-{value}"
                self.secrets.append(f"secret-{number}-")
        elif kind == "blob":
            value = f"{'secret' if hidden else 'bytes'}-{number}-".encode() + bytes(range(number % 7))
            if hidden:
                self.secrets += [f"secret-{number}-", base64.b64encode(f"secret-{number}-".encode()).decode()[:12]]
        elif kind == "number":
            value = 700000000 + number if hidden else number
            if hidden:
                self.secrets.append(str(value))
            if shape.type_name in ("float", "double") and not hidden:
                value += 0.5
        elif kind == "boolean":
            value = True if hidden else number % 2 == 0
        else:
            value = EPOCH + number
        return Leaf(shape, None, value, kind, kind if hidden else None)


def looks(text):
    """What stands in the place of a value of which only the text is known."""
    if text in ("true", "false"):
        return "false"
    if len(text) > 16 and re.match(r"\d{4}-", text) and "T" in text:
        return "1970-01-01T00:00:00Z"
    if re.fullmatch(r"[0-9-][0-9+\-.eE]*", text):
        return "0"
    return MASKED


def time_text(seconds, form):
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    if form == "rfc822":
        return when.strftime("%a, %d %b %Y %H:%M:%S GMT")
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def time_masked(text):
    if text[:1].isalpha():
        return "Thu, 01 Jan 1970 00:00:00 GMT"
    return "1970-01-01T00:00:00Z" if text[4:5] == "-" else "0"


class Json:
    """`masked`: whether hidden values are written as such."""

    events_type = "application/json"

    def __init__(self, masked):
        self.masked = masked

    def body(self, shape, value, leave_out=()):
        return self.write(shape, value, leave_out).encode()

    def write(self, shape, value, leave_out=()):
        if isinstance(value, Leaf):
            return self.leaf(value)
        if shape.type_name == "structure":
            # Some white space, as it may be there.
            members = [
                f"{json.dumps(shape.members[name].serialization.get('name', name))}: {self.write(shape.members[name], part)}"
                for name, part in value.items()
                if name not in leave_out
            ]
            return "{" + ", ".join(members) + "}"
        if shape.type_name == "list":
            return "[" + ",".join(self.write(shape.member, item) for item in value) + "]"
        return "{" + ",\n ".join(f"{json.dumps(key)}:{self.write(shape.value, item)}" for key, item in value.items()) + "}"

    def text(self, text):
        return json.dumps(text, ensure_ascii=len(text) % 2 == 0)

    def leaf(self, leaf):
        hidden = leaf.hidden if self.masked else None
        value = leaf.value
        if leaf.kind == "any":
            return json.dumps(self.document(value, hidden))
        if leaf.kind == "timestamp":
            form = leaf.shape.serialization.get("timestampFormat", "unixTimestamp")
            if form == "unixTimestamp":
                return "0" if hidden else f"{value}.5"
            text = time_text(value, form)
            if not hidden:
                return self.text(text)
            return self.text(MASKED if hidden == "any" else time_masked(text))
        if leaf.kind == "number":
            return "0" if hidden else json.dumps(value)
        if leaf.kind == "boolean":
            return "false" if hidden else json.dumps(value)
        if leaf.kind == "blob":
            value = base64.b64encode(MASKED.encode() if hidden == "blob" else value).decode()
            return self.text(MASKED if hidden == "any" else value)
        return self.text(MASKED) if hidden else self.text(value)

    def document(self, value, hidden):
        if isinstance(value, dict):
            return {key: self.document(item, hidden) for key, item in value.items()}
        if isinstance(value, list):
            return [self.document(item, hidden) for item in value]
        if not hidden or value is None:
            return value
        return False if isinstance(value, bool) else 0 if isinstance(value, int) else MASKED


class Cbor:
    events_type = "application/cbor"

    def __init__(self, masked):
        self.masked = masked

    def body(self, shape, value, leave_out=()):
        if shape.type_name == "structure":
            value = {name: part for name, part in value.items() if name not in leave_out}
        return self.write(shape, value)

    @staticmethod
    def head(major, number):
        for limit, info, form in ((24, None, None), (1 << 8, 24, ">B"), (1 << 16, 25, ">H"), (1 << 32, 26, ">I")):
            if number < limit:
                if info is None:
                    return bytes([major << 5 | number])
                return bytes([major << 5 | info]) + struct.pack(form, number)
        return bytes([major << 5 | 27]) + struct.pack(">Q", number)

    def text(self, text):
        data = text.encode()
        return self.head(3, len(data)) + data

    def write(self, shape, value):
        if isinstance(value, Leaf):
            return self.leaf(value)
        if shape.type_name == "structure":
            parts = [self.text(shape.members[n].serialization.get("name", n)) + self.write(shape.members[n], v)
                     for n, v in value.items()]
            # As AWS writes them: without a length.
            return b"\xbf" + b"".join(parts) + b"\xff"
        if shape.type_name == "list":
            return self.head(4, len(value)) + b"".join(self.write(shape.member, item) for item in value)
        return self.head(5, len(value)) + b"".join(self.text(k) + self.write(shape.value, v) for k, v in value.items())

    def leaf(self, leaf):
        hidden = leaf.hidden if self.masked else None
        value = leaf.value
        if leaf.kind == "any":
            return self.document(value, hidden)
        if leaf.kind == "timestamp":
            return b"\xc1" + (b"\x00" if hidden else self.head(0, value))
        if leaf.kind == "number":
            if hidden:
                return b"\x00"
            return b"\xfb" + struct.pack(">d", value) if isinstance(value, float) else self.head(0, value)
        if leaf.kind == "boolean":
            return b"\xf4" if hidden else b"\xf5" if value else b"\xf4"
        if leaf.kind == "blob":
            data = MASKED.encode() if hidden else value
            return self.head(2, len(data)) + data
        return self.text(MASKED if hidden else value)

    def document(self, value, hidden):
        if isinstance(value, dict):
            parts = [self.text(key) + self.document(item, hidden) for key, item in value.items()]
            return self.head(5, len(value)) + b"".join(parts)
        if isinstance(value, list):
            return self.head(4, len(value)) + b"".join(self.document(item, hidden) for item in value)
        if value is None:
            return b"\xf6"
        if isinstance(value, bool):
            return b"\xf5" if value and not hidden else b"\xf4"
        if isinstance(value, int):
            return self.head(0, 0 if hidden else value)
        return self.text(MASKED if hidden else value)


class Xml:
    events_type = "application/xml"

    def __init__(self, masked):
        self.masked = masked

    def body(self, shape, value, leave_out=()):
        name = shape.serialization.get("name", shape.name)
        return self.element(name, self.members(shape, value, leave_out)).encode()

    def element(self, name, inner, first=True):
        space = ' xmlns="urn:x"' if first else ""
        # `xsi:type` and the like: the part after the colon is the name.
        return f"<{name}{space}>{inner}</{name}>" if inner or len(name) % 2 else f"<{name}{space}/>"

    def members(self, shape, value, leave_out=()):
        return "".join(
            self.member(shape.members[name], name, part) for name, part in value.items() if name not in leave_out
        )

    def member(self, shape, name, value):
        own = shape.serialization.get("name", name)
        if isinstance(value, Leaf):
            return self.leaf(own, value)
        if shape.type_name == "structure":
            return self.element(own, self.members(shape, value), False)
        if shape.type_name == "list":
            item = shape.member.serialization.get("name")
            if shape.serialization.get("flattened"):
                return "".join(self.member_as(shape.member, item or own, part) for part in value)
            inner = "".join(self.member_as(shape.member, item or "member", part) for part in value)
            return self.element(own, inner, False)
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        entries = [
            self.element(key_name, self.escape(key), False) + self.member_as(shape.value, value_name, part)
            for key, part in value.items()
        ]
        if shape.serialization.get("flattened"):
            return "".join(self.element(own, entry, False) for entry in entries)
        return self.element(own, "\n".join(self.element("entry", entry, False) for entry in entries), False)

    def member_as(self, shape, name, value):
        if isinstance(value, Leaf):
            return self.leaf(name, value)
        if shape.type_name == "structure":
            return self.element(name, self.members(shape, value), False)
        # A list of lists: its element has the item's name.
        clone = botocore.model.Shape.__new__(type(shape))
        clone.__dict__.update(shape.__dict__)
        clone.serialization = dict(shape.serialization, name=name)
        return self.member(clone, name, value)

    @staticmethod
    def escape(text):
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return text.replace("\r", "&#13;").replace('"', "&quot;")

    def leaf(self, name, leaf):
        hidden = leaf.hidden if self.masked else None
        value = leaf.value
        if leaf.kind == "timestamp":
            form = leaf.shape.serialization.get("timestampFormat", "iso8601")
            text = str(value) if form == "unixTimestamp" else time_text(value, form)
            text = text if not hidden else looks(text) if hidden == "any" else time_masked(text)
        elif leaf.kind == "number":
            text = str(value) if not hidden else "0"
        elif leaf.kind == "boolean":
            text = "true" if value and not hidden else "false"
        elif leaf.kind == "blob":
            text = base64.b64encode(value).decode()
            text = text if not hidden else looks(text) if hidden == "any" else base64.b64encode(MASKED.encode()).decode()
        else:
            text = value if not hidden else looks(value) if hidden == "any" else MASKED
        return self.element(name, self.escape(text), False)


class Query(Xml):
    def answer(self, operation, value):
        inner = self.members(operation.output_shape, value)
        wrapper = operation.output_shape.serialization.get("resultWrapper")
        meta = "<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>"
        inner = self.element(wrapper, inner, False) + meta if wrapper else inner + meta
        head = '<?xml version="1.0" encoding="UTF-8"?>\n<!-- an answer -->'
        return (head + self.element(f"{operation.name}Response", inner)).encode(), 2 if wrapper else 1


class Ec2(Xml):
    def answer(self, operation, value):
        inner = "<requestId>r-1</requestId>\n" + self.members(operation.output_shape, value)
        return self.element(f"{operation.name}Response", inner).encode(), 1


def frame(headers, payload):
    packed = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(text.encode())) + text.encode()
        for name, text in headers
    )
    prelude = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    start = prelude + struct.pack(">I", zlib.crc32(prelude)) + packed + payload
    return start + struct.pack(">I", zlib.crc32(start))


def events(writer, shape, value, before):
    """The messages of a stream; `before`: shape, value and members to leave out of the initial response, or None."""
    messages = []
    if before is not None:
        messages.append(frame([(":event-type", "initial-response"), (":content-type", writer.events_type),
                               (":message-type", "event")], writer.body(*before)))
    for name, event in value.items():
        of = shape.members[name]
        headers = [(":message-type", "event"), (":event-type", of.serialization.get("name", name))]
        payload, kind, left_out = None, writer.events_type, []
        for member, part in event.items():
            ref = of.members[member]
            if ref.serialization.get("eventheader"):
                left_out.append(member)
                # Only texts: others have types of their own.
                if isinstance(part, Leaf) and part.kind == "text":
                    headers.append((ref.serialization.get("name", member),
                                    MASKED if writer.masked and part.hidden else part.value))
            elif ref.serialization.get("eventpayload"):
                if isinstance(part, Leaf):
                    data = MASKED if writer.masked and part.hidden else part.value
                    payload = data if isinstance(data, bytes) else data.encode()
                    kind = "application/octet-stream" if part.kind == "blob" else "text/plain"
                else:
                    payload = writer.body(ref, part)
        if payload is None:
            payload = writer.body(of, event, left_out)
        messages.append(frame([*headers, (":content-type", kind)], payload))
    return b"".join(messages)


def header_text(leaf, masked):
    value = leaf.value
    if masked and leaf.hidden:
        return {"number": "0", "boolean": "false", "blob": base64.b64encode(MASKED.encode()).decode()}.get(leaf.kind, MASKED)
    if leaf.kind == "timestamp":
        form = leaf.shape.serialization.get("timestampFormat", "rfc822")
        return str(value) if form == "unixTimestamp" else time_text(value, form)
    if leaf.kind == "boolean":
        return "true" if value else "false"
    if leaf.kind == "blob":
        return base64.b64encode(value).decode()
    return re.sub(r"[^ -~]", "", str(value)) if leaf.kind == "text" else str(value)


def answer(protocol, operation, value, masked):
    """Format, headers, body."""
    shape = operation.output_shape
    writer = {"json": Json, "rest-json": Json, "smithy-rpc-v2-cbor": Cbor, "query": Query, "ec2": Ec2,
              "rest-xml": Xml}[protocol](masked)
    if protocol in ("query", "ec2"):
        body, wrappers = writer.answer(operation, value)
        return f"xml{wrappers}", [], body
    name = {Json: "json", Cbor: "cbor", Xml: "xml1"}[type(writer)]
    headers, in_head = [], []
    stream = next((m for m, ref in shape.members.items() if ref.serialization.get("eventstream")), None)
    if protocol.startswith("rest"):
        for member, ref in shape.members.items():
            location = ref.serialization.get("location")
            if location == "headers":
                in_head.append(member)
                prefix = ref.serialization.get("name", "")
                headers += [[prefix + key, header_text(item, masked)] for key, item in value.get(member, {}).items()]
            elif location in ("header", "statusCode"):
                in_head.append(member)
                if isinstance(value.get(member), Leaf):
                    headers.append([ref.serialization.get("name", member), header_text(value[member], masked)])
        payload = shape.serialization.get("payload")
        if payload and not stream:
            part, ref = value.get(payload), shape.members[payload]
            if isinstance(part, Leaf) and part.kind != "any":
                data = MASKED if masked and part.hidden else part.value
                return "whole", headers, data if isinstance(data, bytes) else data.encode()
            if protocol == "rest-xml":
                own = ref.serialization.get("name", ref.name)
                clone = botocore.model.Shape.__new__(type(ref))
                clone.__dict__.update(ref.__dict__)
                clone.serialization = dict(ref.serialization, name=own)
                return "xml1", headers, writer.body(clone, part or {})
            return name, headers, writer.body(ref, part or {})
    if stream:
        # REST has the other members in headers.
        before = None if protocol.startswith("rest") else (shape, value, [stream])
        ref = shape.members[stream]
        union = {m: v for m, v in (value.get(stream) or {}).items()}
        return "events", headers, events(writer, ref, union, before)
    return name, headers, writer.body(shape, value, in_head)


def rendered(shape, value, wire, pointers, at=""):
    """Parameters as records have them, and the pointers of what is hidden."""
    if isinstance(value, Leaf):
        if value.hidden:
            pointers.append(at)
        if value.kind == "any":
            return value.value
        return base64.b64encode(value.value).decode() if value.kind == "blob" else value.value
    if shape.type_name == "structure":
        made = {}
        for name, part in value.items():
            ref = shape.members[name]
            own = ref.serialization.get("name", name) if wire and at else name
            made[own] = rendered(ref, part, wire, pointers, f"{at}/{own}")
        return made
    if shape.type_name == "list":
        return [rendered(shape.member, item, wire, pointers, f"{at}/{n}") for n, item in enumerate(value)]
    steps = {key: key.replace("~", "~0").replace("/", "~1") for key in value}
    return {key: rendered(shape.value, item, wire, pointers, f"{at}/{steps[key]}") for key, item in value.items()}


def same(shape, value, parsed, place, in_head=False):
    """That botocore read what was written."""
    in_head = in_head or shape.serialization.get("location", "").startswith("header")
    if isinstance(value, Leaf):
        if shape.serialization.get("jsonvalue"):
            return
        if value.kind == "timestamp":
            assert int(parsed.timestamp()) == value.value, (place, parsed)
        elif value.kind == "blob" and hasattr(parsed, "read"):
            assert parsed.read() == value.value, place
        elif value.kind == "text" and in_head:
            assert parsed == re.sub(r"[^ -~]", "", value.value), (place, parsed)
        else:
            assert parsed == value.value, (place, parsed, value.value)
    elif shape.type_name == "structure":
        for name, part in value.items():
            # What is empty is not always there.
            empty = part in ({}, []) or isinstance(part, Leaf) and part.value == ""
            if name in parsed or not empty:
                same(shape.members[name], part, parsed.get(name), f"{place}.{name}")
    elif shape.type_name == "list":
        assert len(parsed) == len(value), (place, parsed)
        for number, (item, read) in enumerate(zip(value, parsed)):
            same(shape.member, item, read, f"{place}[{number}]")
    else:
        assert list(parsed) == list(value), (place, parsed)
        for key, item in value.items():
            same(shape.value, item, parsed[key], f"{place}{{{key}}}", in_head)


def check(operation, protocol, value, headers, body):
    parser = botocore.parsers.create_parser(protocol)
    # As from urllib3, for blobs that stream.
    streams = operation.get_streaming_output() is not None
    data = botocore.response.StreamingBody(io.BytesIO(body), len(body)) if streams else body
    response = {"headers": botocore.awsrequest.HeadersDict(headers), "body": data, "status_code": 200, "context": {}}
    parsed = parser.parse(response, operation.output_shape)
    same(operation.output_shape, value, parsed, f"{operation.service_model.service_name} {operation.name} {protocol}: ")


def of_service(lists, session, service, args):
    data = session.get_component("data_loader").load_service_model(service, "service-2")
    # Documentation in the shapes would hide nothing, and unions tell themselves apart.
    model = botocore.model.ServiceModel(data, service)
    metadata = data["metadata"]
    protocols = list(metadata.get("protocols") or [metadata["protocol"]])
    for name in model.operation_names:
        operation = model.operation_model(name)
        if args.requests:
            if operation.input_shape is None:
                continue
            maker = Maker(lists, service, model, True, True)
            value, pointers = maker.root(operation.input_shape), []
            wire = protocols[0] in ("json", "rest-json", "smithy-rpc-v2-cbor")
            params = rendered(operation.input_shape, value, wire, pointers)
            if pointers:
                yield {"service": service, "operation": name, "params": params, "secrets": pointers}
            continue
        if operation.output_shape is None:
            continue
        for personal in (False, True):
            maker = Maker(lists, service, model, personal)
            value = maker.root(operation.output_shape)
            for protocol in protocols:
                form, headers, body = answer(protocol, operation, value, False)
                _, masked_headers, masked = answer(protocol, operation, value, True)
                if personal and (headers, body) == (masked_headers, masked):
                    continue
                if args.check and form != "events":
                    check(operation, protocol, value, headers, body)
                if not personal and (headers, body) == (masked_headers, masked) and zlib.crc32(name.encode()) % 20:
                    # Of those without secrets some are enough.
                    continue
                yield {
                    "service": service, "operation": name, "protocol": protocol, "personal": personal,
                    "format": form, "headers": headers, "masked_headers": masked_headers,
                    "body": base64.b64encode(body).decode(), "masked": base64.b64encode(masked).decode(),
                    "secrets": maker.secrets,
                }


def main():
    parser = argparse.ArgumentParser(description="Answers as they are, and as they must be when masked.")
    parser.add_argument("--requests", action="store_true")
    parser.add_argument("--services", default="")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    session, lists = botocore.session.Session(profile=None), Lists()
    for service in session.get_available_services():
        if args.services and service not in args.services.split(","):
            continue
        for line in of_service(lists, session, service, args):
            sys.stdout.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
