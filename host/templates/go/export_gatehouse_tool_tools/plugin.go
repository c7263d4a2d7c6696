// Package export_gatehouse_tool_tools has the plugin's tools. A tool is what clients are told about it, and a function that does the work.
package export_gatehouse_tool_tools

import (
	"fmt"
	"strings"
)

type readingTimeArguments struct {
	// Nothing: the user is asked.
	Text           *string `json:"text"`
	WordsPerMinute uint64  `json:"words_per_minute"`
}

type estimate struct {
	Words   uint64 `json:"words"`
	Seconds uint64 `json:"seconds"`
}

func readingTime(call *Call, arguments readingTimeArguments) (estimate, error) {
	if arguments.WordsPerMinute == 0 {
		arguments.WordsPerMinute = 200
	}
	if arguments.Text == nil {
		var missing struct {
			Text string `json:"text"`
		}
		form := `{"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}`
		if err := call.Ask("text", "Which text is to be read?", form, &missing); err != nil {
			return estimate{}, err
		}
		arguments.Text = &missing.Text
	}
	paragraphs := strings.Split(*arguments.Text, "\n\n")
	words := uint64(0)
	for read, paragraph := range paragraphs {
		words += uint64(len(strings.Fields(paragraph)))
		call.Progress(read+1, len(paragraphs), "counting")
	}
	if words == 0 {
		// For the model: what was wrong, and what would be right.
		return estimate{}, Problem("The text has no words: give one that has.")
	}
	call.Log(Info, fmt.Sprintf("counted %d words", words))
	return estimate{Words: words, Seconds: (words*60 + arguments.WordsPerMinute - 1) / arguments.WordsPerMinute}, nil
}

// In the order of `tools/list`.
var tools = []tool{
	structured("reading_time", "Reading time", "Counts the words of a text and tells how long a person takes to read them.",
		`{
			"type": "object",
			"properties": {
				"text": {"type": "string", "description": "The text. The user is asked for it where it is left out."},
				"words_per_minute": {
					"type": "integer", "minimum": 50, "maximum": 2000, "default": 200,
					"description": "How many words the reader takes in a minute."
				}
			},
			"additionalProperties": false
		}`,
		`{
			"type": "object",
			"properties": {
				"words": {"type": "integer", "minimum": 0},
				"seconds": {"type": "integer", "minimum": 0, "description": "How long it takes to read them, rounded up."}
			},
			"required": ["words", "seconds"]
		}`,
		readingTime),
}
