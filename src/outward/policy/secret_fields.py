"""The fields of a secret, and of each source: part of the one table of fields (:mod:`.fields`).

What a source is told follows from the shapes alone (:meth:`outward.policy.build.Builder.build`): a path becomes absolute, the
name of a secret must exist, and ``field`` says which part of what is fetched the secret is.
"""

from __future__ import annotations

from typing import Final

from outward.policy import texts
from outward.policy.shapes import ByKind, Field, List, Record, Text

NAME: Final = Text("a name of letters, digits, - _ .", r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")
VARIABLE: Final = Text("the name of an environment variable", r"[A-Za-z_][A-Za-z0-9_]*", private=True)
LINE: Final = Text("one line of text", parse=texts.plain_line)
PATH: Final = Text("a path", parse=texts.file_name)
DURATION: Final = Text("a duration such as 90s, 15m, 2h or 1d", r"[1-9][0-9]{0,8}[smhd]", texts.seconds)
ANOTHER: Final = NAME._replace(accepted="the name of another secret", parse=texts.SecretName)

SOURCES: Final = {
    # By the key that names the source: those of this version.
    "env": Field(VARIABLE, "variable of the environment in which outward is started"),
    "file": Field(PATH, "file that holds the value; relative to the policy file, `~` is the home directory"),
    "command": Field(
        List(Text("an argument", parse=texts.argument), least=1),
        "command that prints the value; no shell is involved",
    ),
    "keyring": Field(
        ByKind(
            {
                "text": NAME,
                "mapping": Record(
                    "an entry of the system keyring",
                    {
                        "service": Field(LINE, "what the entry is for, as who made it has it", required=True),
                        "username": Field(LINE, "whose it is", required=True),
                    },
                ),
            }
        ),
        "a name of `outward secret`; or an entry of the system keyring",
    ),
}

SECRET: Final = Record(
    "a secret",
    {
        **SOURCES,
        "ttl": Field(DURATION, "how long a fetched value is used, at most"),
        "expose": Field(VARIABLE, "variable inside the sandbox that receives the placeholder"),
        "placeholder": Field(
            Text("8 or more visible ASCII characters", r"[\x21-\x7e]{8,}", private=True),
            "fixed placeholder instead of a generated one",
        ),
    },
    one_of=tuple(SOURCES),
    later=frozenset(
        {"keyring", "vault", "aws", "gcp", "azure", "onepassword", "bitwarden", "kubernetes"}
        | {"oauth", "github_app", "aws_sts", "gcp_token"}
    )
    - set(SOURCES),
)
