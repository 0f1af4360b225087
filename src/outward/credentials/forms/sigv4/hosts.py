"""Which AWS service, in which region, a host belongs to: for requests that do not say so themselves."""

from __future__ import annotations

import re
from typing import Final

_SUFFIXES: Final = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws", ".on.aws")
_REGION: Final = re.compile(r"(?:us|eu|ap|sa|ca|me|af|il|mx|cn|us-gov|us-iso[a-z]?|eu-isoe|eusc-de)-[a-z]+-[0-9]{1,2}")
_DECORATION: Final = re.compile(r"-(?:fips|dualstack)")
DEFAULT_REGION: Final = "us-east-1"
"""Where hosts without a region are (IAM, the old addresses of STS and S3)."""

_SIGNING_NAMES: Final = {
    # Only services that are called otherwise in signatures than in their hosts.
    "bedrock-agent": "bedrock",
    "bedrock-agent-runtime": "bedrock",
    "bedrock-runtime": "bedrock",
    "email": "ses",
    "entitlement.marketplace": "aws-marketplace",
    "iot": "iotdata",
    "lambda-url": "lambda",
    "metering.marketplace": "aws-marketplace",
    "models.lex": "lex",
    "queue": "sqs",
    "runtime.lex": "lex",
    "runtime.sagemaker": "sagemaker",
    "s3-accesspoint": "s3",
    "s3-control": "s3",
    "streams.dynamodb": "dynamodb",
}


def service_and_region(host: str) -> tuple[str, str] | None:
    """What a canonical host says, or ``None`` if it is none of AWS's.

    >>> service_and_region("bucket.s3.eu-central-1.amazonaws.com")
    ('s3', 'eu-central-1')
    """
    suffix = next((suffix for suffix in _SUFFIXES if host.endswith(suffix)), None)
    if suffix is None:
        return None
    labels = [_DECORATION.sub("", label) for label in host.removesuffix(suffix).split(".") if label != "dualstack"]
    if labels[-1].startswith("s3-") and _REGION.fullmatch(labels[-1][3:]):  # s3-us-west-2, as of old
        return "s3", labels[-1][3:]
    places = [index for index, label in enumerate(labels) if _REGION.fullmatch(label)]
    if not places:
        return _signing_name(labels), DEFAULT_REGION
    at = places[-1]
    name = labels[:at] if at == len(labels) - 1 else labels[at + 1 :]  # search-logs.eu-west-1.es, as of old
    return (_signing_name(name), labels[at]) if name else None


def _signing_name(labels: list[str]) -> str:
    return _SIGNING_NAMES.get(".".join(labels[-2:])) or _SIGNING_NAMES.get(labels[-1], labels[-1])
