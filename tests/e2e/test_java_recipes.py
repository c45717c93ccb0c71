"""The recipes in Java build what their `recipe.json` and the page say."""

import json
from pathlib import Path

import pytest

from processes import REPOSITORY

pytestmark = pytest.mark.once

RECIPES = REPOSITORY / "tests/recipes"
PAGE = REPOSITORY / "docs/stock-libraries-java.md"
DESCRIBED = [path.parent for path in RECIPES.glob("*/recipe.json")]
STOCK = [path for path in DESCRIBED if not json.loads((path / "recipe.json").read_text()).get("ours")]
POMS = sorted(path / "pom.xml" for path in STOCK if (path / "pom.xml").exists())


@pytest.mark.parametrize("pom", POMS, ids=lambda pom: pom.parent.name)
def test_the_version_of_a_recipe_is_that_of_its_pom(pom: Path) -> None:
    described = json.loads((pom.parent / "recipe.json").read_text())
    for version in str(described["version"]).split(", "):
        assert f"version>{version}<" in pom.read_text()


@pytest.mark.parametrize("pom", POMS, ids=lambda pom: pom.parent.name)
def test_the_page_shows_every_source_of_a_recipe(pom: Path) -> None:
    text = PAGE.read_text()
    sources = sorted(path for path in (pom.parent / "src").rglob("*") if path.is_file())
    assert sources
    for source in sources:
        # Spring Boot 4 has the properties of 3.5, which the page links to for both.
        assert f"(../tests/recipes/{source.relative_to(RECIPES)})" in text


def test_spring_boot_4_is_configured_like_3() -> None:
    name = "src/main/resources/application.properties"
    three, four = (RECIPES / f"spring-boot-{version}" / name for version in (3, 4))
    assert three.read_text() == four.read_text()
