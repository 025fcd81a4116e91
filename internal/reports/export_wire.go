package reports

// The types below are the parts of SARIF 2.1.0 that exports are made of.

type sarifRun struct {
	Tool              sarifTool                    `json:"tool"`
	Invocations       []sarifInvocation            `json:"invocations,omitempty"`
	AutomationDetails sarifAutomation              `json:"automationDetails"`
	VersionControl    []sarifVersionControl        `json:"versionControlProvenance,omitempty"`
	Bases             map[string]sarifBaseLocation `json:"originalUriBaseIds"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name  string      `json:"name"`
	Rules []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string              `json:"id"`
	Name             string              `json:"name,omitempty"`
	ShortDescription sarifMessage        `json:"shortDescription"`
	HelpURI          string              `json:"helpUri,omitempty"`
	Configuration    sarifConfiguration  `json:"defaultConfiguration"`
	Properties       sarifRuleProperties `json:"properties"`
}

type sarifConfiguration struct {
	Level string `json:"level"`
}

type sarifRuleProperties struct {
	Tags             []string `json:"tags"`
	SecuritySeverity string   `json:"security-severity"`
}

type sarifMessage struct {
	Text string `json:"text"`
}

type sarifInvocation struct {
	ExecutionSuccessful bool                `json:"executionSuccessful"`
	StartTimeUTC        string              `json:"startTimeUtc,omitempty"`
	EndTimeUTC          string              `json:"endTimeUtc,omitempty"`
	Notifications       []sarifNotification `json:"toolExecutionNotifications,omitempty"`
}

type sarifNotification struct {
	Level   string       `json:"level"`
	Message sarifMessage `json:"message"`
}

type sarifAutomation struct {
	ID   string `json:"id"`
	GUID string `json:"guid,omitempty"`
}

type sarifVersionControl struct {
	RepositoryURI string        `json:"repositoryUri"`
	RevisionID    string        `json:"revisionId,omitempty"`
	Branch        string        `json:"branch,omitempty"`
	MappedTo      sarifArtifact `json:"mappedTo"`
}

type sarifBaseLocation struct {
	Description sarifMessage `json:"description"`
}

type sarifResult struct {
	RuleID              string                `json:"ruleId"`
	RuleIndex           *int                  `json:"ruleIndex,omitempty"`
	Level               string                `json:"level"`
	Message             sarifMessage          `json:"message"`
	Locations           []sarifLocation       `json:"locations,omitempty"`
	PartialFingerprints map[string]string     `json:"partialFingerprints,omitempty"`
	BaselineState       string                `json:"baselineState,omitempty"`
	Suppressions        []sarifSuppression    `json:"suppressions,omitempty"`
	Properties          sarifResultProperties `json:"properties"`
}

type sarifLocation struct {
	Physical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	} `json:"physicalLocation"`
}

type sarifArtifact struct {
	URI       string `json:"uri,omitempty"`
	URIBaseID string `json:"uriBaseId"`
}

type sarifRegion struct {
	StartLine int           `json:"startLine,omitempty"`
	EndLine   int           `json:"endLine,omitempty"`
	Snippet   *sarifMessage `json:"snippet,omitempty"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification,omitempty"`
}

type sarifResultProperties struct {
	SecuritySeverity string         `json:"security-severity"`
	CVE              string         `json:"cve,omitempty"`
	CWE              string         `json:"cwe,omitempty"`
	Own              *ownProperties `json:"scanhook,omitempty"`
}

// ownProperties is what an export says of a finding for which SARIF has no place: where it differs from its rule, and
// code whose line is not known.
type ownProperties struct {
	Title   *string `json:"title,omitempty"`
	HelpURI *string `json:"help_uri,omitempty"`
	CVEID   *string `json:"cve_id,omitempty"`
	Snippet *string `json:"snippet,omitempty"`
}
