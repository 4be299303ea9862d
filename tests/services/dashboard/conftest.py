from tests.db.dashboard.conftest import database

__all__ = ["database"]
