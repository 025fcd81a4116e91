package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

func (v *validator) validateScanners() {
	for _, name := range slices.Sorted(maps.Keys(v.config.Scanners)) {
		path, scanner := join("scanners", name), v.config.Scanners[name]
		v.checkName(path, name)
		v.checkChoice(path+".format", scanner.Format, FormatSARIF, FormatJSON)
		if scanner.Builtin != "" {
			v.checkChoice(path+".builtin", scanner.Builtin, BuiltinGitleaks)
		}
		v.validateCommand(path+".command", scanner.Command)
		v.validateSource(path, scanner)
	}
}

// validateSource wants one way, and only one, in which the scanner's report comes about.
func (v *validator) validateSource(path string, scanner Scanner) {
	ways := 0
	for _, chosen := range []bool{scanner.Builtin != "", scanner.Command != nil, scanner.Upload} {
		if chosen {
			ways++
		}
	}
	if ways != 1 {
		v.errorf(path, "must have exactly one of builtin, command and upload: true, not %d", ways)
	}
}

var placeholder = regexp.MustCompile(`\{[a-z_-]+\}`)

func (v *validator) validateCommand(path string, command []string) {
	if command != nil && (len(command) == 0 || command[0] == "") {
		v.errorf(path, "must start with the program to run")
	}
	known := []string{"{source}", "{output}"}
	for i, argument := range command {
		for _, word := range placeholder.FindAllString(argument, -1) {
			if hint := Suggestion(word, known); hint != "" && !slices.Contains(known, word) {
				v.warnf(fmt.Sprintf("%s[%d]", path, i), "holds %s, which is passed on as it is%s", word, hint)
			}
		}
	}
}

func (v *validator) validateEPSS() {
	epss := v.config.EPSS
	for path, address := range map[string]string{"epss.url": epss.URL, "epss.kev_url": epss.KEVURL} {
		if address != "" {
			v.checkURL(path, address)
		}
	}
	if epss.Enabled && epss.URL == "" && epss.KEVURL == "" {
		v.warnf("epss", "is enabled but has neither url nor kev_url: nothing is fetched")
	}
}

// validatePolicy checks what the file sets below path; inherited values are checked where they are set.
func (v *validator) validatePolicy(path string, policy Policy) {
	if v.wrote(path+".context") && !validContext(policy.Context) {
		v.errorf(path+".context", "must be a name of 1 to 255 characters on one line")
	}
	if v.wrote(path + ".branches") {
		v.checkGlobs(path+".branches", policy.Branches)
	}
	if v.wrote(path + ".tags") {
		v.checkGlobs(path+".tags", policy.Tags)
	}
	if v.wrote(path + ".gate.fail_on") {
		v.checkChoice(path+".gate.fail_on", policy.Gate.FailOn, "critical", "high", "medium", "low", Never)
	}
	if !(policy.Gate.EPSS >= 0 && policy.Gate.EPSS <= 1) && v.wrote(path+".gate.epss") {
		v.errorf(path+".gate.epss", "must be a probability from 0 to 1, such as 0.1; 0 switches it off")
	}
	if v.wrote(path + ".anomalies") {
		v.checkChoice(path+".anomalies", policy.Anomalies, "report", "fail", "off")
	}
	if v.wrote(path + ".scanners") {
		v.checkScanners(path+".scanners", policy.Scanners)
	}
}

func validContext(name string) bool {
	return strings.TrimSpace(name) != "" && len(name) <= 255 && !strings.ContainsAny(name, "\r\n\t")
}

func (v *validator) checkGlobs(path string, globs []string) {
	for i, glob := range globs {
		v.checkGlob(fmt.Sprintf("%s[%d]", path, i), glob)
	}
}

func (v *validator) checkGlob(path, glob string) {
	if glob == "" {
		v.errorf(path, "is missing: write a name or a glob such as release/**")
	} else if !doublestar.ValidatePattern(glob) {
		v.errorf(path, "is not a glob: close every [ and {, and write \\ before one that is meant as it is")
	}
}

func (v *validator) takesUploads() bool {
	for _, scanner := range v.config.Scanners {
		if scanner.Upload {
			return true
		}
	}
	return false
}

func (v *validator) checkScanners(path string, names []string) {
	if len(names) == 0 && !v.takesUploads() {
		v.warnf(path, "is empty, and no scanner has upload: true: every scan waits in vain for a report, and fails")
	}
	for i, name := range names {
		element := fmt.Sprintf("%s[%d]", path, i)
		if _, known := v.config.Scanners[name]; !known {
			available := slices.Sorted(maps.Keys(v.config.Scanners))
			v.errorf(element, "names the unknown scanner %q%s", name, validNames(name, "names", available))
		} else if slices.Index(names, name) < i {
			v.errorf(element, "names the scanner %q for the second time", name)
		}
	}
}
