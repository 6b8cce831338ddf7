"""The commands of golden.txt, or of another file, as the AWS CLI sends them, one JSON line each.

Usage: python3 golden.py [--file FILE] [--jobs N] > golden.jsonl

Nothing is sent: the first request that a command would send is caught, signed with the placeholder
and the time of all tests, and written as `generate.py` writes its own; `variant` is the number of the
command's line. A command that the AWS CLI does not take is an error.
"""

import argparse
import contextlib
import functools
import io
import multiprocessing
import os
import pathlib
import shlex
import sys
import tempfile

import awscli.botocore.auth
import awscli.botocore.exceptions
import awscli.clidriver

import capture

HERE = pathlib.Path(__file__).parent
REGION = "eu-central-1"
# What commands upload.
FILES = {"body.txt": b"hello\n", "code.zip": b"PK\x05\x06" + bytes(18)}


class Caught(awscli.botocore.exceptions.BotoCoreError):
    """Raised in place of sending; the CLI takes it for a failed command."""

    fmt = "caught"


def commands(file):
    lines = file.read_text().splitlines()
    return [(number, line) for number, line in enumerate(lines, 1) if line.startswith("aws ")]


def prepare(directory):
    capture.freeze()
    awscli.botocore.auth.get_current_datetime = lambda *_args, **_kwargs: capture.NOW
    access, secret, token = capture.KEYS
    os.environ.update(
        AWS_ACCESS_KEY_ID=access, AWS_SECRET_ACCESS_KEY=secret, AWS_SESSION_TOKEN=token, AWS_DEFAULT_REGION=REGION,
        AWS_MAX_ATTEMPTS="1", AWS_PAGER="", AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null",
    )
    os.chdir(directory)


class Cli:
    """The AWS CLI with everything it would send kept in `requests`."""

    def __init__(self):
        self.requests = []
        self._driver = awscli.clidriver.create_clidriver()
        self._driver.session.register("before-send", self._catch)

    def _catch(self, request, event_name, **_kwargs):
        # Read here, because a file that is uploaded is closed once the command has failed.
        self.requests.append((capture.sent(request, "", REGION), event_name))
        raise Caught()

    def run(self, command):
        """What the command wrote to standard error."""
        self.requests.clear()
        errors = io.StringIO()
        with contextlib.suppress(SystemExit):
            with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
                self._driver.main(shlex.split(command)[1:])
        return errors.getvalue()


@functools.lru_cache(maxsize=1)
def shared():
    """Making one takes longer than a command does."""
    return Cli()


def caught(work):
    """The number of the command and its line, or `None` and what the CLI said."""
    number, command = work
    # A region that one command is given would stay for those after it.
    cli = Cli() if "--region" in command else shared()
    errors = cli.run(command)
    if not cli.requests:
        # Some commands leave handlers behind that disturb others: only a fresh one's word counts.
        shared.cache_clear()
        cli = shared()
        errors = cli.run(command)
    if not cli.requests:
        return number, None, f"{command}\n{errors.strip()[-600:]}"
    (line, unsigned), event = cli.requests[0]
    _, service, operation = event.split(".")
    line["truth"] = {
        "service": service,
        "prefix": "",
        "operation": operation,
        "variant": str(number),
        "params": {},
        "unsigned": unsigned,
    }
    return number, capture.written(line), None


def main():
    parser = argparse.ArgumentParser(description="The commands of a file as requests.")
    parser.add_argument("--file", default="golden.txt", help="a file of this directory")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    file = HERE / args.file
    with tempfile.TemporaryDirectory() as directory:
        for name, content in FILES.items():
            (pathlib.Path(directory) / name).write_bytes(content)
        failed = run(file, directory, args.jobs)
    if failed:
        sys.exit(f"{failed} commands were not taken by the AWS CLI")


def run(file, directory, jobs):
    """Prints a line for each command; how many had none."""
    failed = 0
    with multiprocessing.Pool(jobs, prepare, (directory,)) as pool:
        for number, line, error in pool.imap(caught, commands(file), chunksize=8):
            if error:
                failed += 1
                print(f"{file.name}:{number}: {error}\n", file=sys.stderr)
            else:
                print(line)
    return failed


if __name__ == "__main__":
    main()
