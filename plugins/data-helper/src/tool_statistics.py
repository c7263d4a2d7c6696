"""What a list of numbers looks like."""

import math
import statistics

from tool import Problem, Tool

NUMBERS_MAX = 100_000


def run(numbers: list[float]) -> dict:
    many = len(numbers) > 1
    try:
        first, median, third = statistics.quantiles(numbers, n=4, method="inclusive") if many else numbers * 3
        total = float(sum(numbers))
        if not math.isfinite(total):
            raise OverflowError
        return {
            "count": len(numbers),
            "sum": total,
            "min": min(numbers),
            "max": max(numbers),
            "mean": float(statistics.mean(numbers)),
            "median": median,
            "stdev": float(statistics.stdev(numbers)) if many else None,
            "quartiles": [first, median, third],
        }
    except OverflowError as error:
        raise Problem("These numbers are too large for floating point: scale them down.") from error


NUMBER = {"type": "number"}

STATISTICS = Tool(
    name="statistics",
    title="Statistics",
    description="Describes a list of numbers: count, sum, range, mean, median, standard deviation and quartiles.",
    input={
        "type": "object",
        "properties": {
            "numbers": {
                "type": "array",
                "items": NUMBER,
                "minItems": 1,
                "maxItems": NUMBERS_MAX,
                "description": "The numbers, in any order.",
            }
        },
        "required": ["numbers"],
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "properties": {
            "count": {"type": "integer"},
            "sum": NUMBER,
            "min": NUMBER,
            "max": NUMBER,
            "mean": NUMBER,
            "median": NUMBER,
            "stdev": {
                "type": ["number", "null"],
                "description": "Of a sample (divided by count - 1); null for a single number.",
            },
            "quartiles": {
                "type": "array",
                "items": NUMBER,
                "minItems": 3,
                "maxItems": 3,
                "description": "A quarter, a half and three quarters of the numbers are not above these, interpolated.",
            },
        },
        "required": ["count", "sum", "min", "max", "mean", "median", "stdev", "quartiles"],
    },
    run=run,
)
