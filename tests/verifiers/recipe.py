"""How a case is made: some mutations, each with a seed of its own, so that a case can be made
again without one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from draft import Draft
from mutations import ON_FINISHED, STAGES, Mutation

CASES = Path(__file__).resolve().parents[2] / "verifiers/vectors/cases.json"
SETTINGS = ("now", "jwks", "issuer", "audience", "accept_typ_jwt")


@dataclass(frozen=True)
class Step:
    """One mutation."""

    stage: int
    mutation: Mutation
    seed: int


@dataclass(frozen=True)
class Recipe:
    """A case to be: of a token of `cases.json`, or of a genuine one that is signed anew."""

    finished: int | None
    steps: tuple[Step, ...]

    def case(self) -> dict[str, Any]:
        """Makes the case."""
        case = self._of_the_book() if self.finished is not None else self._made().case()
        return {"name": self.name(), **case}

    def name(self) -> str:
        """What was done, in words."""
        done = [step.mutation.__name__.replace("_", " ") for step in self.steps]
        base = [] if self.finished is None else [book()["cases"][self.finished]["name"]]
        return "; ".join([*base, *done]) or "a genuine token"

    def smaller(self) -> Iterator[Recipe]:
        """The same with one step less."""
        for index in range(len(self.steps)):
            yield Recipe(self.finished, self.steps[:index] + self.steps[index + 1:])

    def _made(self) -> Draft:
        draft = Draft()
        for stage in range(len(STAGES)):
            if stage == 1:
                draft.write()
            elif stage == len(STAGES) - 1:
                draft.sign()
            self._apply(draft, stage)
        return draft

    def _of_the_book(self) -> dict[str, Any]:
        found = book()["cases"][self.finished]
        draft = Draft(token=found["token"])
        lists = found.get("status_lists", {})
        uri = next(iter(lists), None)
        draft.status_list = lists.get(uri)
        self._apply(draft, len(STAGES) - 1)
        case = {"jwks": book()["jwks"], **{name: found[name] for name in SETTINGS if name in found}}
        if not isinstance(case["jwks"], str):
            case["jwks"] = json.dumps(case["jwks"])
        if draft.status_list is not None:
            case["status_lists"] = {uri: draft.status_list}
        if "accepted_by" in found:
            case["exempt"] = found["accepted_by"]
        return {**case, "token": draft.token}

    def _apply(self, draft: Draft, stage: int) -> None:
        for step in self.steps:
            if step.stage == stage:
                step.mutation(draft, Random(step.seed))


@lru_cache(maxsize=1)
def book() -> Any:
    """The cases that all verifiers run."""
    return json.loads(CASES.read_text())


def recipe(rng: Random) -> Recipe:
    """Any recipe: mostly one mutation, at times more, for what hides behind another fault."""
    count = rng.choices([1, 2, 3, 4], [6, 3, 2, 1])[0]
    if rng.random() < 0.15:
        return Recipe(rng.randrange(len(book()["cases"])), steps(rng, ON_FINISHED, count // 2, 3))
    chosen: list[Step] = []
    for _ in range(count):
        stage = rng.choices(range(len(STAGES)), [10, 9, 1, 3])[0]
        chosen += steps(rng, STAGES[stage], 1, stage)
    return Recipe(None, tuple(chosen))


def steps(rng: Random, among: dict[Mutation, int], count: int, stage: int) -> tuple[Step, ...]:
    """Some mutations of one stage."""
    chosen = rng.choices(list(among), list(among.values()), k=count)
    return tuple(Step(stage, mutation, rng.getrandbits(48)) for mutation in chosen)
