"""Where each command is. Imports take most of the time of a start, so only one is imported."""

from collections import UserDict
from importlib import import_module
from typing import Any, Final, TypeAlias

import typer
from typer.core import TyperGroup

#: Of Click, of which Typer contains a copy without a public name.
_Command: TypeAlias = Any

#: Functions, and applications with commands of their own, by module and name, in the help's order.
_PLACES: Final = {
    "demo": "app.cli.demo:demo",
    "drill": "app.cli.drill:drill",
    "serve": "app.cli.serve:serve",
    "work": "app.cli.work:work",
    "migrate": "app.cli.migrate:migrate",
    "doctor": "app.cli.doctor:doctor",
    "healthcheck": "app.observability.healthcheck:healthcheck",
    "retain": "app.cli.retain:retain",
    "reconcile": "app.cli.reconcile:reconcile",
    "erase": "app.cli.erase:erase",
    "rebuild": "app.cli.rebuild:rebuild",
    "simulate": "app.cli.simulate:simulate",
    "export": "app.cli.export:export",
    "openapi": "app.cli.openapi:openapi",
    "capacity": "app.cli.capacity:capacity",
    "config": "app.cli.config:config",
    "api-key": "app.cli.api_key:app",
    "bi-user": "app.cli.bi_user:app",
    "campaign": "app.cli.campaign:app",
    "quarantine": "app.cli.quarantine:app",
}


class _Commands(UserDict[str, _Command]):
    """Commands by their names; each is imported the first time that it is looked up."""

    def __getitem__(self, name: str) -> _Command:
        if self.data[name] is None:
            self.data[name] = _imported(name, _PLACES[name])
        return self.data[name]


class CommandGroup(TyperGroup):
    """The commands of the program."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 (Typer's own)
        super().__init__(**options)
        self.commands = _Commands(dict.fromkeys(_PLACES) | dict(self.commands))

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """The names, for which nothing is imported."""
        del ctx
        return list(self.commands)


def _imported(name: str, place: str) -> _Command:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    only = typer.Typer()
    only.callback()(lambda: None)  # without it, a single command would not be one of a group
    if isinstance(found, typer.Typer):
        only.add_typer(found, name=name)
    else:
        only.command(name)(found)
    return typer.main.get_group(only).commands[name]
