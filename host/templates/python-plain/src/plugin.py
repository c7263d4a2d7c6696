"""The functions of `wit/component.wit`. A gateway makes tools of them; nothing here knows of any."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import reading


class Reading(exports.Reading):
    def reading_time(self, text: str, words_per_minute: int | None) -> reading.Estimate:
        pace = 200 if words_per_minute is None else words_per_minute
        words = len(text.split())
        if words == 0:
            # For the model: what was wrong, and what would be right.
            raise Err("The text has no words: give one that has.")
        if pace == 0:
            raise Err("Nobody reads no words in a minute: give a pace of 1 or more.")
        return reading.Estimate(words=words, seconds=-(-words * 60 // pace))
