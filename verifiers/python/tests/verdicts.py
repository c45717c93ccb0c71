"""Says of each case of a file what becomes of it, for `tests/verifiers` to compare.

The file `CASES_FILE` has what the cases share in its first line, and a case in each other line.
`VERDICTS_FILE` gets a line for each case: what `expect` would have to be.
"""

import asyncio
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cases import found


def main() -> None:
    first, *rest = Path(os.environ["CASES_FILE"]).read_text(encoding="utf-8").splitlines()
    shared = json.loads(first)
    verdicts = asyncio.run(each({**shared, **json.loads(line)} for line in rest))
    Path(os.environ["VERDICTS_FILE"]).write_text("".join(verdicts), encoding="utf-8")


async def each(cases: Iterable[dict[str, Any]]) -> list[str]:
    return [json.dumps(await found(case)) + "\n" for case in cases]


if __name__ == "__main__":
    main()
