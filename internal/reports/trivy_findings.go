package reports

import (
	"strings"

	"github.com/scanhook/scanhook/core"
)

// trivyFinding has the members of all four kinds of Trivy's findings.
type trivyFinding struct {
	VulnerabilityID, PkgName, PkgPath, InstalledVersion, FixedVersion string

	Title, Description, Status, PrimaryURL string
	Severity, CweIDs, VendorIDs            any
	References                             any

	ID, AVDID, Message, Resolution string
	CauseMetadata                  struct {
		StartLine, EndLine float64
		Code               struct {
			Lines []struct {
				Content string
				IsCause bool
			}
		}
	}

	RuleID, Category, Match string
	StartLine, EndLine      float64

	FilePath, Name, Link string
}

// trivyModified is a finding that was taken out, and why.
type trivyModified struct {
	Type, Status, Statement string
	Finding                 trivyFinding
}

func (t *trivy) vulnerability(wire *trivyFinding) core.Finding {
	pkg := dependency{wire.PkgName, wire.InstalledVersion}
	return core.Finding{
		RuleID:             wire.VulnerabilityID,
		File:               wire.PkgPath,
		Severity:           stated(wire.Severity),
		Title:              pkg.title(first(wire.Title, wire.VulnerabilityID)),
		Message:            t.withAdvice(first(wire.Description, wire.Title), fixedIn(wire.FixedVersion)),
		CVEID:              cveIn(words(wire.VendorIDs)...),
		CWE:                cweNamed(words(wire.CweIDs)...),
		HelpURI:            first(wire.PrimaryURL, first(words(wire.References)...)),
		PartialFingerprint: wire.PkgName,
	}
}

func (t *trivy) misconfiguration(wire *trivyFinding) core.Finding {
	cause := &wire.CauseMetadata
	var code []string
	for _, line := range cause.Code.Lines {
		if line.IsCause {
			code = append(code, line.Content)
		}
	}
	return core.Finding{
		RuleID:   first(wire.ID, wire.AVDID),
		Line:     toLine(cause.StartLine),
		EndLine:  toLine(cause.EndLine),
		Severity: stated(wire.Severity),
		Title:    wire.Title,
		Message:  t.withAdvice(first(wire.Message, wire.Description, wire.Title), wire.Resolution),
		HelpURI:  first(wire.PrimaryURL, first(words(wire.References)...)),
		Snippet:  strings.Join(code, "\n"),
	}
}

// secret keeps nothing of the code, though Trivy puts asterisks in the secret's place.
func (t *trivy) secret(wire *trivyFinding) core.Finding {
	return core.Finding{
		RuleID:             wire.RuleID,
		Line:               toLine(wire.StartLine),
		EndLine:            toLine(wire.EndLine),
		Severity:           stated(wire.Severity),
		Title:              wire.Title,
		Message:            strings.TrimSpace(first(wire.Title, wire.RuleID) + " in the code."),
		CWE:                secretInCode,
		PartialFingerprint: masked(wire.Match),
	}
}

func (t *trivy) license(wire *trivyFinding) core.Finding {
	title := wire.Name + " license"
	if wire.Category != "" {
		title += " (" + wire.Category + ")"
	}
	message := title
	if wire.PkgName != "" {
		message += " of the package " + wire.PkgName
	}
	return core.Finding{
		RuleID:             wire.Name,
		File:               wire.FilePath,
		Severity:           stated(wire.Severity),
		Title:              title,
		Message:            message + ".",
		HelpURI:            wire.Link,
		PartialFingerprint: wire.PkgName,
	}
}
