// Package export_gatehouse_tool_tools has a tool that fills in a form with its user, step by step: what is asked next depends on what was answered.
//
// Each answer comes in a call of its own, in a new instance, and the tool runs from its beginning: gatehouse.go keeps earlier answers in the state that
// the gateway seals.
package export_gatehouse_tool_tools

import (
	"strings"
	"unicode/utf8"
)

type reportArguments struct {
	Service string `json:"service"`
}

// The first step.
type problem struct {
	Summary string `json:"summary"`
	Urgency string `json:"urgency"`
}

const problemForm = `{
	"type": "object",
	"properties": {
		"summary": {"type": "string", "title": "Summary", "description": "What is wrong, in one line.", "minLength": 3, "maxLength": 120},
		"urgency": {"type": "string", "title": "Urgency", "enum": ["low", "high"]}
	},
	"required": ["summary", "urgency"]
}`

// The second step, where somebody has to be called.
type contact struct {
	Phone string `json:"phone"`
}

const contactForm = `{
	"type": "object",
	"properties": {"phone": {"type": "string", "title": "Phone", "description": "Where you can be reached now.", "minLength": 5, "maxLength": 30}},
	"required": ["phone"]
}`

// The second step, where there is time.
type reminder struct {
	Days int `json:"days"`
}

const reminderForm = `{
	"type": "object",
	"properties": {"days": {"type": "integer", "title": "Days", "description": "When to ask you again.", "minimum": 1, "maximum": 30}},
	"required": ["days"]
}`

type report struct {
	Service    string `json:"service"`
	Summary    string `json:"summary"`
	Urgency    string `json:"urgency"`
	Phone      string `json:"phone,omitempty"`
	AskAgainIn int    `json:"ask_again_in_days,omitempty"`
}

func reportProblem(call *Call, arguments reportArguments) (report, error) {
	var first problem
	if err := call.Ask("problem", "What is wrong with "+arguments.Service+"?", problemForm, &first); err != nil {
		return report{}, err
	}
	// A client need not have checked what its user typed in.
	summary := strings.TrimSpace(first.Summary)
	if length := utf8.RuneCountInString(summary); length < 3 || length > 120 {
		return report{}, Problem("The summary has to have 3 to 120 characters: call again, and the user is asked again.")
	}
	done := report{Service: arguments.Service, Summary: summary, Urgency: first.Urgency}
	switch first.Urgency {
	case "high":
		var second contact
		if err := call.Ask("contact", "Somebody will call you at once. Where?", contactForm, &second); err != nil {
			return report{}, err
		}
		if len(strings.TrimSpace(second.Phone)) < 5 {
			return report{}, Problem("That is no phone number: call again, and the user is asked again.")
		}
		done.Phone = strings.TrimSpace(second.Phone)
	case "low":
		var second reminder
		if err := call.Ask("reminder", "In how many days shall we ask you whether it is still so?", reminderForm, &second); err != nil {
			return report{}, err
		}
		if second.Days < 1 || second.Days > 30 {
			return report{}, Problem("It has to be 1 to 30 days: call again, and the user is asked again.")
		}
		done.AskAgainIn = second.Days
	default:
		return report{}, Problem("The urgency is `low` or `high`: call again, and the user is asked again.")
	}
	call.Log(Info, "a report is complete")
	return done, nil
}

// In the order of `tools/list`.
var tools = []tool{
	structured("report_problem", "Report a problem",
		"Fills in a report about a problem with the user, who is asked in two steps. Gives the report back; sending it is up to you.",
		`{
			"type": "object",
			"properties": {
				"service": {"type": "string", "minLength": 1, "maxLength": 60, "description": "What the problem is with."}
			},
			"required": ["service"],
			"additionalProperties": false
		}`,
		`{
			"type": "object",
			"properties": {
				"service": {"type": "string"},
				"summary": {"type": "string"},
				"urgency": {"enum": ["low", "high"]},
				"phone": {"type": "string", "description": "Where the user can be reached now, if it is urgent."},
				"ask_again_in_days": {"type": "integer", "description": "When to ask the user again, if it is not."}
			},
			"required": ["service", "summary", "urgency"]
		}`,
		reportProblem),
}
