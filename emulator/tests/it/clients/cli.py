"""Runs command lines of the AWS CLI one after the other, each with a driver of its own, as its entry point does."""

import json
import os
import sys
import tempfile

import awscli.clidriver


def captured(stream, work):
    """Runs `work` with the file descriptor of `stream` in a file; what was written."""
    stream.flush()
    kept = os.dup(stream.fileno())
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), stream.fileno())
        try:
            result = work()
        finally:
            stream.flush()
            os.dup2(kept, stream.fileno())
            os.close(kept)
        file.seek(0)
        return result, file.read().decode()


def run(line):
    os.environ["AWS_ACCESS_KEY_ID"] = line["keys"]["access_key_id"]
    os.environ["AWS_SECRET_ACCESS_KEY"] = line["keys"]["secret_access_key"]
    token = line["keys"]["session_token"]
    os.environ.pop("AWS_SESSION_TOKEN", None)
    if token:
        os.environ["AWS_SESSION_TOKEN"] = token
    sys.argv = ["aws"] + line["arguments"]

    def work():
        try:
            return awscli.clidriver.main()
        except SystemExit as end:
            return end.code

    (status, stdout), stderr = captured(sys.stderr, lambda: captured(sys.stdout, work))
    return {"status": status, "stdout": stdout, "stderr": stderr}


lines = json.load(sys.stdin)
answers = [run(line) for line in lines]
json.dump(answers, sys.stdout)
