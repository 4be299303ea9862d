"""All settings: their names, defaults and descriptions, and what they need of each other."""

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from app.settings.kinds import (
    HOW_TO_MAKE_ONE,
    NatsUrls,
    Networks,
    PostgresUrl,
    RetentionDays,
    Secrets,
    SettingsInvalid,
    Sources,
    Texts,
    WebUrl,
    WebUrls,
)
from app.settings.urls import (
    has_several_hosts,
    host_of,
    postgres_url,
    target_of,
    with_target,
)

_OPT_OUT_WORDS: Final = ("STOP", "ΣΤΟΠ")
_DEFAULT_PORT: Final = 5432
#: Of `domain.api_key`.
_SCOPES: Final = ("read", "pii", "campaigns", "admin")
#: The variables of Routee's credentials.
CREDENTIALS: Final = ("RECEIVER_ROUTEE_APPLICATION_ID", "RECEIVER_ROUTEE_APPLICATION_SECRET")


class Settings(BaseModel):
    """
    All settings of an operator. `load_settings` reads them from `RECEIVER_*` variables.

    Secrets are `SecretStr`, so that printing the settings shows none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    database_host: str = Field(
        default="",
        description="Host of PostgreSQL 18 or later, several as in h1,h2, or the folder of its "
        "socket: in place of DATABASE_URL, together with the four that follow.",
    )
    database_port: int = Field(
        default=_DEFAULT_PORT, ge=1, le=65535, description="Port at DATABASE_HOST."
    )
    database_user: str = Field(default="", description="Role at DATABASE_HOST.")
    database_password: SecretStr = Field(
        default=SecretStr(""), description="Password of DATABASE_USER, without any escapes."
    )
    database_name: str = Field(default="", description="Database at DATABASE_HOST.")
    database_url: PostgresUrl = Field(
        default="",
        description="postgresql://… of PostgreSQL 18 or later. Of several hosts, as in "
        "h1:5432,h2:5432, the one that takes writes is used. Empty: one is run in DATA_DIR.",
    )
    database_read_url: PostgresUrl = Field(
        default="",
        description="postgresql://… of a replica for lists, messages, replies, the feed and "
        "exports; of several hosts a standby is preferred. Empty: DATABASE_URL, which always "
        "answers for keys, launches and a campaign by its id.",
    )
    data_dir: Path = Field(
        default=Path("./var"), description="Where the embedded PostgreSQL keeps its data."
    )
    embedded_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="TCP port on 127.0.0.1 for the embedded PostgreSQL. Empty: socket only.",
    )
    postgres_bin: Path | None = Field(
        default=None,
        description="Folder of the programs of an installed PostgreSQL 18 (initdb, pg_ctl, "
        "postgres), which is then run in DATA_DIR. Empty: the one that is installed with this "
        "program.",
    )
    accept_outdated_postgres: bool = Field(
        default=False,
        description="Let EMBEDDED_PORT and analysts' logins be used with an embedded PostgreSQL "
        "that has known holes. For trials only.",
    )
    public_url: WebUrl = Field(
        default="",
        description="Our address as Routee sees it, https://…; launching needs it.",
    )
    callback_secrets: Secrets = Field(
        default=(),
        description="Comma-separated callback tokens, each at least 32 URL-safe characters.",
    )
    signing_keys: Secrets = Field(
        default=(),
        description="Comma-separated keys for per-campaign tokens: the first signs, all verify.",
    )
    routee_application_id: str = Field(default="", description="Routee application id.")
    routee_application_secret: SecretStr = Field(
        default=SecretStr(""), description="Routee application secret."
    )
    routee_api_url: WebUrl = Field(
        default="https://connect.routee.net", description="Base of Routee's API."
    )
    routee_auth_url: WebUrl = Field(
        default="https://auth.routee.net", description="Base of Routee's token service."
    )
    erasure_keys: Secrets = Field(
        default=(),
        description="Comma-separated keys of the hashes that recognise erased recipients: the "
        "first makes them, all verify. Empty: SIGNING_KEYS.",
    )
    retention_raw_days: RetentionDays = Field(
        default=None,
        description="For how many days payloads are kept. Empty: as long as their rows.",
    )
    retention_events_days: RetentionDays = Field(
        default=None,
        description="For how many days status events and reports of campaigns' progress are kept. "
        "Empty: for ever.",
    )
    retention_messages_days: RetentionDays = Field(
        default=None,
        description="After how many days without a change messages are removed. Empty: never.",
    )
    retention_inbound_days: RetentionDays = Field(
        default=None,
        description="For how many days replies and the quarantine are kept. Empty: for ever.",
    )
    buffer_url: NatsUrls = Field(
        default=(),
        description="Comma-separated nats://… of a NATS JetStream cluster: callbacks are "
        "acknowledged by it, and stored by `routee-receiver work`. Empty: they are stored "
        "directly.",
    )
    buffer_monitor_urls: WebUrls = Field(
        default=(),
        description="Comma-separated http://… of the monitoring of all NATS servers, by which it "
        "is verified that they are durable. Empty: port 8222 of the hosts of BUFFER_URL.",
    )
    buffer_stream: str = Field(
        default="receiver-callbacks",
        pattern="^[A-Za-z0-9_-]{1,100}$",
        description="Name of the stream, which is made if it is missing. The same in all "
        "processes, and another one for each database that shares the NATS cluster.",
    )
    buffer_max_bytes: int = Field(
        default=2 * 1024**3,
        ge=1024**2,
        description="Size of the stream when it is made, on each server. When it is full, "
        "callbacks get 503.",
    )
    buffer_unsafe: bool = Field(
        default=False,
        description="Use a buffer that may lose what it has acknowledged. For tests only.",
    )
    ack_budget_seconds: float = Field(
        default=1.5,
        gt=0,
        lt=2,
        description="How long a callback may wait for its commit; Routee hangs up at 2 s.",
    )
    drain_seconds: float = Field(
        default=3.0,
        ge=0,
        le=20,
        description="How long a process that gets SIGTERM goes on while /readyz says 503, so that "
        "load balancers send it nothing more. A second SIGTERM ends it at once.",
    )
    max_body_bytes: int = Field(
        default=1_048_576, ge=1024, description="Larger callbacks are answered 413."
    )
    callback_sources: Sources = Field(
        default=(),
        description="Comma-separated addresses, networks and host names (looked up every minute) "
        "that callbacks are taken from; others get 403. Behind a proxy set TRUSTED_PROXIES as "
        "well. Empty: from everywhere.",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Comma-separated addresses and networks of proxies that are believed in "
        "X-Forwarded-For and Forwarded, for CALLBACK_SOURCES and the dashboard, which believes "
        "their X-Forwarded-Proto and X-Forwarded-Prefix as well. Empty: none is.",
    )
    ui_trusted_header: str = Field(
        default="",
        pattern="^([A-Za-z0-9-]{1,64})?$",
        description="Header in which a proxy of TRUSTED_PROXIES names the person that it has "
        "signed in to the dashboard, such as X-Auth-Request-User; the proxy must drop it from what "
        "clients send. Empty: people sign in with an API key alone.",
    )
    ui_trusted_scopes: Texts = Field(
        default=("read",),
        description="Comma-separated scopes of people whom UI_TRUSTED_HEADER names: read, pii, "
        "campaigns, admin.",
    )
    fast_protocol: bool = Field(
        default=True,
        description="Answer callbacks without ASGI where possible, at half the CPU time. false: "
        "all requests go through ASGI.",
    )
    feed_pages_per_second: int = Field(
        default=20,
        ge=0,
        description="How many pages per second all clients that wait for the feed get together "
        "from one process while it stores more than 500 callbacks per second. 0: no limit.",
    )
    reconcile_requests_per_second: float = Field(
        default=2,
        gt=0,
        le=100,
        description="How many requests per second Routee's tracking gets at most, for callbacks "
        "that did not come.",
    )
    bi_max_seconds: int = Field(
        default=300,
        ge=1,
        le=86_400,
        description="After how many seconds an analyst's transaction is ended, also an idle one.",
    )
    bi_mask_labels: bool = Field(
        default=False,
        description="Mask what looks like a telephone number also in labels, campaign names and "
        "senders in the SQL views, for companies that put recipients' numbers there. The same in "
        "all processes.",
    )
    bi_opt_out_words: Texts = Field(
        default=_OPT_OUT_WORDS,
        description="Comma-separated replies by which a recipient opts out, whole, in any case of "
        "letters, for the SQL views. The same in all processes.",
    )
    currency: str = Field(
        default="",
        pattern="^([A-Z]{3})?$",
        description="Currency of the Routee account, such as EUR: shown beside prices in the SQL "
        "views. The same in all processes.",
    )
    surface: Literal["all", "callbacks", "api"] = Field(
        default="all", description="What `serve` serves, as its option `--surface`."
    )
    api_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="TCP port at the host of `serve` for the API, with `--surface all`; the other "
        "port then has the callback URLs only. Empty: the API is there too.",
    )
    operations_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="TCP port at the host of `serve` or `work` for /livez, /readyz, /metrics, "
        "/docs and /openapi.json, which are then served nowhere else. Empty: they are where the "
        "API is, and nowhere with `--surface callbacks`.",
    )
    traces_url: WebUrl = Field(
        default="",
        description="http(s)://… of an OTLP collector, such as http://127.0.0.1:4318, which gets "
        "traces; it needs the extra `tracing`. `OTEL_…` variables say the rest, such as the "
        "sampler. Empty: none.",
    )
    log_format: Literal["console", "json"] = Field(
        default="console", description="`json` for log collectors."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least level that `serve`, `work` and `migrate` log."
    )

    @field_validator("retention_events_days")
    @classmethod
    def _with_their_payloads(cls, days: int | None, info: ValidationInfo) -> int | None:
        raw = info.data.get("retention_raw_days")
        if days is not None and raw is not None and raw > days:
            raise ValueError(
                f"must be at least RECEIVER_RETENTION_RAW_DAYS, {raw}: a payload is removed with "
                "its event at the latest"
            )
        return days

    @field_validator("retention_messages_days")
    @classmethod
    def _after_their_events(cls, days: int | None, info: ValidationInfo) -> int | None:
        events = info.data.get("retention_events_days")
        if days is not None and events is None:
            raise ValueError(
                "needs RECEIVER_RETENTION_EVENTS_DAYS: a message is kept as long as it has events"
            )
        if days is not None and events is not None and events > days:
            raise ValueError(
                f"must be at least RECEIVER_RETENTION_EVENTS_DAYS, {events}: a message is kept as "
                "long as it has events"
            )
        return days

    @field_validator("database_url", mode="before")
    @classmethod
    def _of_its_parts(cls, url: object, info: ValidationInfo) -> object:
        parts = {name: info.data.get(f"database_{name}") for name in ("host", "user", "name")}
        password: SecretStr = info.data.get("database_password") or SecretStr("")
        port = info.data.get("database_port", _DEFAULT_PORT)
        is_given = any(parts.values()) or password.get_secret_value() or port != _DEFAULT_PORT
        if not is_given:
            return url
        if url:
            raise ValueError(
                "must not be set together with RECEIVER_DATABASE_HOST, _PORT, _USER, _PASSWORD or "
                "_NAME"
            )
        if missing := [f"RECEIVER_DATABASE_{name.upper()}" for name, it in parts.items() if not it]:
            raise ValueError(f"{' and '.join(missing)} must be set as well")
        return postgres_url(
            host=str(parts["host"]),
            port=port,
            user=str(parts["user"]),
            password=password.get_secret_value(),
            name=str(parts["name"]),
        )

    @field_validator("database_url")
    @classmethod
    def _that_takes_writes(cls, url: str) -> str:
        target = target_of(url)
        if target is None and has_several_hosts(url):
            return with_target(url, "read-write")
        if target not in {None, "any", "read-write", "primary"} or (
            target == "any" and has_several_hosts(url)
        ):
            raise ValueError(
                "must have target_session_attrs=read-write, or none: callbacks are written"
            )
        return url

    @field_validator("ui_trusted_header")
    @classmethod
    def _of_trusted_proxies(cls, header: str, info: ValidationInfo) -> str:
        if header and not info.data.get("trusted_proxies"):
            raise ValueError(
                "needs RECEIVER_TRUSTED_PROXIES: otherwise everybody could name themselves in it"
            )
        return header

    @field_validator("ui_trusted_scopes")
    @classmethod
    def _that_exist(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(scopes).difference(_SCOPES)):
            raise ValueError(f"{', '.join(unknown)}: each must be one of {', '.join(_SCOPES)}")
        return scopes

    @field_validator("traces_url")
    @classmethod
    def _without_credentials(cls, url: str) -> str:
        if "@" in url:
            raise ValueError("must have no user or password: use OTEL_EXPORTER_OTLP_HEADERS")
        return url

    @field_validator("database_read_url")
    @classmethod
    def _that_may_be_a_standby(cls, url: str) -> str:
        if target_of(url) is None and has_several_hosts(url):
            return with_target(url, "prefer-standby")
        return url

    def require_callback_secrets(self) -> None:
        """
        Check that there is a callback token.

        Raises:
            SettingsInvalid: none is set.
        """
        if not self.callback_secrets:
            raise SettingsInvalid(
                "RECEIVER_CALLBACK_SECRETS is not set, so every callback would be refused. "
                f"Make a secret with: {HOW_TO_MAKE_ONE}"
            )

    def secrets_known_to_routee(self) -> list[str]:
        """The secrets that Routee is given, and so can quote in a callback."""
        secrets = (*self.callback_secrets, self.routee_application_secret)
        return [secret.get_secret_value() for secret in secrets]

    def all_secrets(self) -> list[str]:
        """Every secret, so that it can be masked wherever it stands."""
        keys = (*self.signing_keys, *self.erasure_keys)
        return [*self.secrets_known_to_routee(), *(key.get_secret_value() for key in keys)]

    def keys_for_erasure(self) -> list[str]:
        """The keys that recognise erased recipients. Without any, no recipient can be erased."""
        keys = self.erasure_keys or self.signing_keys
        return [key.get_secret_value() for key in keys]

    def monitor_urls_of_buffer(self) -> tuple[str, ...]:
        """Where each NATS server is asked whether it is durable."""
        hosts = (host_of(url) for url in self.buffer_url)
        return self.buffer_monitor_urls or tuple(f"http://{host}:8222" for host in hosts)

    def missing_for_reconciling(self) -> tuple[str, ...]:
        """The names of the settings without which Routee's tracking cannot be asked."""
        return tuple(name for name in self.missing_for_launching() if name in CREDENTIALS)

    def missing_for_launching(self) -> tuple[str, ...]:
        """The names of the settings without which no campaign can be launched."""
        needed = {
            "RECEIVER_PUBLIC_URL": self.public_url,
            "RECEIVER_SIGNING_KEYS": self.signing_keys,
            "RECEIVER_ROUTEE_APPLICATION_ID": self.routee_application_id,
            "RECEIVER_ROUTEE_APPLICATION_SECRET": (
                self.routee_application_secret.get_secret_value()
            ),
        }
        return tuple(name for name, value in needed.items() if not value)
