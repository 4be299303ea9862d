"""The modes: what runs, which failures there are, and what must be seen."""

from typing import Final

from app.sandbox.drill.mode import Mode
from app.sandbox.drill.modes.buffered import BufferedMode
from app.sandbox.drill.modes.direct import DirectMode
from app.sandbox.drill.modes.standby import StandbyMode

#: By their names on the command line.
MODES: Final[dict[str, type[Mode]]] = {
    mode.name: mode for mode in (DirectMode, StandbyMode, BufferedMode)
}

__all__ = ["MODES", "BufferedMode", "DirectMode", "StandbyMode"]
