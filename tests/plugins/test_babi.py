"""The bAbI package: which questions become records, what is left out, and how answers are shown."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digits.errors import DataError
from digits.extensions.data.source import FileSource, Sample
from digits.testing import DataSourceContract, ViewContract
from tests.examples import example

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins" / "babi"))

import digits_data_babi as babi
import digits_view_babi as babi_view
from digits_data_babi.stories import Question, read_questions, typed_questions
from digits_data_babi.words import Vocabulary

STORY = """1 Mary moved to the bathroom.
2 John went to the hallway.
3 Where is Mary? \tbathroom\t1
4 Daniel went back to the hallway.
5 Where is Daniel? \thallway\t4
1 Sandra travelled to the office.
2 Where is Sandra? \toffice\t1
"""
NAME = "qa1_single-supporting-fact_train.txt"


def write(folder: Path, text: str | bytes, name: str = NAME) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def prepared(folder: Path, **values: Any) -> tuple[Any, list[str]]:
    """The source of a folder after its look at the files, and what it found odd."""
    source = babi.DataIngestion(**{"story_folder": str(folder), "pct_val": 0, "allowed_roots": ["/"], **values})
    problems: list[dict[str, Any]] = []
    source.prepare(problems.append)
    return source, [f"{problem['entry']}: {problem['reason']}" for problem in problems]


def read(text: str, tmp_path: Path) -> tuple[list[Question], list[tuple[int, str]]]:
    """The questions in the text of a file, and the lines that cannot be used."""
    faults: list[tuple[int, str]] = []
    return list(read_questions(str(write(tmp_path, text)), lambda line, reason: faults.append((line, reason)))), faults


class TestBabi(DataSourceContract):
    source = babi.DataIngestion
    inference_values = {"snippet": "Anna went to the hall.\nWhere is Anna?"}

    @pytest.fixture
    def values(self, tmp_path: Path) -> dict[str, Any]:
        example("stories").write(tmp_path / "stories", 12)
        return {"story_folder": str(tmp_path / "stories"), "task_id": "all", "pct_val": 25}

    def test_a_question_is_its_words_below_those_of_its_story(self, instance: Any) -> None:
        known = Vocabulary(instance.userdata["vocabulary"])
        for entry in instance.itemize_entries("train_db")[:20]:
            feature, label = instance.encode_entry(entry)
            *story, question = (" ".join(known.read_back(row)) for row in feature[0])
            assert question == entry.text.lower().rstrip("?")
            assert [text for text in story if text] == [text.lower().rstrip(".") for text in entry.sentences]
            assert story[len(story) - len(entry.sentences) :] == [text for text in story if text]  # the latest is the lowest
            assert instance.userdata["class_labels"][int(label[0])] == entry.answer

    def test_the_answers_of_the_example_follow_from_its_stories(self, instance: Any) -> None:
        """Of task 1: where the last sentence about somebody sends them."""
        entries = [one for one in instance.itemize_entries("train_db") if Path(one.source).name.startswith("qa1_")]
        assert len(entries) > 20
        for entry in entries:
            person = entry.text.rstrip("?").split()[-1]
            told = [text for text in entry.sentences if text.startswith(person)]
            assert told[-1].rstrip(".").endswith(entry.answer)

    def test_no_story_is_on_both_sides_of_a_split(self, instance: Any) -> None:
        stories = {
            stage: {entry.story for entry in instance.itemize_entries(stage)} for stage in ("train_db", "val_db", "test_db")
        }
        assert {stage: len(found) for stage, found in stories.items()} == {"train_db": 27, "val_db": 9, "test_db": 6}
        assert not stories["train_db"] & stories["val_db"]
        assert isinstance(instance, FileSource)


def test_what_the_original_asked_for_and_its_defaults(app_form: dict[str, Any]) -> None:
    assert {name: app_form[name] for name in ("story_folder", "task_id", "pct_val")} == {
        "story_folder": None,
        "task_id": "1",
        "pct_val": 10,
    }
    assert (babi.DataIngestion.get_id(), babi.DataIngestion.get_category()) == ("text-babi", "Text")


@pytest.fixture
def app_form() -> dict[str, Any]:
    from flask import Flask

    from digits.plugin_host.binding import request_with

    app = Flask("forms")
    app.config.update(WTF_CSRF_ENABLED=False)
    with request_with(app, None):
        return {field.name: field.data for field in babi.DataIngestion.get_dataset_form()}


def test_questions_are_no_part_of_the_story_and_1_begins_another(tmp_path: Path) -> None:
    found, faults = read(STORY, tmp_path)
    assert [(one.answer, one.sentences) for one in found] == [
        ("bathroom", ("Mary moved to the bathroom.", "John went to the hallway.")),
        ("hallway", ("Mary moved to the bathroom.", "John went to the hallway.", "Daniel went back to the hallway.")),
        ("office", ("Sandra travelled to the office.",)),
    ]
    assert not faults
    assert len({one.story for one in found}) == 2


@pytest.mark.parametrize(
    ("line", "word", "kept"),
    [
        ("Mary has no number.", "does not begin with its number", ["office"]),  # it may have said where Mary is
        ("2 Where is Mary?\t\t1", "no answer", ["bathroom", "office"]),
        ("Where is Mary?\tkitchen", "does not begin with its number", ["bathroom", "office"]),
        ("7 Mary jumped ahead.", "", ["bathroom", "office"]),
        ("0 Mary", "line 0, after line 1", ["office"]),
        ("2 ...", "no words", ["office"]),
        ("2 " + "very " * 101, "101 words", ["office"]),
        ("\0\1\2", "does not begin", ["office"]),
        ("", "", ["bathroom", "office"]),
    ],
)
def test_a_bad_line_is_listed_and_costs_what_may_follow_from_it(line: str, word: str, kept: list[str], tmp_path: Path) -> None:
    text = f"1 Mary moved to the bathroom.\n{line}\n8 Where is Mary?\tbathroom\t1\n1 Sandra left.\n2 Where is she?\toffice\t1\n"
    found, faults = read(text, tmp_path)
    assert [one.answer for one in found] == kept
    assert [number for number, _ in faults] == ([] if not word else [2] if "bathroom" in kept else [2, 3])
    assert not word or word in faults[0][1]


def test_a_question_about_nothing_is_listed(tmp_path: Path) -> None:
    found, faults = read("1 Where is Mary?\thall\t\n2 Mary left.\n3 Where is Mary?\tout\t2\n", tmp_path)
    assert [one.answer for one in found] == ["out"]
    assert faults == [(1, "It asks about a story without a sentence.")]


@given(st.binary(max_size=300))
def test_no_bytes_end_the_reading_of_a_file(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    faults: list[int] = []
    path = write(tmp_path_factory.mktemp("bytes"), data)
    for question in read_questions(str(path), lambda line, reason: faults.append(line)):
        assert question.sentences
        assert question.answer


def test_bad_lines_are_on_the_list_of_problems_and_the_others_become_records(tmp_path: Path) -> None:
    write(tmp_path, STORY.replace("2 John went", "John went"))
    source, problems = prepared(tmp_path)
    assert [entry.answer for entry in source.itemize_entries("train_db")] == ["office"]
    assert problems == [
        f"{NAME}, line 2: It does not begin with its number in the story.",
        f"{NAME}, line 3: Line 2 of its story cannot be used; it may ask for what that says.",
        f"{NAME}, line 5: Line 2 of its story cannot be used; it may ask for what that says.",
    ]


def test_where_no_line_can_be_used_the_reason_is_said(tmp_path: Path) -> None:
    write(tmp_path, "Mary moved.\nWhere is Mary?\tout\n")
    with pytest.raises(DataError, match="None of the files .*line 1: It does not begin with its number"):
        prepared(tmp_path)


def test_files_of_validation_and_tests_are_their_splits(tmp_path: Path) -> None:
    write(tmp_path, STORY)
    write(tmp_path, "1 Sandra flew to Rome.\n2 Where is Sandra?\tRome\t1\n", "qa1_valid.txt")
    write(tmp_path, "1 Mary moved to the attic.\n2 Where is Mary?\tattic\t1\n" * 2, "qa1_single-supporting-fact_test.txt")
    source, problems = prepared(tmp_path, pct_val=50)
    answers = {stage: [one.answer for one in source.itemize_entries(stage)] for stage in ("train_db", "val_db", "test_db")}
    assert answers == {"train_db": ["bathroom", "hallway", "office"], "val_db": ["Rome"], "test_db": ["attic", "attic"]}
    assert source.userdata["class_labels"] == ["Rome", "attic", "bathroom", "hallway", "office"]
    unknown = "words occur in no training story and are all read as one unknown word"
    assert problems == [f"val: 2 {unknown}: flew, rome.", f"test: 1 {unknown}: attic."]


def test_long_stories_lose_their_beginning_and_long_sentences_their_end(tmp_path: Path) -> None:
    write(tmp_path, STORY)
    longer = "1 Mary left the old white house today.\n2 John left.\n3 Mary ate.\n4 Where is Mary?\tout\t1\n"
    write(tmp_path, longer, "qa1_x_test.txt")
    source, problems = prepared(tmp_path, most_sentences=2)
    feature, _ = source.encode_entry(source.itemize_entries("test_db")[0])
    assert feature.shape == (1, 3, 6)  # "Daniel went back to the hallway" has six words
    assert "test: 1 stories have more than 2 sentences; the last 2 are kept." in problems


def test_folders_of_several_languages_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path / "en", STORY)
    write(tmp_path / "hn", STORY)
    with pytest.raises(DataError, match="are of one task"):
        babi.DataIngestion(story_folder=str(tmp_path), task_id="1")
    with pytest.raises(DataError, match="holds no file qa7_…_train.txt"):
        babi.DataIngestion(story_folder=str(tmp_path), task_id="7")
    assert babi.DataIngestion.recognise(str(tmp_path)) == []
    (found,) = babi.DataIngestion.recognise(str(tmp_path / "en"))
    assert (found["values"]["task_id"], found["records"]) == ("1", 3)


def test_a_link_out_of_the_allowed_folders_is_left_out_and_listed(tmp_path: Path) -> None:
    write(tmp_path / "in", STORY)
    outside = write(tmp_path / "out", STORY, "secret.txt")
    (tmp_path / "in" / "qa1_x_test.txt").symlink_to(outside)
    source, problems = prepared(tmp_path / "in", allowed_roots=[str(tmp_path / "in")])
    assert source.itemize_entries("test_db") == []
    assert len(problems) == 1
    assert "outside the folders" in problems[0]


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        ("Mary left.\nWhere is Mary?", ["Where is Mary?"]),
        ("1 Mary left.\r\n2 Where is Mary?\tout\t1\r\n\r\n", ["Where is Mary?"]),
        ("Mary left.\nWhere is Mary", ["Where is Mary"]),
        ("Mary left.\nWhere is Mary?\nShe came back.\nWhere is she?", ["Where is Mary?", "Where is she?"]),
    ],
)
def test_a_typed_story(text: str, questions: list[str]) -> None:
    found = typed_questions(text)
    assert [one.text for one in found] == questions
    assert found[-1].sentences[0] == "Mary left."


@pytest.mark.parametrize("text", ["", "   \n", "Where is Mary?", "...", "Mary left.\n" + "so " * 101 + "?"])
def test_what_is_no_story_with_a_question_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Write a story|more than 100 words"):
        typed_questions(text)


def test_words_that_are_not_known_are_said(tmp_path: Path) -> None:
    write(tmp_path, STORY)
    kept = prepared(tmp_path)[0].userdata
    tester = babi.DataIngestion(True, **kept, snippet="Mary swam to the office.\nWhere is Mary now?\tpool")
    (entry,) = tester.itemize_entries("test_db")
    sample = tester.encode_entry(entry)
    assert isinstance(sample, Sample)
    assert sample[1] is None
    assert [reason for _, reason in sample.notes] == [
        "Words that the network was not trained with: now, swam.",
        "No question of the data set has the answer 'pool'.",
    ]


class TestAnswersView(ViewContract):
    view = babi_view.Visualization

    def test_shows_story_question_and_answers(self, tmp_path: Path, app: Any) -> None:
        from digits.plugin_host import binding, rendering
        from digits.plugin_host.view import DatasetView, view_input

        write(tmp_path, STORY)
        source, _ = prepared(tmp_path)
        feature, label = source.encode_entry(source.itemize_entries("train_db")[0])
        feature[0, -1, 0] = 1  # as a word that is not known
        with binding.request_with(app, {}):
            view = babi_view.Visualization(DatasetView(extension_userdata=source.userdata), max_answers=2)
            data = view.process_data(0, view_input(feature), {"output": np.array([0.7, 0.2, 0.1])}, label)
            html = " ".join(rendering.render("text-babi", *view.get_view_template(data), nonce="x").split())
            header = rendering.render("text-babi", *view.get_header_template(), nonce="x")
        assert "<div>mary moved to the bathroom.</div><div>john went to the hallway.</div>" in html
        assert ">unknown</mark> is mary?" in html
        assert [row["name"] for row in data["answers"]] == ["bathroom", "hallway"]
        assert "70.00 %" in html
        assert "1 of 1 answers are right" in header
