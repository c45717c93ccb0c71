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
"""A link to a file of a recipe, followed by the file's content as a code block."""

RECIPE_NAMES = sorted(path.parent.name for path in RECIPES.glob("*/recipe.json"))


def read_recipe(name: str) -> dict[str, object]:
    recipe: dict[str, object] = json.loads((RECIPES / name / "recipe.json").read_text())
    return recipe


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_of_a_page_equals_the_files_of_its_recipes(page: Path) -> None:
    blocks = BLOCK.findall(page.read_text())
    assert blocks
    for file, code in blocks:
        assert code == (RECIPES / file).read_text(), file


@pytest.mark.parametrize("name", [it for it in RECIPE_NAMES if not read_recipe(it).get("ours")])
def test_pages_name_the_version_of_each_recipe(name: str) -> None:
    text = "".join(page.read_text() for page in PAGES)
    assert f"(../tests/recipes/{name}" in text
    for version in str(read_recipe(name)["version"]).split(", "):
        assert version in text


MODULES = sorted(RECIPES.glob("*/go.mod"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.parent.name)
def test_version_of_a_go_recipe_equals_the_version_in_its_module(path: Path) -> None:
    recipe = read_recipe(path.parent.name)
    module = path.read_text() + "".join(it.read_text() for it in path.parent.glob("build.sh"))
    if not recipe.get("ours"):
        for version in str(recipe["version"]).split(", "):
            assert f"v{version}" in module
