"""Guesses which tests look at what a mutant changes, by the words that both have.

A rare word, such as a property's name, tells more than one that is everywhere. The guess decides
only in which order tests are tried.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]+")


def words(text: str) -> set[str]:
    """The words of a text; names of logical ids, properties and tests are words."""
    return set(_WORD.findall(text))


class Relevance:
    """Texts by their names, to be looked up by the words that they share with another."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """Count in how many texts each word is."""
        self._words = {name: words(text) for name, text in texts.items()}
        spread = Counter(word for found in self._words.values() for word in found)
        self._weight = {word: math.log(len(texts) / number) for word, number in spread.items()}

    def best(self, text: str, most: int) -> list[str]:
        """The names of the texts that share the most telling words, best first."""
        asked = {word: self._weight[word] for word in words(text) if word in self._weight}
        scores = {
            name: sum(asked[word] for word in asked.keys() & found)
            for name, found in self._words.items()
        }
        ranked = sorted((name for name in scores if scores[name] > 0), key=lambda n: -scores[n])
        return ranked[:most]
