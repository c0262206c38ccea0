"""`make bench`: every benchmark in its own process, one after the other.

``python -m benchmarks NAME…`` runs some.  A benchmark that needs data which is not here says so
and ends with 0; one that fails does not stop the others, but the run ends with 1.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def names() -> list[str]:
    found = []
    for path in sorted(HERE.glob("*.py")):
        if not path.stem.startswith("_") and "def main(" in path.read_text("utf-8"):
            found.append(path.stem)
    return found


def main(wanted: list[str]) -> int:
    known = names()
    unknown = [name for name in wanted if name not in known]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    failed = 0
    for name in wanted or known:
        print(f"== {name}", flush=True)
        started = time.perf_counter()
        code = subprocess.call([sys.executable, "-m", f"benchmarks.{name}"], cwd=HERE.parent)
        print(f"== {name}: {time.perf_counter() - started:.0f} s, exit {code}\n", flush=True)
        failed += code != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
