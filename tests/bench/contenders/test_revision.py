from pathlib import Path

import pytest

from tests.bench.contenders.contender import Unavailable
from tests.bench.contenders.revision import house_of


async def test_an_unknown_revision_cannot_be_had(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no-such-revision"):
        async with house_of("no-such-revision").opened(tmp_path / "before", lambda _: None):
            pass
