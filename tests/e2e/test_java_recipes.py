"""The Java recipes, their `recipe.json` and `docs/stock-libraries-java.md` agree."""

import json
from pathlib import Path

import pytest

from processes import REPOSITORY

pytestmark = pytest.mark.once

RECIPES = REPOSITORY / "tests/recipes"
PAGE = REPOSITORY / "docs/stock-libraries-java.md"
RECIPE_DIRECTORIES = [path.parent for path in RECIPES.glob("*/recipe.json")]
STOCK = [
    path
    for path in RECIPE_DIRECTORIES
    if not json.loads((path / "recipe.json").read_text()).get("ours")
]
POMS = sorted(path / "pom.xml" for path in STOCK if (path / "pom.xml").exists())


@pytest.mark.parametrize("pom", POMS, ids=lambda pom: pom.parent.name)
def test_recipe_version_equals_the_version_in_its_pom(pom: Path) -> None:
    recipe = json.loads((pom.parent / "recipe.json").read_text())
    for version in str(recipe["version"]).split(", "):
        assert f"version>{version}<" in pom.read_text()


@pytest.mark.parametrize("pom", POMS, ids=lambda pom: pom.parent.name)
def test_page_links_to_every_source_of_a_recipe(pom: Path) -> None:
    text = PAGE.read_text()
    sources = sorted(path for path in (pom.parent / "src").rglob("*") if path.is_file())
    assert sources
    for source in sources:
        assert f"(../tests/recipes/{source.relative_to(RECIPES)})" in text


def test_spring_boot_3_and_4_have_the_same_configuration() -> None:
    name = "src/main/resources/application.properties"
    three, four = (RECIPES / f"spring-boot-{version}" / name for version in (3, 4))
    assert three.read_text() == four.read_text()
