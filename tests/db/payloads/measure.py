"""
What levels and sizes of the dictionary cost and save: `python -m tests.db.payloads.measure`.

On callbacks that share no text with the training.
"""

from collections.abc import Callable, Iterable
from random import Random
from time import perf_counter

from rich.console import Console
from zstandard import ZstdCompressionDict, ZstdCompressor, ZstdDecompressor

from app.db.payloads.training.train import trained

from .unseen import DOCUMENTED, unseen

LEVELS = (1, 3, 4, 6)
SIZES = (4096, 8192, 16384, 32768)
ITEMS, ROUNDS = 2000, 9

console = Console()


def microseconds(doing: Callable[[bytes], bytes], given: Iterable[bytes]) -> float:
    """Of the quickest round, for each of *given*."""
    many, taken = list(given), []
    for _ in range(ROUNDS):
        began = perf_counter()
        for one in many:
            doing(one)
        taken.append(perf_counter() - began)
    return min(taken) / len(many) * 1e6


def measure(dictionary: bytes, level: int, bodies: list[bytes]) -> None:
    data = ZstdCompressionDict(dictionary)
    data.precompute_compress(level=level)
    codec = ZstdCompressor(level=level, dict_data=data, write_checksum=False, write_dict_id=False)
    stored = [codec.compress(body) for body in bodies]
    documented = {name: len(codec.compress(body)) / len(body) for name, body in DOCUMENTED.items()}
    console.print(
        f"{len(dictionary):5} bytes, level {level}: {sum(map(len, bodies)) / ITEMS:.0f} bytes to"
        f" {sum(map(len, stored)) / ITEMS:.0f} in {microseconds(codec.compress, bodies):.1f} µs,"
        f" back in {microseconds(ZstdDecompressor(dict_data=data).decompress, stored):.1f} µs;"
        f" documented {documented['progress']:.2f}, reply {documented['inbound']:.2f}"
    )


def main() -> None:
    rng = Random(7)  # noqa: S311
    bodies = [unseen(rng) for _ in range(ITEMS)]
    for size in SIZES:
        dictionary = trained(size)
        for level in LEVELS:
            measure(dictionary, level, bodies)


if __name__ == "__main__":
    main()
