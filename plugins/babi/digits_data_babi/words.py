"""Questions and stories as pictures of word numbers."""

import numpy as np

from digits_data_babi.stories import words_of

PADDING, UNKNOWN, FIRST = 0, 1, 2


class Vocabulary:
    """The known words: the first is number 2, 1 is every other word, 0 no word."""

    def __init__(self, words):
        self.words = list(words)
        self.numbers = {word: number for number, word in enumerate(self.words, FIRST)}

    @classmethod
    def of(cls, questions):
        """All words of some questions and their stories."""
        return cls(sorted({word for text in texts_of(questions) for word in words_of(text)}))

    def unknown_in(self, questions):
        """The words of some questions and their stories that it does not know, sorted."""
        return sorted({word for text in texts_of(questions) for word in words_of(text)} - set(self.numbers))

    def encode(self, question, sentences, words):
        """A question as a feature (1, `sentences` + 1, `words`) uint16: a sentence a row, the last ones where there are more,
        empty rows above where there are fewer; the question is the last row. Words beyond a row are cut."""
        rows = np.zeros((1, sentences + 1, words), np.uint16)
        texts = [*question.sentences[-sentences:], question.text]
        for row, text in zip(rows[0, -len(texts) :], texts, strict=True):
            numbers = [self.numbers.get(word, UNKNOWN) for word in words_of(text)[:words]]
            row[: len(numbers)] = numbers
        return rows

    def read_back(self, row):
        """The words of a row (W,) of word numbers, None for each that is not known."""
        known = [*[None] * FIRST, *self.words]
        return [known[number] if number < len(known) else None for number in map(int, row) if number != PADDING]


def texts_of(questions):
    """Every sentence and question once."""
    return {text for question in questions for text in (question.text, *question.sentences)}
