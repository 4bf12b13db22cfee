"""Makes each call with boto3; prints what came of it, an error only if it is the client's own class for its code."""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

METHODS = {
    "RegisterUsage": "register_usage",
    "MeterUsage": "meter_usage",
    "BatchMeterUsage": "batch_meter_usage",
    "ResolveCustomer": "resolve_customer",
}


def outcome(client, case):
    try:
        answer = getattr(client, METHODS[case["operation"]])(**case["input"])
    except ClientError as error:
        code = error.response["Error"]["Code"]
        typed = code in client.meta.service_model.shape_names
        if typed and type(error) is not getattr(client.exceptions, code):
            return {"outcome": "not typed", "answer": str(error)}
        return {"outcome": code, "answer": str(error)}
    answer.pop("ResponseMetadata")
    return {"outcome": "ok", "answer": answer}


def main():
    script = json.load(sys.stdin)
    outcomes = []
    for case in script["cases"]:
        client = boto3.client(
            "meteringmarketplace",
            endpoint_url=script["endpoint"],
            region_name=case["region"],
            aws_access_key_id=case["key"],
            aws_secret_access_key=case["secret"],
            aws_session_token=case["token"],
            config=Config(retries={"total_max_attempts": 1}),
        )
        outcomes.append(outcome(client, case))
    json.dump(outcomes, sys.stdout, default=str)


main()
