package sarif

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

const maxReason = 8 << 10 // bytes of a reason for a failure

// Invocation is one run of a tool (3.20).
type Invocation struct {
	ExecutionSuccessful        *bool                   `json:"executionSuccessful"`
	ExecutionNotifications     []Notification          `json:"toolExecutionNotifications"`
	ConfigurationNotifications []Notification          `json:"toolConfigurationNotifications"`
	ExitCodeDescription        string                  `json:"exitCodeDescription"`
	ExitSignalName             string                  `json:"exitSignalName"`
	ProcessStartFailureMessage string                  `json:"processStartFailureMessage"`
	ExitCode                   *float64                `json:"exitCode"`
	WorkingDirectory           ArtifactLocation        `json:"workingDirectory"`
	RuleConfigurationOverrides []ConfigurationOverride `json:"ruleConfigurationOverrides"`
}

// ConfigurationOverride is the level that an invocation gives to a rule (3.51).
type ConfigurationOverride struct {
	Descriptor    ReportingDescriptorReference `json:"descriptor"`
	Configuration struct {
		Level string `json:"level"`
	} `json:"configuration"`
}

// Notification is what a tool says about its own run (3.58).
type Notification struct {
	Level      string                       `json:"level"`
	Message    Message                      `json:"message"`
	Descriptor ReportingDescriptorReference `json:"descriptor"`
	Locations  []Location                   `json:"locations"`
	Exception  collect.Lenient[struct {
		Message string `json:"message"`
	}] `json:"exception"`
}

// says is the text of the notification, for people.
func (n Notification) says() string {
	text := cmp.Or(n.Message.Text, n.Message.Markdown, n.Exception.Value.Message, n.Descriptor.ID, n.Message.ID)
	return substitute(core.Clip(text, maxReason), n.Message.Arguments, maxReason)
}

// trouble is what an invocation says of what it could not do: errors, and warnings that a file was not read.
type trouble struct {
	error string     // the first error, or empty
	files []location // that were not read
	other int        // how many notifications name none
}

func (t *trouble) add(notifications []Notification) {
	for _, n := range notifications {
		text := n.says()
		switch {
		case n.Level == "error":
			t.error = cmp.Or(t.error, text, "an error that the report does not explain")
		case n.Level != "" && n.Level != "warning", !collect.SaysUnread(n.Descriptor.ID + " " + text):
			continue
		}
		files := placesOf(n, text)
		if t.files = append(t.files, files...); len(files) == 0 {
			t.other++
		}
	}
}

// placesOf are the files that a notification is about.
func placesOf(n Notification, text string) (files []location) {
	for _, l := range n.Locations {
		if place := l.PhysicalLocation; place != nil {
			files = append(files, place.ArtifactLocation.at())
		}
	}
	if file := collect.FileIn(text); len(files) == 0 && file != "" {
		files = append(files, location{uri: file, artifact: -1})
	}
	return files
}

// failureOf takes the reason from the most informative of the places that have one.
func failureOf(wire Invocation) string {
	code := ""
	if wire.ExitCode != nil {
		code = "exit code " + strconv.FormatFloat(*wire.ExitCode, 'f', -1, 64)
	}
	return strings.TrimSpace(cmp.Or(
		textOf(wire.ExecutionNotifications, "error"),
		wire.ExitCodeDescription,
		textOf(wire.ConfigurationNotifications, "error"),
		textOf(wire.ExecutionNotifications, ""),
		textOf(wire.ConfigurationNotifications, ""),
		wire.ProcessStartFailureMessage,
		wire.ExitSignalName,
		code,
		"the execution was not successful and the report does not say why",
	))
}

// textOf is the first text among notifications of a level, or of any.
func textOf(notifications []Notification, level string) string {
	for _, notification := range notifications {
		if text := notification.says(); text != "" && (level == "" || level == notification.Level) {
			return text
		}
	}
	return ""
}
