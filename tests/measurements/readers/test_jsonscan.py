import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers import jsonscan

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=6), VALUES, max_size=5)
FILES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FILES
@given(
    documents=st.lists(OBJECTS, min_size=1, max_size=3),
    indent=st.sampled_from([None, 2]),
    chunk=st.integers(1, 40),
)
def test_the_same_as_json_whatever_the_chunks(tmp_path, monkeypatch, documents, indent, chunk):
    monkeypatch.setattr(jsonscan, "CHUNK_BYTES", chunk)
    path = tmp_path / "x.json"
    path.write_text("\n".join(json.dumps(d, indent=indent, ensure_ascii=False) for d in documents))
    assert list(jsonscan.members(path)) == documents


@FILES
@given(document=OBJECTS, drop=st.text(max_size=6), chunk=st.integers(1, 40))
def test_dropped_members_are_passed_over(tmp_path, monkeypatch, document, drop, chunk):
    monkeypatch.setattr(jsonscan, "CHUNK_BYTES", chunk)
    path = tmp_path / "x.json"
    path.write_text(json.dumps({drop: ['"]}', {"a": [1, {}]}], **document}))
    kept = {key: value for key, value in document.items() if key != drop}
    assert list(jsonscan.members(path, frozenset({drop}))) == [kept]


@FILES
@given(document=OBJECTS, data=st.data())
def test_cut_anywhere_is_refused(tmp_path, document, data):
    text = json.dumps(document)
    path = tmp_path / "x.json"
    path.write_text(text[: data.draw(st.integers(1, len(text) - 1))])
    with pytest.raises(DataError, match="cut short"):
        list(jsonscan.members(path))


def test_infinity_and_nan_are_read_as_python_writes_them(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"rate": Infinity, "mean": NaN, "deep": {"x": -Infinity}, "text": "Infinity"}')
    (document,) = jsonscan.members(path)
    assert document["rate"] == float("inf")
    assert document["mean"] != document["mean"]
    assert document["deep"] == {"x": float("-inf")}


@pytest.mark.parametrize(
    "text", ['{"a" 1}', '{"a": 1 "b": 2}', '{"a": }', "{a: 1}", '{"a": tru}', '{"a": [1,,2]}']
)
def test_broken_json_names_the_place(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataError, match="not valid JSON") as raised:
        list(jsonscan.members(path))
    assert "\n" not in str(raised.value)


NUMBERS = st.lists(st.floats(allow_nan=False) | st.integers(-9, 9), max_size=5)


@FILES
@given(
    elements=st.lists(NUMBERS, max_size=6) | NUMBERS | st.lists(VALUES, max_size=5),
    indent=st.sampled_from([None, 1]),
    chunk=st.integers(1, 60),
)
def test_elements_are_those_of_the_list_whatever_the_chunks(tmp_path, monkeypatch, elements, indent, chunk):
    monkeypatch.setattr(jsonscan, "CHUNK_BYTES", chunk)
    path = tmp_path / "f.json"
    path.write_text(json.dumps({"before": 1, "list": elements, "after": [[2], 3]}, indent=indent))
    (found,) = [
        {key: list(document.elements()) if key == "list" else document.value() for key in document}
        for document in jsonscan.documents(path)
    ]
    assert found == {"before": 1, "list": elements, "after": [[2], 3]}
