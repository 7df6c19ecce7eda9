from __future__ import absolute_import

import os
import re

import numpy as np


def split_sentence(text):
    return [word.lower() for word in re.split(r'\W+', text) if word]


def parse_lines(lines):
    data, story = [], None
    for line in lines:
        tokens = line.strip().split(' ', 1)
        number, text = (int(tokens[0]), tokens[1]) if tokens[0].isdigit() else (None, line.strip())
        if number == 1 or story is None:
            story = []
        if '\t' in text:
            question, answer = text.split('\t')[:2]
            data.append({'story': list(story), 'question': split_sentence(question), 'answer': split_sentence(answer)})
        elif text.endswith('?'):
            data.append({'story': list(story), 'question': split_sentence(text), 'answer': None})
        else:
            story.append(split_sentence(text))
    return data


def parse_folder_phase(path, task_id, train):
    phase = 'train' if train else 'test'
    pattern = re.compile(r'qa(\d+)_.*_%s\.txt$' % phase)
    data = []
    for filename in sorted(os.listdir(path)):
        match = pattern.match(filename)
        if match and task_id in (None, int(match.group(1))):
            with open(os.path.join(path, filename), 'r') as infile:
                data.extend(parse_lines(infile.readlines()))
    return data


def get_stats(dataset):
    words = set()
    for sample in dataset:
        for sentence in sample['story'] + [sample['question'], sample['answer']]:
            words.update(sentence)
    return {
        'word_map': {word: i for i, word in enumerate(['_pad_', '_unk_'] + sorted(words))},
        'sentence_size': max(len(s) for sample in dataset for s in sample['story'] + [sample['question']]),
        'story_size': max(len(sample['story']) for sample in dataset),
    }


def encode_sentence(sentence, word_map, sentence_size):
    encoded = [word_map.get(word, word_map['_unk_']) for word in sentence[:sentence_size]]
    return np.array(encoded + [word_map['_pad_']] * (sentence_size - len(encoded)))


def encode_sample(sample, word_map, sentence_size, story_size):
    """story in the first channel, question in every row of the second; the answer is a row of words"""
    story = [encode_sentence(sentence, word_map, sentence_size) for sentence in sample['story'][-story_size:]]
    story += [encode_sentence([], word_map, sentence_size)] * (story_size - len(story))
    question = [encode_sentence(sample['question'], word_map, sentence_size)] * story_size
    feature = np.array([story, question])
    label = encode_sentence(sample['answer'] or [], word_map, sentence_size)[np.newaxis, np.newaxis, :]
    return feature, label
