"""The program: `routee-receiver`, or `python -m app`."""

import sys


def main() -> None:
    """Run the command line. The health check, which runs all the time, imports only itself."""
    # ruff: noqa: PLC0415 (imports take most of the time)
    if sys.argv[1:2] == ["healthcheck"]:
        from app.observability.healthcheck import alone as run
    else:
        from app.cli import main as run
    run()


if __name__ == "__main__":
    main()
