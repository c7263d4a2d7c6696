// Package export_local_component_reading has the functions of wit/component.wit. A gateway makes tools of them; nothing here knows of any.
package export_local_component_reading

import (
	"strings"

	"wit_component/local_component_reading"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

type Estimate = local_component_reading.Estimate

func ReadingTime(text string, wordsPerMinute wit.Option[uint16]) wit.Result[Estimate, string] {
	pace := uint64(wordsPerMinute.SomeOr(200))
	words := uint64(len(strings.Fields(text)))
	if words == 0 {
		// For the model: what was wrong, and what would be right.
		return wit.Err[Estimate, string]("The text has no words: give one that has.")
	}
	if pace == 0 {
		return wit.Err[Estimate, string]("Nobody reads no words in a minute: give a pace of 1 or more.")
	}
	return wit.Ok[Estimate, string](Estimate{Words: words, Seconds: (words*60 + pace - 1) / pace})
}
