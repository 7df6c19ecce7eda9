"""Questions about stories: a feature is the words of story and question, the label the number of the answer."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from digits.errors import DataError
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.images.splitting import drawn
from digits.extensions.data.source import FileSource, Options, Sample
from digits.utils import constants, override, subclass
from digits_data_babi.forms import DatasetForm, InferenceForm
from digits_data_babi.stories import MOST_SENTENCES, TEST, TRAIN, VALID, find_files, read_questions, typed_questions, words_of
from digits_data_babi.words import Vocabulary

TEMPLATES = Path(__file__).parent / "templates"
STAGES = {constants.TRAIN_DB: TRAIN, constants.VAL_DB: VALID, constants.TEST_DB: TEST}
MOST_WORDS_NUMBERED = (1 << 16) - 2  # in uint16
NAMED = 10  # words in a message


@dataclass(frozen=True)
class BabiOptions(Options):
    """Of the form and of the form to test with."""

    story_folder: str = ""
    task_id: str = "1"  # or `all`
    pct_val: float = 10.0
    most_sentences: int = 0  # 0: those of the longest training story
    seed: int = 0
    snippet: str = ""

    @property
    def task(self):
        """The number of the task; None: all."""
        return int(self.task_id) if self.task_id.isdecimal() else None


@subclass
class DataIngestion(FileSource):
    """An entry is a Question. Vocabulary, answers and sizes are what `prepare` saw of the training stories; they live in userdata
    and travel with the data set. The questions themselves are read from their files again."""

    OPTIONS: ClassVar[type[Options]] = BabiOptions
    encode_mode = "serial"  # looking up words is quicker than handing them to other processes

    def __init__(self, is_inference_db=False, **kwargs):
        super().__init__(is_inference_db, **kwargs)
        if not is_inference_db and "vocabulary" not in self.userdata:
            find_files(self.options.story_folder, self.options.task)

    @override
    def prepare(self, report):
        """Read all files, list the lines that cannot be used, number words and answers."""
        findings = Findings(report)
        self.parts = found = self.questions(findings)
        if not found[TRAIN]:
            raise DataError(f"None of the files has a question that can be used.{findings.first_of(['skipped'])}")
        vocabulary = Vocabulary.of(found[TRAIN])
        if len(vocabulary.words) > MOST_WORDS_NUMBERED:
            raise DataError(f"The stories have {len(vocabulary.words):,} words; at most {MOST_WORDS_NUMBERED:,} can be numbered.")
        longest = min(max(len(question.sentences) for question in found[TRAIN]), MOST_SENTENCES)
        sentences = self.options.most_sentences or longest
        texts = {text for question in found[TRAIN] for text in (question.text, *question.sentences[-sentences:])}
        words = max(len(words_of(text)) for text in texts)
        self.userdata |= {"vocabulary": vocabulary.words, "sentences": sentences, "words": words}
        self.userdata["class_labels"] = sorted({question.answer for part in found.values() for question in part})
        for stage, part in STAGES.items():
            self.compare(found[part], stage, findings)
        findings.finish()

    def questions(self, findings):
        """The questions of each part, training stories split as asked where no file is for validation."""
        files = find_files(self.options.story_folder, self.options.task)
        found = {part: self.read(files.get(part, ()), findings) for part in STAGES.values()}
        if VALID not in files:
            stages = drawn([question.story for question in found[TRAIN]], self.options.pct_val, 0, self.options.seed)
            both = list(zip(found[TRAIN], stages.tolist(), strict=True))
            found[TRAIN], found[VALID] = ([question for question, stage in both if stage == wanted] for wanted in (0, 1))
        return found

    def read(self, files, findings):
        """The questions of some files; those that may not be read, and lines that cannot be, are listed."""
        questions, allowed = [], self.confinement()
        for path in files:
            self.check_stop()
            if refusal := allowed.refusal(path):
                findings.add("skipped", refusal, path)
                continue
            name = Path(path).name
            questions += read_questions(
                allowed.resolve(path), lambda line, reason, name=name: findings.add("skipped", reason, name, line=line)
            )
        return questions

    def compare(self, questions, stage, findings):
        """Note what the network will not see of some questions."""
        name = stage.removesuffix("_db")
        if unknown := self.known_words.unknown_in(questions):
            said = f"{len(unknown)} words occur in no training story and are all read as one unknown word: {listed(unknown)}."
            findings.add("note", said, name, stage)
        kept = self.userdata["sentences"]
        if count := sum(len(question.sentences) > kept for question in questions):
            findings.add("note", f"{count} stories have more than {kept} sentences; the last {kept} are kept.", name, stage)
        words = self.userdata["words"]
        if count := sum(any(len(words_of(text)) > words for text in seen(question, kept)) for question in questions):
            findings.add(
                "note", f"{count} questions have sentences of more than {words} words; the rest is cut off.", name, stage
            )

    @cached_property
    def known_words(self):
        return Vocabulary(self.userdata["vocabulary"])

    @cached_property
    def parts(self):
        """The questions of each part; what is wrong with the files was said when they were looked at."""
        return self.questions(Findings(lambda problem: None))

    @override
    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name not in ("known_words", "parts")}

    @override
    def get_task(self):
        return "classification"

    @override
    def itemize_entries(self, stage):
        if self.is_inference_db:
            return typed_questions(self.options.snippet) if stage == constants.TEST_DB else []
        return self.parts[STAGES[stage]]

    @override
    def encode_entry(self, entry):
        """Feature (1, sentences + 1, words) uint16, label the number of the answer; None where nobody says it."""
        sentences, words = self.userdata["sentences"], self.userdata["words"]
        feature = self.known_words.encode(entry, sentences, words)
        labels = self.userdata["class_labels"]
        label = np.array([labels.index(entry.answer)]) if entry.answer in labels else None
        notes = self.remarks(entry, sentences, words) if self.is_inference_db else ()
        return Sample(feature, label, source=entry.source, group=entry.story, notes=[("note", remark) for remark in notes])

    def remarks(self, question, sentences, words):
        """What the network does not see of a question, in words."""
        if unknown := self.known_words.unknown_in([question]):
            yield f"Words that the network was not trained with: {listed(unknown)}."
        if len(question.sentences) > sentences:
            yield f"Of {len(question.sentences)} sentences the last {sentences} are read."
        if cut := [text for text in seen(question, sentences) if len(words_of(text)) > words]:
            yield f"Only the first {words} words are read of: {cut[0]}"
        if question.answer and question.answer not in self.userdata["class_labels"]:
            yield f"No question of the data set has the answer {question.answer!r}."

    @staticmethod
    @override
    def recognise(folder):
        """Files of the tasks, where each is there once."""
        try:
            files = find_files(folder, None)[TRAIN]
        except DataError:
            return []
        tasks = sorted({Path(path).name.split("_")[0][2:] for path in files}, key=int)
        first = sum(1 for _ in read_questions(files[0], lambda line, reason: None))
        count = round(first * sum(map(os.path.getsize, files)) / max(os.path.getsize(files[0]), 1))
        if not first:
            return []
        reason = f"{len(files)} files hold about {count:,} questions in the format of the bAbI tasks."
        values = {"story_folder": folder, "task_id": tasks[0] if len(tasks) == 1 else "all"}
        return [{"values": values, "records": count, "reason": reason}]

    @staticmethod
    @override
    def get_category():
        return "Text"

    @staticmethod
    @override
    def get_id():
        return "text-babi"

    @staticmethod
    @override
    def get_title():
        return "bAbI"

    @staticmethod
    @override
    def get_dataset_form():
        return DatasetForm()

    @staticmethod
    @override
    def get_dataset_template(form):
        return (TEMPLATES / "dataset.html").read_text(encoding="utf-8"), {"form": form}

    @override
    def get_inference_form(self):
        return InferenceForm()

    @staticmethod
    @override
    def get_inference_template(form):
        return (TEMPLATES / "inference.html").read_text(encoding="utf-8"), {"form": form}


def seen(question, sentences):
    """The sentences and the question that are read."""
    return (*question.sentences[-sentences:], question.text)


def listed(words):
    """The first words of a list."""
    return ", ".join(words[:NAMED]) + (" …" if len(words) > NAMED else "")
