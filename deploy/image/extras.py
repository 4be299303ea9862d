"""
Print the part of a lock that extras need, with its hashes, for the build of the image.

`extras.py LOCK EXTRA…`: extras as in pyproject.toml. The lock says of each package what it is for.
"""

import re
import sys
import tomllib
from pathlib import Path

lock, *extras = sys.argv[1:]
optional = tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"]
if unknown := sorted(set(extras) - set(optional)):
    sys.exit(f"EXTRAS: unknown {', '.join(unknown)}; there are {', '.join(optional)}")
wanted = {re.split(r"[^\w.-]", line)[0] for extra in extras for line in optional[extra]}
blocks = {block.split("==")[0]: block for block in re.split(r"\n(?=\S)", Path(lock).read_text())}
before = set[str]()
while wanted != before:
    before = set(wanted)
    for name, block in blocks.items():
        if wanted & set(re.findall(r"#\s+(?:via )?([\w.-]+)$", block, re.MULTILINE)):
            wanted.add(name)
print(*(blocks[name] for name in sorted(wanted)), sep="\n")  # noqa: T201 (what it is for)
