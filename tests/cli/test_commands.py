import subprocess
import sys

import typer.main
from typer.core import TyperGroup
from typer.testing import CliRunner

from app.cli import app

#: Ends with an error if the command has imported what serves requests.
_IMPORTS_LITTLE = """
import sys
from app.__main__ import main
try:
    main()
finally:
    found = {"fastapi", "app.main", "app.api"} & sys.modules.keys()
    assert not found, found
"""


def test_every_command_has_a_help_of_its_own() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    shown = CliRunner().invoke(app, ["--help"]).output
    for name in group.commands:
        assert name in shown
        assert CliRunner().invoke(app, [name, "--help"]).output


def test_a_misspelt_command_is_refused_with_the_right_one() -> None:
    refused = CliRunner().invoke(app, ["exprt"])
    assert refused.exit_code == 2
    assert "Did you mean 'export'?" in refused.output


def test_a_command_does_not_import_what_only_others_need() -> None:
    for arguments in (["--version"], ["config"], ["export", "--help"]):
        ended = subprocess.run(  # noqa: S603 (our own interpreter and program)
            [sys.executable, "-c", _IMPORTS_LITTLE, *arguments],
            check=False,
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
