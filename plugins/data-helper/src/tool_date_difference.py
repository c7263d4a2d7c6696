"""How long it is from one date to another."""

from datetime import datetime

from tool import Problem, Tool


# `from` is a word of Python's, so the arguments come as a dictionary.
def run(**arguments: str) -> dict:
    start, end = parse("from", arguments["from"]), parse("to", arguments["to"])
    try:
        difference = end - start
    except TypeError as error:
        raise Problem("One of the two has a time zone and the other has none: give both or neither.") from error
    return {"days": difference.days, "seconds": difference.seconds, "total_seconds": difference.total_seconds()}


def parse(name: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Problem(f"The argument '{name}' is not a date in ISO 8601, such as 2026-02-28 or 2026-02-28T09:30:00Z: {text!r}") from error


WHEN = {"type": "string", "minLength": 1, "maxLength": 64}

DATE_DIFFERENCE = Tool(
    name="date_difference",
    title="Date difference",
    description="Tells how long it is from one date or time to another, in days and seconds. Negative if the second is earlier.",
    input={
        "type": "object",
        "properties": {
            "from": {**WHEN, "description": "A date or a time in ISO 8601, for example 2026-02-28 or 2026-02-28T09:30:00+01:00."},
            "to": {**WHEN, "description": "The other one. A date alone means its midnight."},
        },
        "required": ["from", "to"],
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "properties": {
            "days": {"type": "integer", "description": "Whole days, rounded down."},
            "seconds": {"type": "integer", "minimum": 0, "maximum": 86_399, "description": "What remains beyond the whole days."},
            "total_seconds": {"type": "number", "description": "All of it in seconds."},
        },
        "required": ["days", "seconds", "total_seconds"],
    },
    run=run,
)
