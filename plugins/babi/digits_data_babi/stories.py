"""Stories and questions in the text format of the bAbI tasks (Weston et al., "Towards AI-Complete Question Answering", 2015).

Each line begins with its number in the story, 1 begins another story. A question has its answer behind a tab, and behind another
one the numbers of the lines that it follows from. Questions are no part of the story.
"""

import os
import re
from collections import defaultdict
from dataclasses import dataclass

from digits.errors import DataError
from digits.extensions.data.files.listing import walk
from digits.extensions.data.files.text import lines_of

TASKS = {
    1: "single supporting fact", 2: "two supporting facts", 3: "three supporting facts", 4: "two argument relations",
    5: "three argument relations", 6: "yes/no questions", 7: "counting", 8: "lists and sets", 9: "simple negation",
    10: "indefinite knowledge", 11: "basic coreference", 12: "conjunction", 13: "compound coreference", 14: "time reasoning",
    15: "basic deduction", 16: "basic induction", 17: "positional reasoning", 18: "size reasoning", 19: "path finding",
    20: "agent's motivations",
}  # fmt: skip
TRAIN, VALID, TEST = "train", "valid", "test"
FILE = re.compile(rf"qa(\d+)(?:_.*)?_({TRAIN}|{VALID}|{TEST})\.txt", re.IGNORECASE)
LINE = re.compile(r"\s*(\d+)[\s.)]\s*(.*)", re.DOTALL)
WORD = re.compile(r"\w+(?:['\N{RIGHT SINGLE QUOTATION MARK}-]\w+)*")
MOST_WORDS = 100  # of a line; the tasks have at most 12
MOST_SENTENCES = 500  # of a story; the tasks have at most 228
LARGEST_FILE = 256 << 20


@dataclass(frozen=True)
class Question:
    """A question about the sentences before it; `answer` is empty where nobody says it, `story` names the one it belongs to."""

    text: str
    answer: str
    sentences: tuple[str, ...]
    source: str = ""
    line: int = 0
    story: str = ""

    def __str__(self):
        return f"{os.path.basename(self.source)}, line {self.line}: {self.text}" if self.source else self.text


def words_of(text):
    """The words of a sentence, in small letters and without punctuation."""
    return WORD.findall(text.lower())


def find_files(folder, task):
    """Part (`train`, `valid`, `test`) to the files of a task (None: all) below a folder, by task. Raises DataError where there
    are none for training, or two for one task, as in a folder of several languages."""
    found = defaultdict(lambda: defaultdict(list))
    for root, names in walk(folder):
        for name in names:
            match = FILE.fullmatch(name)
            if match and task in (None, int(match[1])):
                found[match[2].lower()][int(match[1])].append(os.path.join(root, name))
    if TRAIN not in found:
        wanted = "qa…_train.txt" if task is None else f"qa{task}_…_train.txt"
        raise DataError(f"{folder} holds no file {wanted}.", advice="Name the folder with the files of the bAbI tasks.")
    for files in found.values():
        for several in files.values():
            if len(several) > 1:
                raise DataError(f"{several[0]} and {several[1]} are of one task.", advice="Name the folder of one of them.")
    return {part: [files[number][0] for number in sorted(files)] for part, files in found.items()}


def read_questions(path, report):
    """The questions of a file, each with the sentences before it. `report(line, reason)` hears of every line that cannot be used;
    after one that may have been a sentence the further questions of its story are left out too, for they may ask for it."""
    if os.path.getsize(path) > LARGEST_FILE:
        report(0, f"The file is larger than {LARGEST_FILE >> 20} MB.")
        return
    name, before, sentences, story, broken = os.path.basename(path), 0, [], 0, 0
    for number, text in enumerate(lines_of(path), 1):
        if not text.strip():
            continue
        found = LINE.fullmatch(text)
        own = int(found[1][:9]) if found else 0
        if own == 1:
            before, sentences, story, broken = 0, [], number, 0
        fault = fault_of(found, own, before)
        parts = [part.strip() for part in (found[2] if found else text).split("\t")]
        is_question = len(parts) > 1
        if not fault and is_question and not sentences:
            fault = "It asks about a story without a sentence."
        if fault:
            report(number, fault)
            broken = broken or (0 if is_question else number)
        elif broken:
            if is_question:
                report(number, f"Line {broken} of its story cannot be used; it may ask for what that says.")
        elif is_question:
            yield Question(parts[0], parts[1], tuple(sentences), path, number, f"{name}/{story}")
        else:
            sentences.append(parts[0])
        before = own if own else before


def fault_of(found, own, before):
    """What is wrong with a line, matched by LINE, that says it is number `own` and follows number `before`; empty: nothing."""
    if found is None:
        return "It does not begin with its number in the story."
    if own != 1 and (before == 0 or own <= before):
        return f"It says it is line {own}, after line {before}; a story begins with 1."
    parts = found[2].split("\t")
    count = len(words_of(parts[0]))
    if count == 0:
        return "It has no words."
    if count > MOST_WORDS:
        return f"It has {count} words; at most {MOST_WORDS} are read."
    if len(parts) > 1 and not parts[1].strip():
        return "The question has no answer behind its tab."
    return ""


def typed_questions(text):
    """The questions of a story that somebody typed: lines with or without numbers, questions end in `?` or have a tab; where none
    does, the last line is the question. Raises ValueError, for a person to read."""
    lines = [found[2] if (found := LINE.fullmatch(line)) else line for line in text.splitlines()]
    lines = [line.strip() for line in lines if words_of(line)]
    asks = [line.partition("\t")[0].rstrip().endswith("?") or "\t" in line for line in lines]
    if lines and not any(asks):
        asks[-1] = True
    sentences, questions = [], []
    for line, is_question in zip(lines, asks, strict=True):
        asked, _, behind = line.partition("\t")
        if len(words_of(asked)) > MOST_WORDS:
            raise ValueError(f"{asked[:60]}… has more than {MOST_WORDS} words.")
        if not is_question:
            sentences.append(asked)
        elif sentences:
            questions.append(Question(asked.strip(), behind.partition("\t")[0].strip(), tuple(sentences)))
    if not questions:
        raise ValueError("Write a story, a sentence a line, and a question about it below.")
    return questions
