// Package export_gatehouse_tool_tools has the three tools of the table of languages, in Go: see tests/languages/README.md.
package export_gatehouse_tool_tools

import "os"

type nothing struct{}

type countArguments struct {
	N int `json:"n"`
}

type counted struct {
	Count int `json:"count"`
}

func count(call *Call, arguments countArguments) (counted, error) {
	for done := 1; done <= arguments.N; done++ {
		call.Progress(done, arguments.N, "counting")
	}
	return counted{arguments.N}, nil
}

type named struct {
	Name string `json:"name"`
}

func ask(call *Call, _ nothing) (named, error) {
	var form named
	err := call.Ask("name", "What is your name?", aText("name"), &form)
	return form, err
}

type greeting struct {
	Greeting string `json:"greeting"`
}

func variable(_ *Call, _ nothing) (greeting, error) {
	value, granted := os.LookupEnv("GREETING")
	if !granted {
		return greeting{}, Problem("The variable GREETING is not granted.")
	}
	return greeting{value}, nil
}

func aText(name string) string {
	return `{"type": "object", "properties": {"` + name + `": {"type": "string"}}, "required": ["` + name + `"]}`
}

const takesNothing = `{"type": "object", "additionalProperties": false}`

// In the order of `tools/list`.
var tools = []tool{
	structured("count", "Count", "Counts to a number, and tells how far it has come.",
		`{
			"type": "object",
			"properties": {"n": {"type": "integer", "minimum": 0, "maximum": 1000, "description": "How many steps."}},
			"required": ["n"],
			"additionalProperties": false
		}`,
		`{"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}`,
		count),
	structured("ask", "Ask", "Asks the user for a name.", takesNothing, aText("name"), ask),
	structured("variable", "Variable", "Reads the variable GREETING.", takesNothing, aText("greeting"), variable),
}
