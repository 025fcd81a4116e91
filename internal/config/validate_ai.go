package config

// maxAsked keeps a typing mistake from asking an AI about every finding of a large report.
const maxAsked = 1000

func (v *validator) validateAI() {
	ai := v.config.AI
	v.checkSecret("ai.token", ai.Token)
	if ai.MaxFindings < 1 || ai.MaxFindings > maxAsked {
		v.errorf("ai.max_findings", "must be between 1 and %d", maxAsked)
	}
	switch {
	case ai.Enabled():
		v.checkURL("ai.url", ai.URL)
		if ai.Model == "" {
			v.errorf("ai.model", "is missing: write the name that the service gives the model")
		}
	case ai.MayDismiss:
		v.warnf("ai.may_dismiss", "does nothing: there is no ai.url, so no AI is asked")
	}
}
