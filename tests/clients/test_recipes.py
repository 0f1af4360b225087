"""The recipes of docs/credentials.md, in the sandbox: by clients with placeholders, to stand-ins that want the real value."""

from __future__ import annotations

import io
import json
import re
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from outward.policy.secret_fields import AWS_STS_PARTS, SOURCES
from tests.clients.conftest import basic
from tests.clients.site import Application, Asked, Reply, Site
from tests.clients.test_git import backend
from tests.clients.test_packages import NPM_INSTALL, PIP_INSTALL, registry
from tests.support.aws import Aws, Key
from tests.support.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    import trustme

    from tests.clients.conftest import Desk

pytestmark = pytest.mark.needs("bubblewrap")

DOCUMENT = (Path(__file__).parents[2] / "docs" / "credentials.md").read_text()
SECTION = DOCUMENT.partition("\n## Recipes\n")[2].partition("\n## ")[0]
RECIPES = dict(re.findall(r"^### (.*?)\n\n```yaml\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL))
MOST_LINES = 9
"""Of a recipe, so that it stays one."""


def fine(asked: Asked) -> Reply:
    return Reply(200, b"fine")


@dataclass(frozen=True)
class Service:
    """A host that wants ``credential`` in ``header``; ``{NAME}`` is the value of a secret, ``basic:USER:NAME`` Basic."""

    host: str
    credential: str
    header: str = "authorization"
    application: Application = fine


@dataclass(frozen=True)
class Case:
    """``line`` prints ``printed`` if all goes well. ``keys`` are the secrets of an AWS key, whose signature is wanted."""

    line: str
    services: tuple[Service, ...] = ()
    printed: str = "fine"
    keys: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)


def curl(line: str) -> str:
    return f"curl -sS -f {line}"


JSON = "-H 'content-type: application/json' -d '{\"model\": \"m\"}'"


def git(asked: Asked) -> Reply:
    raise NotImplementedError("set up with a repository by the test")


def stored(asked: Asked) -> Reply:
    """An object of Google's storage, as its JSON API has it."""
    described = {"kind": "storage#object", "bucket": "acme-data", "name": "hello.txt", "size": "4", "generation": "1"}
    described |= {"md5Hash": "x", "contentType": "text/plain"}
    return Reply(200, json.dumps(described).encode(), (("content-type", "application/json"),))


def boto(code: str) -> str:
    return f"export AWS_DEFAULT_REGION=eu-central-1\npython - <<'END'\nimport boto3\n{code}\nEND"


PUT_AND_GET = boto(
    "s3 = boto3.client('s3')\n"
    "s3.put_object(Bucket='artifacts', Key='a b', Body=b'fine')\n"
    "print(s3.get_object(Bucket='artifacts', Key='a b')['Body'].read().decode())"
)
MODEL = boto(
    "runtime = boto3.client('bedrock-runtime')\n"
    "answer = runtime.invoke_model(modelId='eu.anthropic.claude-test-v1:0', body=b'{}')\n"
    "print(answer['body'].read().decode())"
)
CLONE = "git clone -q https://{host}/acme/web.git web && cat web/README"

CASES = {
    "Anthropic": Case(
        curl(f'https://api.anthropic.com/v1/messages -H "x-api-key: $ANTHROPIC_API_KEY" {JSON}'),
        (Service("api.anthropic.com", "{anthropic}", "x-api-key"),),
    ),
    "OpenAI": Case(
        curl(f'https://api.openai.com/v1/responses -H "authorization: Bearer $OPENAI_API_KEY" {JSON}'),
        (Service("api.openai.com", "Bearer {openai}"),),
    ),
    "Gemini": Case(
        curl(
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-test:generateContent"
            f'?key=somebody-elses -H "x-goog-api-key: $GEMINI_API_KEY" {JSON}'
        ),
        (Service("generativelanguage.googleapis.com", "{gemini}", "x-goog-api-key"),),
    ),
    "Bedrock": Case(
        MODEL,
        printed='{"ok": true}',
        keys=("id", "key"),
        hosts=("bedrock-runtime.eu-central-1.amazonaws.com",),
        needs=("moto",),
    ),
    "Vertex": Case(
        curl(
            "https://europe-west1-aiplatform.googleapis.com/v1/projects/acme/locations/europe-west1/publishers/anthropic"
            f"/models/claude-test:rawPredict {JSON}"
        ),
        (Service("europe-west1-aiplatform.googleapis.com", "Bearer {vertex}"),),
    ),
    "GitHub, with a token": Case(
        curl('https://api.github.com/repos/acme/web/issues -H "authorization: token $GITHUB_TOKEN"')
        + f" && {CLONE.format(host='github.com')}",
        (
            Service("api.github.com", "Bearer {github}"),
            Service("github.com", "basic:x-access-token:github", application=git),
        ),
        printed="finefine",
        needs=("git", "git-http-backend"),
    ),
    "GitHub, as an App": Case(
        curl("https://api.github.com/repos/acme/web/contents/x"), (Service("api.github.com", "Bearer {github}"),)
    ),
    "GitLab": Case(
        curl('https://gitlab.com/api/v4/projects/acme%2Fweb/issues -H "private-token: $GITLAB_TOKEN"'),
        (Service("gitlab.com", "{gitlab}", "private-token"),),
    ),
    "GitLab: git": Case(
        CLONE.format(host="gitlab.com"),
        (Service("gitlab.com", "basic:oauth2:gitlab", application=git),),
        needs=("git", "git-http-backend"),
    ),
    "AWS, with an access key": Case(
        PUT_AND_GET, keys=("id", "key"), hosts=("artifacts.s3.eu-central-1.amazonaws.com",), needs=("moto",)
    ),
    "AWS, with a role": Case(
        PUT_AND_GET,
        keys=tuple(f"aws.{part}" for part in AWS_STS_PARTS),
        hosts=("artifacts.s3.eu-central-1.amazonaws.com",),
        needs=("moto",),
    ),
    "Google Cloud": Case(
        "gcloud storage objects describe gs://acme-data/hello.txt --format='value(name)'",
        (Service("storage.googleapis.com", "Bearer {gcp}", application=stored),),
        printed="hello.txt",
        needs=("gcloud",),
    ),
    "A private npm registry": Case(
        NPM_INSTALL,
        (Service("npm.corp.example", "Bearer {npm}", application=registry("npm.corp.example")),),
        printed="hello from the tarball",
        needs=("npm24",),
    ),
    "A private pip index": Case(
        PIP_INSTALL,
        (Service("pip.corp.example", "basic:__token__:index", application=registry("pip.corp.example")),),
        printed="hello from the wheel",
        needs=("python-clients",),
    ),
    "A Docker registry": Case(
        curl("https://registry.corp.example/v2/web/manifests/latest"),
        (Service("registry.corp.example", "basic:builder:registry"),),
    ),
    "Jira": Case(
        curl("https://acme.atlassian.net/rest/api/3/issue/WEB-1"),
        (Service("acme.atlassian.net", "basic:me@acme.example:jira"),),
    ),
    "Slack": Case(
        curl("https://slack.com/api/chat.postMessage -H 'content-type: application/json; charset=utf-8' -d '{}'"),
        (Service("slack.com", "Bearer {slack}"),),
    ),
    "An API of your own (PostgREST and its like)": Case(
        curl("'https://api.corp.example/rest/v1/people?select=name'"), (Service("api.corp.example", "Bearer {api}"),)
    ),
}


def test_every_recipe_is_tried_and_stays_short() -> None:
    assert RECIPES.keys() == {name.partition(":")[0] for name in CASES}
    assert max(text.count("\n") for text in RECIPES.values()) <= MOST_LINES


def variable(secret: str) -> str:
    return "RECIPE_" + re.sub(r"\W", "_", secret).upper()


def value_of(secret: str) -> str:
    return f"real-{secret.replace('_', '-')}-0123456789abcdef".replace(".", "-")


def demanded(service: Service) -> str:
    if service.credential.startswith("basic:"):
        _, user, secret = service.credential.split(":")
        return basic(user, value_of(secret))
    return re.sub(r"\{(\w+)\}", lambda match: value_of(match[1]), service.credential)


@pytest.fixture(scope="module")
def aws(server_ca: trustme.CA) -> Iterator[tuple[Aws, Upstream]]:
    keeper = Aws()
    server = Upstream(server_ca, *{host for case in CASES.values() for host in case.hosts}, handler=keeper.serve)
    keeper.create_bucket("artifacts.s3.eu-central-1.amazonaws.com")
    yield keeper, server
    server.close()
    keeper.close()


@pytest.fixture
def repository(tmp_path: Path) -> Application:
    """Of git, with one file."""
    bare, work = tmp_path / "acme" / "web.git", tmp_path / "work"
    commands = (
        ["git", "init", "-q", "--bare", str(bare)],
        ["git", "init", "-q", str(work)],
        ["git", "-C", str(work), "add", "README"],
        ["git", "-C", str(work), "-c", "user.name=S", "-c", "user.email=s@example.com", "commit", "-q", "-m", "x"],
        ["git", "-C", str(work), "push", "-q", str(bare), "HEAD:master"],
        ["git", "-C", str(bare), "symbolic-ref", "HEAD", "refs/heads/master"],
    )
    for command in commands:
        if "add" in command:
            (work / "README").write_text("fine")
        subprocess.run(command, check=True)
    return backend(tmp_path)


def groups() -> list[list[str]]:
    """Cases that one sandbox can run: they need the same of the machine, and no host twice."""
    found: list[list[str]] = []
    for name, case in CASES.items():
        hosts = set(re.findall(r"host: ([\w.-]+)", RECIPES[name.partition(":")[0]]))
        for group in found:
            others = {
                host for other in group for host in re.findall(r"host: ([\w.-]+)", RECIPES[other.partition(":")[0]])
            }
            if CASES[group[0]].needs == case.needs and not hosts & others:
                group.append(name)
                break
        else:
            found.append([name])
    return found


def together(names: list[str], ports: dict[str, int], ca: Path) -> tuple[str, list[str]]:
    """One policy of several recipes, as the document says: the lists put together. And the names of its secrets."""
    secrets: dict[str, Any] = {}
    destinations: list[Any] = []
    variables: dict[str, str] = {"AWS_MAX_ATTEMPTS": "1", "npm_config_fetch_retries": "0"}
    for name in names:
        recipe = YAML(typ="safe", pure=True).load(RECIPES[name.partition(":")[0]])
        assert recipe.keys() <= {"secrets", "destinations", "sandbox"}
        for secret, given in recipe["secrets"].items():
            options = {key: value for key, value in given.items() if key not in SOURCES}
            parts = [f"{secret}.{part}" for part in AWS_STS_PARTS] if "aws_sts" in given else [secret]
            secrets |= {each: {"env": variable(each), **options} for each in parts}
        for destination in recipe["destinations"]:
            destination["connect_to"] = f"127.0.0.1:{ports.get(destination['host'], 1)}"
            destination["ca"] = str(ca)
            destinations.append(destination)
        variables |= recipe.get("sandbox", {}).get("env", {}).get("set", {})
    policy = {"version": 1, "secrets": secrets, "destinations": destinations, "sandbox": {"env": {"set": variables}}}
    out = io.StringIO()
    YAML(typ="safe", pure=True).dump(policy, out)
    return out.getvalue(), list(secrets)


@contextmanager
def serving(
    names: list[str], ca: trustme.CA, aws: tuple[Aws, Upstream] | None, repository: Application
) -> Iterator[dict[str, int]]:
    """The stand-ins, and their ports by host."""
    with ExitStack() as stack:
        ports = {}
        for case in map(CASES.__getitem__, names):
            for service in case.services:
                application = repository if service.application is git else service.application
                site = Site(ca, service.host, demanded(service), application, header=service.header)
                ports[service.host] = stack.enter_context(site).port
            if aws is not None:
                identity, secret, *token = map(value_of, case.keys)
                aws[0].keys[identity] = Key(secret, *token)
                ports |= dict.fromkeys(case.hosts, aws[1].port)
        yield ports


BETWEEN = "----- next"


def script(names: list[str]) -> str:
    """Every line in a directory of its own, what it prints and its status set apart."""
    return "".join(f'(cd "$(mktemp -d)"\n{CASES[name].line}\n)\necho "\n$?{BETWEEN}"\n' for name in names)


@pytest.mark.parametrize("real", [True, False], ids=["real", "wrong"])
@pytest.mark.parametrize(
    "names", [pytest.param(group, marks=[pytest.mark.needs(*CASES[group[0]].needs)], id=group[0]) for group in groups()]
)
def test_recipes_work_and_only_with_the_real_values(
    desk: Desk,
    names: list[str],
    real: bool,
    server_ca: trustme.CA,
    repository: Application,
    request: pytest.FixtureRequest,
) -> None:
    aws = request.getfixturevalue("aws") if CASES[names[0]].keys else None
    with serving(names, server_ca, aws, repository) as ports:
        policy, secrets = together(names, ports, desk.ca)
        desk.caller.file(desk.policy, policy)
        values = {variable(secret): value_of(secret) for secret in secrets}
        desk.caller.environment |= values if real else {name: f"wrong{value[5:]}" for name, value in values.items()}
        done = desk.inside(script(names))
    found = [part.rstrip().rpartition("\n") for part in done.stdout.split(BETWEEN)[:-1]]
    assert len(found) == len(names), done.stderr
    for name, (printed, _, status) in zip(names, found, strict=True):
        if real:
            assert (status, printed.strip()) == ("0", CASES[name].printed), f"{name}: {done.stderr}"
        else:
            assert status != "0", name
            assert CASES[name].printed not in printed, name
    for value in desk.caller.environment.values():
        if value.startswith(("real-", "wrong-")):
            desk.assert_unseen(value)
