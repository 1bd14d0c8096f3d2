"""`report-limits` on small data sets made up for it, with untrained models."""

import re
import shutil
from collections import Counter
from pathlib import Path
from unittest.mock import Mock

import pandas
import pytest

from conftest import Run
from made_up_data import fer2013_csv, write_utkface
from minixception.commands import run_command
from minixception.datasets import load_utkface
from minixception.datasets.utkface import ETHNICITIES
from minixception.images import read_image
from minixception.labels import EMOTIONS_FER2013
from minixception.limits.perturbations import PERTURBATIONS
from stored_files import change_card

PUBLIC = 21
TABLES = ("gender_by_group", "emotion_recall", "emotion_confusions", "perturbations")
PICTURES = ("gender_by_group.png", "emotion_confusions.png", "perturbations.png")


@pytest.fixture(scope="module")
def fer2013(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first PublicTest face is also a Training face."""
    counts = {"Training": 7, "PublicTest": PUBLIC, "PrivateTest": 14}
    path = tmp_path_factory.mktemp("fer2013") / "fer2013.csv"
    path.write_text(fer2013_csv(counts, twins=["PublicTest"]))
    return path


@pytest.fixture(scope="module")
def utkface(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 women and 30 men, about three of each in the test split and in the validation split."""
    folder = tmp_path_factory.mktemp("utkface") / "crop_part1"
    write_utkface(folder, 60, size=(50, 50))
    return folder


@pytest.fixture(scope="module")
def options(model_options: list[str], fer2013: Path, utkface: Path) -> list[str]:
    """Return what a page about both models is made from."""
    return [*model_options, f"--emotion-data={fer2013}", f"--gender-data={utkface}"]


@pytest.fixture(scope="module")
def page(options: list[str], portraits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("output") / "docs" / "limits.md"
    given = [*options, f"--output={path}", f"--example={portraits}"]
    assert run_command("report-limits", given) == 0
    return path


def table(page: Path, name: str) -> pandas.DataFrame:
    return pandas.read_csv(page.with_suffix("") / f"{name}.csv")


def test_nothing_but_page_tables_and_pictures_is_written(page: Path) -> None:
    assert {path.name for path in page.parent.iterdir()} == {"limits.md", "limits"}
    names = {path.name for path in page.with_suffix("").iterdir()}
    assert names == {*(f"{name}.csv" for name in TABLES), *PICTURES, "perturbed_face.jpg"}
    text = page.read_text(encoding="utf-8")
    for name in names:
        assert f"](limits/{name})" in text
        assert name.endswith(".csv") or read_image(page.with_suffix("") / name).std() > 5


def test_the_page_says_what_it_was_made_from(page: Path, checkpoints: dict[str, Path]) -> None:
    text = page.read_text(encoding="utf-8")
    assert f"minixception report-limits --emotion-model={checkpoints['emotion']}" in text
    assert "Seed 0, commit " in text
    assert "fer2013 PublicTest" in text
    assert "utkface test" in text
    assert f"{PUBLIC} faces. 1 have a pixel-identical twin" in text
    for perturbation in PERTURBATIONS:
        assert f"### {perturbation.name.capitalize()}" in text
    calibration = text.split("## How well the probabilities are calibrated")[1].split("\n## ")[0]
    assert re.search(r"\| \S+ \| 1 \| - \| - \| - \| [\d.]+ % \|", calibration)
    assert "nan" not in text.lower().split()


def test_gender_is_told_of_held_out_faces_only(page: Path, utkface: Path) -> None:
    groups = table(page, "gender_by_group")
    test, validation = map(load_utkface(utkface).split, ("test", "validation"))
    assert min(len(test), len(validation)) > 0
    counts = {"test": len(test), "test + validation": len(test) + len(validation)}
    columns = ["faces", "woman", "man", "woman_correct", "man_correct"]
    for (_, split), rows in groups.groupby(["kind", "split"]):
        assert rows.group.iloc[-1] == "all"
        assert rows.faces.iloc[-1] == counts[split]
        assert (rows[columns].iloc[:-1].sum() == rows[columns].iloc[-1]).all()
    assert (groups.low <= groups.balanced_accuracy).all()
    assert (groups.balanced_accuracy <= groups.high).all()
    codes = Counter(f"{code} {ETHNICITIES[code]}" for code in test.attributes["ethnicity"])
    of_test = groups[(groups.kind == "ethnicity code") & (groups.split == "test")]
    assert dict(zip(of_test.group, of_test.faces, strict=True)) == {**codes, "all": len(test)}


def test_recall_and_confusions_add_up(page: Path) -> None:
    recall, confusions = table(page, "emotion_recall"), table(page, "emotion_confusions")
    assert list(recall.emotion) == list(EMOTIONS_FER2013)
    assert recall.faces.sum() == PUBLIC
    errors = confusions.groupby("true")["count"].agg(["size", "sum"]).loc[recall.emotion]
    assert (errors["size"] == len(EMOTIONS_FER2013) - 1).all()
    assert list(recall.correct + errors["sum"].to_numpy()) == list(recall.faces)


def test_levels_begin_with_the_faces_as_they_are(page: Path) -> None:
    rows = table(page, "perturbations").set_index(["perturbation", "task"])
    right = table(page, "emotion_recall").correct.sum() / PUBLIC
    for one in PERTURBATIONS:
        for task, width in (("emotion", 48), ("gender", 200)):
            assert tuple(rows.level[one.name, task]) == one.levels_for(width)
        assert rows.accuracy[one.name, "emotion"].iloc[0] == pytest.approx(right, abs=1e-4)


def test_the_same_seed_writes_the_same_tables(
    page: Path, options: list[str], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again, draw = tmp_path / "limits.md", Mock()  # drawing takes longest
    monkeypatch.setattr("minixception.limits.page._draw", draw)
    run("report-limits", *options, "--output", again)
    for name in TABLES:
        pandas.testing.assert_frame_equal(table(again, name), table(page, name))
    # Without --example the page shows no such picture.
    written = again.read_text(encoding="utf-8")
    assert "perturbed_face.jpg" not in written
    # An interrupted run leaves the old page, however much of the new one was there.
    monkeypatch.setattr("minixception.limits.measurements.PERTURBATIONS", PERTURBATIONS[:1])
    draw.side_effect = OSError(28, "No space left on device", "limits.md")
    run("report-limits", *options, "--output", again, "--seed", 1, code=1)
    assert again.read_text(encoding="utf-8") == written
    assert {path.name for path in tmp_path.iterdir()} == {"limits.md", "limits"}


def test_a_gender_model_that_may_have_seen_the_faces_is_refused(
    checkpoints: dict[str, Path], options: list[str], run: Run, tmp_path: Path
) -> None:
    folder, page = shutil.copytree(checkpoints["gender"], tmp_path / "gender"), tmp_path / "page.md"
    change_card(folder, data={"name": "utkface"})  # of an earlier version
    given = [*options, "--output", page, "--gender-model", folder]
    error = run("report-limits", *given, code=1).stderr
    assert "was trained on utkface in splits that are not those drawn now" in error
    assert not page.exists()
