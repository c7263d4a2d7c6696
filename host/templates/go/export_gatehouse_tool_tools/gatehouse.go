package export_gatehouse_tool_tools

// Between plain functions and the contract (wit/tool.wit), where arguments, schemas and structured results are JSON text. It is yours to
// change; the tools are in plugin.go.

import (
	"encoding/json"
	"errors"
	"fmt"

	log "wit_component/gatehouse_host_log"
	progress "wit_component/gatehouse_host_progress"
	types "wit_component/gatehouse_tool_tool_types"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

// Info and the others are levels of log lines.
const (
	Debug   = log.Level_Debug
	Info    = log.Level_Info
	Warning = log.Level_Warning
	Error   = log.Level_Error
)

// Problem is something that the client's model should read and can mend in its next call.
type Problem string

func (problem Problem) Error() string { return string(problem) }

// asking says that the tool wants to be called again with answers.
type asking struct{ ask types.Ask }

func (asking) Error() string { return "the tool asks" }

// failing is for the gateway to translate.
type failing struct{ failure types.Failure }

func (failing) Error() string { return "the call cannot be served" }

// Call is the call that a tool runs in.
type Call struct {
	client types.ClientFeatures
	dialog dialog
}

// What was asked and answered in earlier rounds. Each runs in an instance of its own: the host keeps this in between.
type dialog struct {
	Asked   []string                   `json:"asked"`
	Answers map[string]json.RawMessage `json:"answers"`
}

func callOf(call types.Call) *Call {
	known := dialog{Answers: map[string]json.RawMessage{}}
	if call.Resume.IsSome() {
		resume := call.Resume.Some()
		_ = json.Unmarshal(resume.State, &known)
		if known.Answers == nil {
			known.Answers = map[string]json.RawMessage{}
		}
		for _, answer := range resume.Answers {
			known.Answers[answer.F0] = json.RawMessage(answer.F1)
		}
	}
	return &Call{client: call.Client, dialog: known}
}

// Progress tells how far the call has come.
func (call *Call) Progress(done, total int, message string) {
	progress.Report(float64(done), wit.Some(float64(total)), wit.Some(message))
}

// Log writes a line for the operator, and for a client that wants lines of this level.
func (call *Call) Log(level log.Level, text string) {
	line, _ := json.Marshal(text)
	log.Write(level, wit.None[string](), string(line))
}

// Ask has the client's user fill in a form: a flat object. Return its error: the tool is run again from its beginning when there is an answer.
func (call *Call) Ask(key, message, schema string, into any) error {
	if raw, answered := call.dialog.Answers[key]; answered {
		var answer struct {
			Action  string          `json:"action"`
			Content json.RawMessage `json:"content"`
		}
		if json.Unmarshal(raw, &answer) != nil || answer.Action != "accept" {
			return Problem("The user did not answer: " + message)
		}
		// Nobody has checked what was typed in.
		if err := json.Unmarshal(answer.Content, into); err != nil {
			return Problem(fmt.Sprintf("The user's answer cannot be used: %v", err))
		}
		return nil
	}
	for _, asked := range call.dialog.Asked {
		if asked == key {
			return Problem("The user gave no answer: " + message)
		}
	}
	if call.client&types.ClientFeatures_ElicitForm == 0 {
		return failing{types.MakeFailureMissingClientFeature(types.ClientFeatures_ElicitForm)}
	}
	state, _ := json.Marshal(dialog{Asked: append(call.dialog.Asked, key), Answers: call.dialog.Answers})
	form := types.MakeQuestionElicitForm(types.Form{Message: message, Schema: schema})
	return asking{types.Ask{Questions: []wit.Tuple2[string, types.Question]{{F0: key, F1: form}}, State: state}}
}

type tool struct {
	described types.Tool
	run       func(*Call, string) (types.Reply, error)
}

// structured is a tool that answers with what its output schema says. Its arguments fit the input schema: the host has checked them.
func structured[A, R any](name, title, description, input, output string, run func(*Call, A) (R, error)) tool {
	described := types.Tool{
		Name:         name,
		Title:        wit.Some(title),
		Description:  description,
		InputSchema:  input,
		OutputSchema: wit.Some(output),
		Annotations: types.Annotations{
			Title: wit.None[string](), ReadOnly: wit.Some(true), Destructive: wit.None[bool](),
			Idempotent: wit.None[bool](), OpenWorld: wit.None[bool](),
		},
		Meta: wit.None[string](),
	}
	return tool{described, func(call *Call, text string) (types.Reply, error) {
		var arguments A
		if err := json.Unmarshal([]byte(text), &arguments); err != nil {
			return types.Reply{}, failing{types.MakeFailureInvalidArguments(err.Error())}
		}
		result, err := run(call, arguments)
		if err != nil {
			return types.Reply{}, err
		}
		answer, err := json.Marshal(result)
		// No content beside a structured answer: the host adds its text form.
		return types.Reply{Structured: wit.Some(string(answer)), Meta: wit.None[string]()}, err
	}}
}

func ListTools() wit.Result[[]types.Tool, string] {
	var described []types.Tool
	for _, tool := range tools {
		described = append(described, tool.described)
	}
	return wit.Ok[[]types.Tool, string](described)
}

func CallTool(call types.Call) wit.Result[types.Outcome, types.Failure] {
	for _, tool := range tools {
		if tool.described.Name != call.Tool {
			continue
		}
		reply, err := tool.run(callOf(call), call.Arguments)
		var problem Problem
		var asks asking
		var fails failing
		switch {
		case err == nil:
			return wit.Ok[types.Outcome, types.Failure](types.MakeOutcomeComplete(reply))
		case errors.As(err, &problem):
			text := types.MakeContentText(types.Text{Text: string(problem), Annotations: wit.None[string]()})
			reply = types.Reply{Content: []types.Content{text}, Structured: wit.None[string](), IsError: true, Meta: wit.None[string]()}
			return wit.Ok[types.Outcome, types.Failure](types.MakeOutcomeComplete(reply))
		case errors.As(err, &asks):
			return wit.Ok[types.Outcome, types.Failure](types.MakeOutcomeInputRequired(asks.ask))
		case errors.As(err, &fails):
			return wit.Err[types.Outcome, types.Failure](fails.failure)
		default:
			return wit.Err[types.Outcome, types.Failure](types.MakeFailureInternal(err.Error()))
		}
	}
	return wit.Err[types.Outcome, types.Failure](types.MakeFailureUnknownName())
}
