"""`docs/stock-libraries-*.md` and `tests/recipes` agree. `scripts/recipes` runs the recipes."""

import json
import re
from pathlib import Path

import pytest

from processes import REPOSITORY

pytestmark = pytest.mark.once

RECIPES = REPOSITORY / "tests/recipes"
PAGES = sorted((REPOSITORY / "docs").glob("stock-libraries-*.md"))
LINK = r"\[`[\w./-]+`\]\(\.\./tests/recipes/([\w./-]+)\)"
BLOCK = re.compile(rf"{LINK}:\n\n```\w*\n(.*?)```", re.DOTALL)
"""A link to a file of a recipe, a colon, and its content."""

DESCRIBED = sorted(path.parent.name for path in RECIPES.glob("*/recipe.json"))


def described(name: str) -> dict[str, object]:
    its: dict[str, object] = json.loads((RECIPES / name / "recipe.json").read_text())
    return its


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_is_that_of_its_recipes(page: Path) -> None:
    blocks = BLOCK.findall(page.read_text())
    assert blocks
    for file, code in blocks:
        assert code == (RECIPES / file).read_text(), file


@pytest.mark.parametrize("name", [it for it in DESCRIBED if not described(it).get("ours")])
def test_a_page_names_the_version_of_the_recipe(name: str) -> None:
    text = "".join(page.read_text() for page in PAGES)
    assert f"(../tests/recipes/{name}" in text
    for version in str(described(name)["version"]).split(", "):
        assert version in text


MODULES = sorted(RECIPES.glob("*/go.mod"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.parent.name)
def test_the_version_of_a_recipe_in_go_is_that_of_its_module(path: Path) -> None:
    its = described(path.parent.name)
    module = path.read_text() + "".join(it.read_text() for it in path.parent.glob("build.sh"))
    if not its.get("ours"):
        for version in str(its["version"]).split(", "):
            assert f"v{version}" in module
