package reports

import (
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// invocation is what a run of the tool says about itself.
type invocation struct {
	failure   string // why it did not do its work, or empty
	directory string // where it ran, a URI
	overrides []override
}

// override is a level that the invocation configured for a rule.
type override struct {
	rule     reference
	severity core.Severity
}

func (r *run) readInvocations() error {
	return r.array(func() error {
		var wire wireInvocation
		if err := r.decode(&wire); err != nil {
			return err
		}
		invocation := invocation{directory: clip(wire.WorkingDirectory.URI, r.limits.name())}
		if wire.ExecutionSuccessful != nil && !*wire.ExecutionSuccessful {
			invocation.failure = failureOf(wire)
		}
		for _, o := range wire.RuleConfigurationOverrides {
			severity, err := r.level(o.Configuration.Level, "ruleConfigurationOverrides.configuration.level")
			if err != nil {
				return err
			}
			invocation.overrides = append(invocation.overrides, override{referenceTo(o.Descriptor), severity})
		}
		r.invocations = append(r.invocations, invocation)
		return nil
	})
}

// judgeInvocations lets a failed run of the tool fail the report: no findings from it do not mean that all is well.
func (r *run) judgeInvocations() {
	tool := clean(first(r.driver.name, "the scanner"), maxKey)
	for _, invocation := range r.invocations {
		if invocation.failure != "" {
			r.fail("%s: %s", tool, invocation.failure)
		}
	}
}

// failureOf chooses the most telling of the places where a reason may stand.
func failureOf(wire wireInvocation) string {
	code := ""
	if wire.ExitCode != nil {
		code = "exit code " + strconv.FormatFloat(*wire.ExitCode, 'f', -1, 64)
	}
	return strings.TrimSpace(first(
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
func textOf(notifications []wireNotification, level string) string {
	for _, notification := range notifications {
		message := notification.Message
		text := first(message.Text, message.Markdown, notification.Exception.value.Message,
			notification.Descriptor.ID, message.ID)
		if text != "" && (level == "" || level == notification.Level) {
			return substitute(clip(text, defaultText), message.Arguments, defaultText)
		}
	}
	return ""
}
