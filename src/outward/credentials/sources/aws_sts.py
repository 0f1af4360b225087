"""``{aws_sts: …}``: a set of temporary credentials of a role, from AWS's Security Token Service.

botocore, as for :mod:`.aws`: it knows how requests are signed and which regions have which addresses. Unlike there, it takes
who asks from the policy alone, and of the environment only proxies and ``AWS_CA_BUNDLE``.
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from outward.core import SecretUnavailable
from outward.credentials.forms.signing import key_text
from outward.credentials.kept import Fetched
from outward.credentials.sources import assertion
from outward.credentials.sources.aws import client_of
from outward.credentials.sources.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from outward.credentials.sources import Outside
    from outward.policy import SecretSpec

DURATION: Final = 3600
"""Seconds for which the credentials are good unless the policy says otherwise; AWS's own default."""
_REASONS: Final = {
    # What AWS says it was: what that means, and what to do.
    "AccessDenied": (
        "may not assume the role",
        "Its trust policy must permit it, with the external id if it asks for one.",
    ),
    "ExpiredToken": ("the credentials to ask with have expired", ""),
    "ExpiredTokenException": ("the web identity has expired", ""),
    "InvalidClientTokenId": ("the access key does not exist", ""),
    "InvalidIdentityToken": ("the web identity is not valid", ""),
    "MalformedPolicyDocument": ("the session policy is not valid", ""),
    "PackedPolicyTooLarge": ("the session policies are too large", ""),
    "RegionDisabledException": ("the region is not enabled", ""),
    "SignatureDoesNotMatch": ("the secret key is not that of the access key", "Is the clock of this machine right?"),
    "ValidationError": ("a setting is not valid", "The role may permit a shorter duration only."),
}


async def fetch(spec: SecretSpec, outside: Outside) -> Fetched:
    """``access_key_id``, ``secret_access_key`` and ``session_token``, which are valid only together."""
    names = ("access_key", "secret_key", "session_token", "web_identity")
    given = {name: spec.settings[name] for name in names if name in spec.settings}
    known = {name: key_text(await outside.secret(secret)) for name, secret in given.items()}
    return await in_thread(lambda: _assume(spec, outside, known))


def _assume(spec: SecretSpec, outside: Outside, known: Mapping[str, str]) -> Fetched:
    try:
        from botocore import exceptions
        from botocore.parsers import ResponseParserError
    except ImportError:
        hint = "pip install 'outward[aws]'"
        raise SecretUnavailable(spec.name, "AWS needs botocore, which is not there", hint=hint) from None
    wanted = _wanted(spec)
    try:
        client = _client(spec, outside, known)
        if "web_identity" in known:
            answer = client.assume_role_with_web_identity(WebIdentityToken=known["web_identity"], **wanted)
        else:
            answer = client.assume_role(**wanted)
        found = answer["Credentials"]
        expiry: datetime = found["Expiration"]
        value = {
            "access_key_id": found["AccessKeyId"].encode(),
            "secret_access_key": found["SecretAccessKey"].encode(),
            "session_token": found["SessionToken"].encode(),
        }
    except exceptions.ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        reason, hint = _REASONS.get(code, ("it is refused, for a reason that is not known here", ""))
        raise SecretUnavailable(spec.name, f"AWS: {reason}", hint=hint) from None
    except exceptions.NoRegionError:
        hint = "Name it in the policy: {aws_sts: {region: eu-central-1, …}}, or set AWS_REGION."
        raise SecretUnavailable(spec.name, "AWS: no region is named", hint=hint) from None
    except (exceptions.BotoCoreError, ResponseParserError, KeyError) as error:
        raise SecretUnavailable(spec.name, f"AWS: {type(error).__name__}") from None
    left = expiry.timestamp() - assertion.now()
    if left <= 0:
        hint = "Is the clock of this machine right?"
        raise SecretUnavailable(spec.name, "AWS answered with what has expired already", hint=hint)
    return Fetched(value, min(left, float(wanted["DurationSeconds"])))


def _wanted(spec: SecretSpec) -> dict[str, Any]:
    settings = spec.settings
    wanted: dict[str, Any] = {
        "RoleArn": settings["role"],
        "RoleSessionName": settings.get("session_name", "outward"),
        "DurationSeconds": int(settings.get("duration", DURATION)),
    }
    if "policy" in settings:
        wanted["Policy"] = settings["policy"]
    if "policy_arns" in settings:
        wanted["PolicyArns"] = [{"arn": arn} for arn in settings["policy_arns"]]
    if "external_id" in settings:
        wanted["ExternalId"] = settings["external_id"]
    return wanted


def _client(spec: SecretSpec, outside: Outside, known: Mapping[str, str]) -> Any:
    from botocore import UNSIGNED
    from botocore.session import Session

    keys = {
        "aws_access_key_id": known.get("access_key"),
        "aws_secret_access_key": known.get("secret_key"),
        "aws_session_token": known.get("session_token"),
    }
    signature = UNSIGNED if "web_identity" in known else None
    return client_of(Session(), spec, outside, "sts", signature, **keys)
