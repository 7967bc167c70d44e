"""The agent's configuration as the agent itself would find it, for commands that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tailrace.agent.routing import check_unused_filters, filters_of
from tailrace.config.destinations import BUCKET_VARIABLE, DestinationSpec
from tailrace.config.file import PREFIX
from tailrace.config.flush import FlushStrategy
from tailrace.config.headers import HttpHeaders
from tailrace.config.layers import ENVIRONMENT
from tailrace.config.places import CONFIG_FILE, DEFAULT_PLACES, read_config
from tailrace.config.settings import SETTINGS, Settings, load_settings
from tailrace.config.urls import MASK
from tailrace.config.wrong_urls import shown
from tailrace.destinations.dead_letter import dead_letters_in_force
from tailrace.destinations.registry import Built, build_destinations
from tailrace.errors import ConfigError, UsageError
from tailrace.processors.filters import limits_of
from tailrace.processors.mask_rules import build_rules

HERE = "tailrace.toml"
# On Lambda they are always there; the account of whoever runs this is none of the agent's.
STAND_INS = {
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "ASIATAILRACEEXAMPLE0",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_SESSION_TOKEN": "not-a-token",
    "AWS_LAMBDA_FUNCTION_NAME": "function",
}
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_OWN = ("AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


class AgentView:
    """Settings, destinations and everything that is wrong with them, as the agent would find them."""

    def __init__(self, file: Path | None, options: Mapping[str, str], host: Mapping[str, str]) -> None:
        own = {name: value for name, value in host.items() if name not in _OWN}
        self.environ: dict[str, str] = {**STAND_INS, **own, **options}
        self._stands_in = {name for name in STAND_INS if name not in own and name not in options}
        if not self.has_no_credentials and "AWS_SESSION_TOKEN" in self._stands_in:
            del self.environ["AWS_SESSION_TOKEN"]  # somebody's own keys have none, or it would be here
            self._stands_in.discard("AWS_SESSION_TOKEN")
        if file is not None:
            if not file.is_file():
                raise UsageError(str(file), "there is no such file", "give a TOML file")
            self.environ[CONFIG_FILE] = str(file)
        found = read_config(self.environ, (*DEFAULT_PLACES, HERE))
        self.path = found.path if found is not None else None
        self.settings: Settings = load_settings({**STAND_INS, **own}, found, options)
        self.built: Built = build_destinations(self.environ, self.settings)
        self.problems = [*self.settings.problems, *self.built.problems, *self.built.faults]
        self.filters = filters_of(self.built.specs, self.settings, self.problems)
        check_unused_filters(self.built.specs, self.settings, self.problems)
        before = len(self.problems)
        self._pattern_rules = build_rules(self.settings.mask_specs, self.problems)[1]
        self.withholds = self.settings.masks_unknown or len(self.problems) > before
        self._dead_letters = dead_letters_in_force(self.settings, self.environ)
        self.problems += self._dead_letters.problems

    @property
    def has_no_credentials(self) -> bool:
        """Whether the credentials of `environ` are made up."""
        return self._stands_in.issuperset(CREDENTIALS[:2])

    @property
    def environ_without_stand_ins(self) -> dict[str, str]:
        """The environment without credentials that nobody gave."""
        made_up = {name for name in self._stands_in if name in CREDENTIALS}
        return {name: value for name, value in self.environ.items() if name not in made_up}

    @property
    def is_unheard(self) -> bool:
        """Whether nobody asks for a destination."""
        return not self.built.destinations and not self.built.problems

    @property
    def warnings(self) -> list[str]:
        """What the agent says once though nothing is wrong, and what can be known on the function's machine only."""
        unheard = ["no destination is configured: every record is dropped"] if self.is_unheard else []
        return [*self.built.warnings, *unheard, *self._authorities(), *self._limits()]

    def _authorities(self) -> list[str]:
        """Certificate authorities that are not where they should be: then no request over TLS succeeds. The file may
        be in a layer or an image, so only the function's own machine could tell for sure."""
        if not any(_may_use_tls(spec) for spec in self.built.specs):
            return []
        wanted = [(name, self.environ.get(name, "")) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")]
        return [
            f"{name}: {ascii(path)[1:-1]} is not on this machine; where the function has none either, nothing is"
            " delivered over https"
            for name, path in wanted
            if path and not Path(path).exists()
        ]

    def _limits(self) -> list[str]:
        """Patterns that may miss something in long lines."""
        found = [(f"mask {rule.name} ({rule.place})", rule.limit) for rule in self._pattern_rules]
        for spec in self.built.specs:
            if spec.table is not None and spec.table.filter is not None:
                found += limits_of(spec.table.filter)
        return [
            f"{name}: a match of more than {limit} characters may not be found in a line of more than {2 * limit};"
            " begin each repetition behind a character that it cannot repeat, or end the pattern with it"
            for name, limit in found
            if limit is not None
        ]

    def values(self) -> list[tuple[str, str, object, str]]:
        """Every setting as (key, variable, value without secrets, where it came from)."""
        found: list[tuple[str, str, object, str]] = []
        for variable in SETTINGS:
            key = variable.removeprefix(PREFIX).lower()
            if key == "dead_letter":
                url = self._dead_letters.url
                found.append((key, variable, shown(url) if url else "", self._dead_letters.source))
            elif hasattr(self.settings, key):
                value = presentable(getattr(self.settings, key))
                found.append((key, variable, value, self.settings.source_of(key)))
        return found

    def destinations(self) -> list[dict[str, object]]:
        """Every destination that can be used: its name, where it was asked for, and what it takes."""
        return [self._destination(index) for index in range(len(self.built.specs))]

    def _destination(self, index: int) -> dict[str, object]:
        spec = self.built.specs[index]
        said: dict[str, object] = {"name": spec.name, "source": origin(spec.setting)}
        if spec.scheme in ("http", "https"):
            said["headers"] = presentable(self._headers_of(index))
        table = spec.table
        if table is not None and table.filter is not None:
            said["filter"] = table.filter.to_object()
        if table is not None and table.queue_max_bytes is not None:
            said["queueMaxBytes"] = table.queue_max_bytes
        if spec.instead_of is not None:
            said["standsInFor"] = spec.instead_of.name
        return said

    def _headers_of(self, index: int) -> HttpHeaders:
        table = self.built.specs[index].table
        general = self.settings.http_headers
        return general if table is None else general.with_others(table.headers)

    def masks(self) -> list[dict[str, object]]:
        """The rules that can be used."""
        usable = [spec for spec in self.settings.mask_specs if any(build_rules([spec], []))]
        return [{**spec.to_object(), "source": origin(spec.place)} for spec in usable]


def _may_use_tls(spec: DestinationSpec) -> bool:
    return spec.scheme == "https" or (spec.scheme == "s3" and not spec.options.get("endpoint", "").startswith("http:"))


def origin(setting: str) -> str:
    """Where a value came from, in the words of `Settings.source_of`: messages leave out that a variable is one."""
    return ENVIRONMENT + setting if setting.startswith((PREFIX, BUCKET_VARIABLE)) else setting


def presentable(value: object) -> object:
    """A setting's value for people and JSON, without secrets."""
    if isinstance(value, HttpHeaders):
        return {name: MASK for name, _ in value.pairs}
    if isinstance(value, FlushStrategy):
        return value.policy if value.interval_ms is None else f"{value.policy},{value.interval_ms}"
    if isinstance(value, tuple):
        return list(value)
    return value


def problem_objects(problems: Sequence[ConfigError]) -> list[dict[str, str]]:
    return [{"setting": p.setting, "found": p.found, "remedy": p.remedy} for p in problems]
