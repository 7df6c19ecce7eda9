"""Writes stories in the format of the bAbI tasks 1, 2 and 6, drawn by a seed: python stories.py FOLDER STORIES [SEED].

Four people walk through six rooms, in tasks 2 and 6 they take things along and leave them; answers follow from what is told.
"""

import random
import sys
from pathlib import Path

PEOPLE = ("Anna", "Bruno", "Clara", "David")
ROOMS = ("kitchen", "garden", "hall", "office", "cellar", "bedroom")
THINGS = ("apple", "book", "lamp")
WALKS = ("went to", "walked to", "ran to", "moved to")
FILES = {1: "qa1_single-supporting-fact", 2: "qa2_two-supporting-facts", 6: "qa6_yes-no-questions"}
QUESTIONS = 5  # in a story


class World:
    """Where everybody and everything is, and in which line that was said last."""

    def __init__(self, chance, has_things):
        self.chance, self.has_things = chance, has_things
        self.rooms, self.said, self.holders, self.taken, self.left = {}, {}, {}, {}, {}

    def sentence(self, line):
        """Something happens; what is told of it."""
        if self.has_things and self.rooms and self.chance.random() < 0.4:
            return self.handling(line)
        person, room = self.chance.choice(PEOPLE), self.chance.choice(ROOMS)
        self.rooms[person], self.said[person] = room, line
        return f"{person} {self.chance.choice(WALKS)} the {room}."

    def handling(self, line):
        """Somebody takes a thing, or leaves one."""
        thing, person = self.chance.choice(THINGS), self.chance.choice(sorted(self.rooms))
        if holder := self.holders.pop(thing, None):
            self.left[thing] = (self.rooms[holder], (line, self.said[holder]))
            return f"{holder} left the {thing} there."
        self.holders[thing], self.taken[thing] = person, line
        return f"{person} took the {thing}."

    def places(self):
        """Each thing that was moved with its room and the lines that say so."""
        found = dict(self.left)
        found |= {thing: (self.rooms[who], (self.taken[thing], self.said[who])) for thing, who in self.holders.items()}
        return found


def question(task, world, chance):
    """A question of a task with its answer and the lines that it follows from; None while nothing can be asked."""
    if task == 2:
        places = world.places()
        if not places:
            return None
        thing = chance.choice(sorted(places))
        return f"Where is the {thing}?", places[thing][0], places[thing][1]
    if not world.rooms:
        return None
    person = chance.choice(sorted(world.rooms))
    if task == 1:
        return f"Where is {person}?", world.rooms[person], (world.said[person],)
    room = world.rooms[person] if chance.random() < 0.5 else chance.choice(ROOMS)
    return f"Is {person} in the {room}?", "yes" if room == world.rooms[person] else "no", (world.said[person],)


def story(task, chance):
    """The numbered lines of a story."""
    world, lines, asked = World(chance, task != 1), [], 0
    while asked < QUESTIONS:
        lines += [f"{len(lines) + 1 + i} {world.sentence(len(lines) + 1 + i)}" for i in range(2)]
        if found := question(task, world, chance):
            text, answer, supports = found
            lines.append(f"{len(lines) + 1} {text}\t{answer}\t{' '.join(map(str, sorted(set(supports))))}")
            asked += 1
    return lines


def write(folder, stories, seed=0):
    """Files for training, and for testing a fifth as many stories, of each task."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    for task, name in FILES.items():
        for part, count in (("train", stories), ("test", max(1, stories // 5))):
            lines = [line for _ in range(count) for line in story(task, chance)]
            (folder / f"{name}_{part}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
