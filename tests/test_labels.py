from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minixception.labels import (
    EMOTIONS_8,
    EMOTIONS_FER2013,
    FERPLUS_COLUMNS,
    GENDERS,
    SYNONYMS,
    canonical_name,
    check_class_names,
    index_of,
)


def test_index_of_maps_by_meaning() -> None:
    assert [index_of(name, EMOTIONS_FER2013) for name in ("happiness", " ANGER ")] == [3, 0]
    assert [index_of(name, EMOTIONS_8) for name in ("Happy", "sad", "afraid")] == [4, 6, 3]
    assert [index_of(name, GENDERS) for name in ("female", "Male")] == [0, 1]
    assert index_of("nf", FERPLUS_COLUMNS) == 9
    assert index_of("ge\u0301ne\u0301", ("calme", "g\u00e9n\u00e9")) == 1  # as macOS has it


@pytest.mark.parametrize("names", [("happy", "happy"), ("happy", "happiness"), ("", "sad"), (0, 1)])
def test_names_that_cannot_be_told_apart_are_refused(names: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"must mean different things|must be printable"):
        check_class_names(names)


def test_both_conventions_name_the_same_emotions() -> None:
    eight = {canonical_name(name) for name in EMOTIONS_8}
    assert {canonical_name(name) for name in EMOTIONS_FER2013} == eight - {"contempt"}
    assert {canonical_name(name) for name in FERPLUS_COLUMNS} == eight | {"unknown", "nf"}


@given(st.sampled_from(sorted(SYNONYMS)), st.data())
def test_a_label_crosses_between_conventions_by_name(canonical: str, data: Any) -> None:
    names = data.draw(st.permutations(sorted(SYNONYMS)))
    spelling = data.draw(st.sampled_from(SYNONYMS[canonical]))
    written = data.draw(st.sampled_from([str.upper, str.title, str.lower]))(f" {spelling}\t")
    translated = [data.draw(st.sampled_from(SYNONYMS[name])) for name in names]
    assert canonical_name(written) == canonical
    assert index_of(written, translated) == names.index(canonical)
