"""``{aws: {secret: …}}`` and ``{aws: {parameter: …}}``: AWS Secrets Manager, and the parameters of Systems Manager.

botocore, the core of the vendor's library: where AWS credentials come from (profiles, single sign-on, roles of machines and
containers, web identity) and how requests are signed is what it knows, and nobody should know it twice. It blocks, so it runs
in a thread. It reads the environment of this process itself, which is the caller's: credentials, proxies, ``AWS_CA_BUNDLE``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from outward.core import SecretUnavailable
from outward.credentials.kept import Fetched
from outward.credentials.sources.threads import in_thread

if TYPE_CHECKING:
    from outward.credentials.sources import Outside
    from outward.policy import SecretSpec

CONNECT_LIMIT: Final = 5.0
READ_LIMIT: Final = 10.0
"""Seconds for a connection, and for each wait for octets; it is tried three times."""

_LOGIN_HINT: Final = (
    "`aws sts get-caller-identity` with the same profile tells who you are to AWS; `aws sso login` logs in."
)
_REASONS: Final = {
    # What AWS says it was: what that means, and what to do.
    "ResourceNotFoundException": ("there is no such secret", "Are name, region and account the right ones?"),
    "ParameterNotFound": ("there is no such parameter", "Are name, region and account the right ones?"),
    "ParameterVersionNotFound": ("there is no such version of the parameter", ""),
    "AccessDeniedException": ("access is denied", "secretsmanager:GetSecretValue or ssm:GetParameter is needed."),
    "DecryptionFailure": ("it cannot be decrypted", "kms:Decrypt is needed for its key."),
    "InvalidRequestException": ("it is about to be deleted", ""),
    "ExpiredTokenException": ("the log-in has expired", _LOGIN_HINT),
    "UnrecognizedClientException": ("the credentials are not valid", _LOGIN_HINT),
    "InvalidSignatureException": ("the credentials are not valid", _LOGIN_HINT),
}


async def fetch(spec: SecretSpec, outside: Outside) -> Fetched:
    """The text or the octets of the secret, or the parameter's value, decrypted."""
    return Fetched(await in_thread(lambda: _get(spec, outside)))


def _get(spec: SecretSpec, outside: Outside) -> bytes:
    try:
        from botocore import exceptions
        from botocore.parsers import ResponseParserError
    except ImportError:
        hint = "pip install 'outward[aws]'"
        raise SecretUnavailable(spec.name, "AWS needs botocore, which is not there", hint=hint) from None
    settings = spec.settings
    try:
        if "parameter" in settings:
            answer = _client(spec, outside, "ssm").get_parameter(Name=settings["parameter"], WithDecryption=True)
            return str(answer["Parameter"]["Value"]).encode()
        answer = _client(spec, outside, "secretsmanager").get_secret_value(SecretId=settings["secret"])
        return answer["SecretString"].encode() if "SecretString" in answer else bytes(answer["SecretBinary"])
    except exceptions.ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        reason, hint = _REASONS.get(code, (f"refused with {code or 'no reason'}", ""))
        raise SecretUnavailable(spec.name, f"AWS: {reason}", hint=hint) from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
        raise SecretUnavailable(spec.name, "AWS: there are no credentials", hint=_LOGIN_HINT) from None
    except exceptions.NoRegionError:
        hint = "Name it in the policy: {aws: {region: eu-central-1, …}}, or set AWS_REGION."
        raise SecretUnavailable(spec.name, "AWS: no region is named", hint=hint) from None
    except (exceptions.BotoCoreError, ResponseParserError, KeyError) as error:
        # Not even what botocore could not read is repeated: it may hold anything.
        raise SecretUnavailable(spec.name, f"AWS: {type(error).__name__}", hint=_LOGIN_HINT) from None


def _client(spec: SecretSpec, outside: Outside, service: str) -> Any:
    from botocore.session import Session

    return client_of(Session(profile=spec.settings.get("profile")), spec, outside, service)


def client_of(
    session: Any, spec: SecretSpec, outside: Outside, service: str, signature: Any = None, **keys: Any
) -> Any:
    """What asks a service of AWS, in the region that the policy or the environment names. See ``Session.create_client``."""
    from botocore.config import Config

    # AWS_REGION is what every other SDK reads; botocore knows AWS_DEFAULT_REGION alone.
    region = spec.settings.get("region") or outside.environment.get("AWS_REGION") or None
    config = Config(
        connect_timeout=CONNECT_LIMIT,
        read_timeout=READ_LIMIT,
        retries={"mode": "standard", "total_max_attempts": 3},
        signature_version=signature,
    )
    return session.create_client(service, region_name=region, config=config, **keys)
