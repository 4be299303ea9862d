"""The composition root: builds everything, once. Importing it does nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

import httpx
from fastapi import FastAPI
from starlette.types import ASGIApp

from app.api.parts import Parts
from app.api.problems import register_problems
from app.api.raw_path import RawPath
from app.api.receiver import CallbackReceiver
from app.api.routes import campaigns, inbound_messages, messages, operations, status
from app.db.count_folding import fold_counts
from app.db.database import Database
from app.db.ingest_session import IngestSession
from app.domain.callback_token import CallbackTokens
from app.errors import ConfigurationError
from app.kit.parent import end_with_parent
from app.observability.logs import configure_logs
from app.observability.metrics import Metrics
from app.routee.client import RouteeClient
from app.routee.preflight import Prober
from app.services.attempts import Attempts
from app.services.duties import Duty, performed
from app.services.intake import Intake
from app.services.keyring import Keyring
from app.services.launch import Launching
from app.settings import Settings, load_settings

_FOLD_EVERY: Final = timedelta(seconds=1)
_RELAUNCH_EVERY: Final = timedelta(seconds=5)
_FORGET_EVERY: Final = timedelta(hours=1)


def create_app() -> ASGIApp:
    """
    The service, by the environment of this process.

    Raises:
        SettingsInvalid: a setting is unusable.
        ConfigurationError: a setting is missing.
    """
    end_with_parent()
    settings = load_settings()
    configure_logs(log_format=settings.log_format)
    return build_app(settings)


def build_app(settings: Settings) -> ASGIApp:
    """
    The service as an ASGI application. Connections are opened when it is started or first used.

    Raises:
        ConfigurationError: a setting is missing.
    """
    if not settings.database_url:
        raise ConfigurationError(
            "RECEIVER_DATABASE_URL is not set. `routee-receiver serve` runs a PostgreSQL of its "
            "own then; this way of starting does not."
        )
    settings.require_callback_secrets()
    parts = _parts(settings)
    if settings.surface == "api":
        return RawPath(_api(settings, parts, intake=None))
    session = IngestSession(
        settings.database_url, statement_timeout_seconds=settings.ack_budget_seconds
    )
    intake = Intake(session, parts.metrics, ack_budget_seconds=settings.ack_budget_seconds)
    return CallbackReceiver(
        RawPath(_api(settings, parts, intake=intake)),
        intake=intake,
        tokens=parts.tokens,
        metrics=parts.metrics,
        max_body_bytes=settings.max_body_bytes,
        ack_budget_seconds=settings.ack_budget_seconds,
    )


def _parts(settings: Settings) -> Parts:
    database = Database(settings.database_url)
    tokens = CallbackTokens(
        secrets=[secret.get_secret_value() for secret in settings.callback_secrets],
        signing_keys=[key.get_secret_value() for key in settings.signing_keys],
    )
    client = RouteeClient(
        api_url=settings.routee_api_url,
        auth_url=settings.routee_auth_url,
        application_id=settings.routee_application_id,
        application_secret=settings.routee_application_secret.get_secret_value(),
    )
    launching = Launching(
        database,
        Attempts(database, client, tokens, public_url=settings.public_url),
        Prober(ssl_context=httpx.create_ssl_context(trust_env=False)),
        missing_settings=settings.missing_for_launching(),
    )
    return Parts(
        database=database,
        keyring=Keyring(database),
        launching=launching,
        routee=client,
        tokens=tokens,
        metrics=Metrics(),
    )


def _api(settings: Settings, parts: Parts, *, intake: Intake | None) -> FastAPI:
    duties = (
        Duty("fold counts", _FOLD_EVERY, partial(fold_counts, parts.database)),
        Duty("repeat launches", _RELAUNCH_EVERY, parts.launching.relaunch_due),
        Duty("forget idempotency keys", _FORGET_EVERY, parts.launching.forget_old_keys),
    )

    @asynccontextmanager
    async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with performed(*duties):
            yield
        if intake is not None:
            await intake.close()
        await parts.routee.aclose()
        await parts.database.close()

    app = FastAPI(
        title="Routee Receiver",
        version="0.1.0",
        summary="Delivery status of Viber campaigns, kept from Routee's callbacks.",
        lifespan=_lifespan,
    )
    app.state.parts = parts
    register_problems(app)
    app.include_router(operations.router)
    if settings.surface != "callbacks":
        for noun in (status, messages, campaigns, inbound_messages):
            app.include_router(noun.router)
    return app
