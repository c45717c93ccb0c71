"""Verifies each case of a file, for `tests/verifiers` to compare the results.

The first line of the file `CASES_FILE` has the members that all cases share; each further line is a
case. `VERDICTS_FILE` gets one line per case: the result in the format of `expect`.
"""

import asyncio
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cases import verdict_on


def main() -> None:
    first, *rest = Path(os.environ["CASES_FILE"]).read_text(encoding="utf-8").splitlines()
    shared = json.loads(first)
    verdicts = asyncio.run(each({**shared, **json.loads(line)} for line in rest))
    Path(os.environ["VERDICTS_FILE"]).write_text("".join(verdicts), encoding="utf-8")


async def each(cases: Iterable[dict[str, Any]]) -> list[str]:
    return [json.dumps(await verdict_on(case)) + "\n" for case in cases]


if __name__ == "__main__":
    main()
