"""Topologies by name: in this folder, in ./topologies, among the examples of a wheel."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from testbed.errors import UsageError
from testbed.lifecycle.finding import EXAMPLES, find, known

ROOT = Path(__file__).parents[2]
SITE = "# A site of ours.\ntestbed: 1\nname: {}\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(file: Path, text: str = SITE) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.format(file.name.partition(".")[0]))
    return file


def test_the_examples_are_those_of_the_repository() -> None:
    assert EXAMPLES.samefile(ROOT / "topologies")


def test_a_name_is_looked_for_from_near_to_far(here: Path) -> None:
    assert find("two-racks") == EXAMPLES / "two-racks.yaml"
    write(here / "topologies" / "two-racks.yaml")
    assert find("two-racks") == Path("topologies/two-racks.yaml")
    write(here / "two-racks.yaml")
    assert find("two-racks") == Path("two-racks.yaml")
    write(here / "two-racks")
    assert find("two-racks") == Path("two-racks")


def test_a_folder_is_no_topology(here: Path) -> None:
    (here / "two-racks").mkdir()
    assert find("two-racks") == EXAMPLES / "two-racks.yaml"


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".yaml.j2"])
@pytest.mark.parametrize("name", ["site", "plants/north"])
def test_a_name_is_the_files_without_its_suffix(here: Path, name: str, suffix: str) -> None:
    file = write(here / "topologies" / f"{name}{suffix}")
    assert find(name).samefile(file)
    assert [entry.name for entry in known() if not entry.file.is_relative_to(EXAMPLES)] == [name]


def test_templates_and_folders_of_examples_have_names(here: Path) -> None:
    assert find("racks") == EXAMPLES / "racks.yaml.j2"
    assert find("broken/wrong-asn") == EXAMPLES / "broken" / "wrong-asn.yaml"


def test_other_folders_than_the_current_one(here: Path) -> None:
    beside, root = here / "tests", here
    site = write(root / "topologies" / "site.yaml")
    assert find("site", beside, root) == site
    near = write(beside / "site.yaml")
    assert find("site", beside, root) == near
    assert find("site.yaml", beside, root) == near
    assert find(str(site), beside) == site


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("two-rakcs", "did you mean 'two-racks'?"),
        ("two-racks.yaml", "did you mean 'two-racks'?"),
        ("/nowhere/topologies/two-racks.yaml", "did you mean 'two-racks'?"),
        ("wrong-asm", "did you mean 'broken/wrong-asn'?"),
        ("nothing-like-it", "`testbed list --topologies` lists all"),
        ("a\0b", "`testbed list --topologies` lists all"),
    ],
)
def test_what_is_not_there(here: Path, word: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        find(word)
    assert caught.value.message == f"there is no topology {word!r}"
    assert caught.value.hint == hint


def test_what_can_not_be_looked_at_is_for_the_reader_to_tell(here: Path) -> None:
    loop = here / "loop.yaml"
    loop.symlink_to(loop)
    assert find("loop.yaml") == Path("loop.yaml")


def test_only_topologies_are_known_and_the_nearest_wins(here: Path) -> None:
    write(here / "compose.yaml", "services: {{}}\n")
    write(here / "first.yaml")
    (here / "folder.yaml").mkdir()
    names = [entry.name for entry in known()]
    assert names[0] == "first"
    assert len(names) == len(set(names))
    assert {"two-racks", "racks", "broken/wrong-asn"} < set(names)
    assert {"compose", "folder"}.isdisjoint(names)


@pytest.mark.parametrize(
    ("text", "story"),
    [
        (SITE, "A site of ours."),
        ("# yaml-language-server: $schema=x\n#\n#  Ours\n# more\ntestbed: 1\n", "Ours"),
        ("testbed: 1 # one\n# later\n", ""),
        ("{{% set a = 1 %}}\n# After a template's statement\ntestbed: 1\n",
         "After a template's statement"),
    ],
)  # fmt: skip
def test_the_story_is_the_first_comment(here: Path, text: str, story: str) -> None:
    write(here / "site.yaml", text)
    assert known()[0].story == story


def test_every_example_is_known_and_begins_with_its_story() -> None:
    examples = known(ROOT)
    assert {entry.file for entry in examples} == {*EXAMPLES.rglob("*.yaml*")}
    for entry in examples:
        assert entry.file.read_text().startswith(f"# {entry.story}\n")
        assert len(entry.story.split()) > 3


def test_an_installed_package_has_the_examples(tmp_path: Path) -> None:
    """The files are where the build's configuration puts them; no other package is imported."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    wheel = build["targets"]["wheel"]
    for source, target in {"testbed": "testbed", **wheel["force-include"]}.items():
        shutil.copytree(ROOT / source, tmp_path / "site" / target, dirs_exist_ok=True)
    (tmp_path / "empty").mkdir()
    code = (
        "import json, sys\n"
        "from testbed.lifecycle.finding import find, known\n"
        "heavy = {'pydantic', 'jinja2', 'yaml', 'rich', 'click'} & set(sys.modules)\n"
        "print(json.dumps([str(find('two-racks')), len(known()), sorted(heavy)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "empty",
        env={"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        check=True,
    )
    file, count, heavy = json.loads(done.stdout)
    assert file == str(tmp_path / "site" / "testbed" / "topologies" / "two-racks.yaml")
    assert count == len([*EXAMPLES.rglob("*.yaml*")])
    assert heavy == []
