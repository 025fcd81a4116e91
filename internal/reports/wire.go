package reports

import "encoding/json"

// The types below are the parts of SARIF 2.1.0 that findings are made of. Lengths, lines and indexes are floats because
// some writers spell 12 as 12.0. encoding/json matches members in any case and takes the last of duplicates, which does
// no harm inside a result: a scanner can only mislead about itself.

type wireResult struct {
	RuleID        string              `json:"ruleId"`
	RuleIndex     *float64            `json:"ruleIndex"`
	Rule          wireReference       `json:"rule"`
	Kind          string              `json:"kind"`
	Level         string              `json:"level"`
	Message       wireMessage         `json:"message"`
	Locations     []wireLocation      `json:"locations"`
	Suppressions  []wireSuppression   `json:"suppressions"`
	BaselineState string              `json:"baselineState"`
	Taxa          []wireReference     `json:"taxa"`
	Properties    lenient[properties] `json:"properties"`
	Provenance    struct {
		InvocationIndex *float64 `json:"invocationIndex"`
	} `json:"provenance"`

	PartialFingerprints fingerprints `json:"partialFingerprints"`
	Fingerprints        fingerprints `json:"fingerprints"`
}

// wireReference is a reportingDescriptorReference (3.52): it points at a rule or a taxon.
type wireReference struct {
	ID            string        `json:"id"`
	GUID          string        `json:"guid"`
	Index         *float64      `json:"index"`
	ToolComponent wireComponent `json:"toolComponent"`
}

// wireComponent is a toolComponentReference (3.54).
type wireComponent struct {
	Name  string   `json:"name"`
	GUID  string   `json:"guid"`
	Index *float64 `json:"index"`
}

type wireMessage struct {
	Text      string   `json:"text"`
	Markdown  string   `json:"markdown"`
	ID        string   `json:"id"`
	Arguments []string `json:"arguments"`
}

type wireLocation struct {
	PhysicalLocation *wirePlace `json:"physicalLocation"`
}

// wirePlace is a physicalLocation (3.29).
type wirePlace struct {
	ArtifactLocation wireArtifact `json:"artifactLocation"`
	Region           wireRegion   `json:"region"`
	ContextRegion    wireRegion   `json:"contextRegion"`
}

// wireArtifact is an artifactLocation (3.4).
type wireArtifact struct {
	URI       string   `json:"uri"`
	URIBaseID string   `json:"uriBaseId"`
	Index     *float64 `json:"index"`
}

type wireRegion struct {
	StartLine float64 `json:"startLine"`
	EndLine   float64 `json:"endLine"`
	Snippet   struct {
		Text string `json:"text"`
	} `json:"snippet"`
}

type wireSuppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification"`
}

// wireRule is a reportingDescriptor (3.49).
type wireRule struct {
	ID                   string                 `json:"id"`
	GUID                 string                 `json:"guid"`
	Name                 string                 `json:"name"`
	ShortDescription     wireMessage            `json:"shortDescription"`
	FullDescription      wireMessage            `json:"fullDescription"`
	HelpURI              string                 `json:"helpUri"`
	MessageStrings       map[string]wireMessage `json:"messageStrings"`
	DefaultConfiguration struct {
		Level string `json:"level"`
	} `json:"defaultConfiguration"`
	Relationships []struct {
		Target wireReference `json:"target"`
	} `json:"relationships"`
	Properties lenient[properties] `json:"properties"`
}

// wireInvocation is an invocation (3.20).
type wireInvocation struct {
	ExecutionSuccessful        *bool              `json:"executionSuccessful"`
	ExecutionNotifications     []wireNotification `json:"toolExecutionNotifications"`
	ConfigurationNotifications []wireNotification `json:"toolConfigurationNotifications"`
	ExitCodeDescription        string             `json:"exitCodeDescription"`
	ExitSignalName             string             `json:"exitSignalName"`
	ProcessStartFailureMessage string             `json:"processStartFailureMessage"`
	ExitCode                   *float64           `json:"exitCode"`
	WorkingDirectory           wireArtifact       `json:"workingDirectory"`
	RuleConfigurationOverrides []wireOverride     `json:"ruleConfigurationOverrides"`
}

type wireOverride struct {
	Descriptor    wireReference `json:"descriptor"`
	Configuration struct {
		Level string `json:"level"`
	} `json:"configuration"`
}

type wireNotification struct {
	Level      string        `json:"level"`
	Message    wireMessage   `json:"message"`
	Descriptor wireReference `json:"descriptor"`
	Exception  lenient[struct {
		Message string `json:"message"`
	}] `json:"exception"`
}

// properties are the members of property bags that tools have agreed on without a standard, hence in any type.
type properties struct {
	Tags             any `json:"tags"`
	SecuritySeverity any `json:"security-severity"`
	CVE              any `json:"cve"`
	CWE              any `json:"cwe"`

	Own lenient[*ownProperties] `json:"scanhook"`
}

// lenient reads a value that tools write in their own way (PHP's empty object is an array), or leaves it empty.
type lenient[T any] struct{ value T }

// UnmarshalJSON implements json.Unmarshaler.
func (l *lenient[T]) UnmarshalJSON(data []byte) error {
	var value T
	if json.Unmarshal(data, &value) == nil {
		l.value = value
	}
	return nil
}
