"""A tool is a function with what clients are told about it."""

from gatehouse import Call, Plugin, Problem, Tool


def reading_time(call: Call, text: str | None = None, words_per_minute: int = 200) -> dict:
    if text is None:
        form = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
        text = str(call.ask("text", "Which text is to be read?", form)["text"])
    paragraphs = text.split("\n\n")
    words = 0
    for read, paragraph in enumerate(paragraphs, start=1):
        words += len(paragraph.split())
        call.progress(read, len(paragraphs), "counting")
    if words == 0:
        # For the model: what was wrong, and what would be right.
        raise Problem("The text has no words: give one that has.")
    call.log("info", f"counted {words} words")
    return {"words": words, "seconds": -(-words * 60 // words_per_minute)}


READING_TIME = Tool(
    name="reading_time",
    title="Reading time",
    description="Counts the words of a text and tells how long a person takes to read them.",
    input={
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "The text. The user is asked for it where it is left out."},
            "words_per_minute": {
                "type": "integer",
                "minimum": 50,
                "maximum": 2000,
                "default": 200,
                "description": "How many words the reader takes in a minute.",
            },
        },
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "properties": {
            "words": {"type": "integer", "minimum": 0},
            "seconds": {"type": "integer", "minimum": 0, "description": "How long it takes to read them, rounded up."},
        },
        "required": ["words", "seconds"],
    },
    run=reading_time,
)

# The contract's interface `tools`, under the name that componentize-py looks for.
Tools = Plugin(READING_TIME)
