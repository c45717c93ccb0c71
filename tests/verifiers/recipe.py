"""A recipe of a case: a list of mutations, each with its own seed.

A case can therefore be created again without one of its mutations.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from draft import Draft
from mutations import ON_SIGNED, STAGES, Mutation

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
    """The mutations of a case, and the token to which they apply.

    `signed_case` is the index of a case of `cases.json`. Without it, a genuine token is created,
    mutated and signed.
    """

    signed_case: int | None
    steps: tuple[Step, ...]

    def case(self) -> dict[str, Any]:
        """Creates the case."""
        is_signed = self.signed_case is not None
        case = self._from_signed_case() if is_signed else self._new_draft().case()
        return {"name": self.name(), **case}

    def name(self) -> str:
        """The base case and the names of the mutations."""
        names = [step.mutation.__name__.replace("_", " ") for step in self.steps]
        base = [] if self.signed_case is None else [all_cases()["cases"][self.signed_case]["name"]]
        return "; ".join([*base, *names]) or "a genuine token"

    def smaller(self) -> Iterator[Recipe]:
        """All recipes that lack one of these steps."""
        for index in range(len(self.steps)):
            yield Recipe(self.signed_case, self.steps[:index] + self.steps[index + 1:])

    def _new_draft(self) -> Draft:
        draft = Draft()
        for stage in range(len(STAGES)):
            if stage == 1:
                draft.write()
            elif stage == len(STAGES) - 1:
                draft.sign()
            self._apply(draft, stage)
        return draft

    def _from_signed_case(self) -> dict[str, Any]:
        found = all_cases()["cases"][self.signed_case]
        draft = Draft(token=found["token"])
        lists = found.get("status_lists", {})
        uri = next(iter(lists), None)
        draft.status_list = lists.get(uri)
        self._apply(draft, len(STAGES) - 1)
        settings = {name: found[name] for name in SETTINGS if name in found}
        case = {"jwks": all_cases()["jwks"], **settings}
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
def all_cases() -> Any:
    """The content of `cases.json`."""
    return json.loads(CASES.read_text())


def recipe(rng: Random) -> Recipe:
    """A random recipe: one to four mutations of a draft, or up to two of a signed case."""
    count = rng.choices([1, 2, 3, 4], [6, 3, 2, 1])[0]
    if rng.random() < 0.15:
        signed_case = rng.randrange(len(all_cases()["cases"]))
        return Recipe(signed_case, steps(rng, ON_SIGNED, count // 2, 3))
    chosen: list[Step] = []
    for _ in range(count):
        stage = rng.choices(range(len(STAGES)), [10, 9, 1, 3])[0]
        chosen += steps(rng, STAGES[stage], 1, stage)
    return Recipe(None, tuple(chosen))


def steps(rng: Random, weights: dict[Mutation, int], count: int, stage: int) -> tuple[Step, ...]:
    """Random mutations of one stage."""
    chosen = rng.choices(list(weights), list(weights.values()), k=count)
    return tuple(Step(stage, mutation, rng.getrandbits(48)) for mutation in chosen)
