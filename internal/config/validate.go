package config

import (
	"encoding/base64"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/internal/config/strictyaml"
	"github.com/scanhook/scanhook/internal/suggest"
)

func (v *validator) validate() {
	v.validateServer()
	v.validateDatabase()
	v.validatePlatforms()
	v.validateTokens()
	v.validateOIDC()
	v.validateGitHub()
	v.validateScanners()
	v.validateEPSS()
	v.validateAI()
	v.validateRetention()
	v.validateRunner()
	v.validatePolicy("defaults", v.config.Defaults)
	v.validateRepositories()
}

func (v *validator) validateDatabase() {
	const path = "database.url"
	address := v.config.Database.URL.Reveal()
	scheme, rest, _ := strings.Cut(address, ":")
	switch scheme {
	case "sqlite":
		if strings.Trim(rest, "/") == "" {
			v.Errorf(path, "names no file: write sqlite:scanhook.db")
		}
	case "postgres", "postgresql":
		if _, err := v.config.Database.URL.parse(); err != nil || !strings.HasPrefix(rest, "//") {
			v.Errorf(path, "must look like postgres://user:password@host/database; in the password write %%40 for @, "+
				"%%2F for / and the like (percent-encoding)")
		}
	default:
		v.Errorf(path, "must start with sqlite: or postgres://")
	}
}

func (v *validator) validatePlatforms() {
	if len(v.config.Platforms) == 0 {
		v.Warnf("platforms", "has no entry: no webhook is accepted")
	}
	for _, key := range slices.Sorted(maps.Keys(v.config.Platforms)) {
		path, platform := strictyaml.Join("platforms", key), v.config.Platforms[key]
		v.checkName(path, key)
		v.checkChoice(path+".type", platform.Type, v.typeNames()...)
		if _, known := typeNamed(v.config.Types, platform.Type); known && platform.URL == "" {
			v.Errorf(path+".url", "is missing: write the address at which people open the platform")
		} else if platform.URL != "" {
			v.checkURL(path+".url", platform.URL)
		}
		if platform.APIURL != "" {
			v.checkURL(path+".api_url", platform.APIURL)
		}
		v.validateApp(path+".app", key)
		v.validateCI(path+".ci", key)
		v.validateSecrets(path, key, platform)
		v.warnOfMany(path, key)
	}
}

// typeNames are all names that a type can be written with.
func (v *validator) typeNames() (names []string) {
	for _, t := range v.config.Types {
		names = append(append(names, t.Name), t.Aliases...)
	}
	slices.Sort(names)
	return names
}

func (v *validator) validateApp(path, platform string) {
	hasApps := func(t PlatformType) bool { return t.Apps }
	switch app := v.config.Platforms[platform].App; {
	case app == nil:
	case v.lacks(platform, hasApps):
		v.Errorf(path, "is for %s only: use token", v.only(hasApps))
	case app.ID <= 0:
		v.Errorf(path+".id", "must be the App's id, a number above zero")
	case app.PrivateKeyFile == "":
		v.Errorf(path+".private_key_file", "is missing: write the path of the App's private key (PEM)")
	}
}

// validateCI checks whose tokens are taken from the jobs of a platform.
func (v *validator) validateCI(path, platform string) {
	ci := v.config.Platforms[platform].CI
	gives := func(t PlatformType) bool { return t.JobTokens }
	if ci.Tokens && v.lacks(platform, gives) {
		v.Errorf(path+".tokens", "is for %s only: give jobs one of api.tokens", v.only(gives))
	}
	if ci.Issuer != "" {
		v.checkURL(path+".issuer", ci.Issuer)
	}
	if strings.HasPrefix(ci.Issuer, "http:") {
		v.Warnf(path+".issuer", "is not encrypted: everybody on the network path can bring reports for any commit")
	}
	if v.Wrote(path+".scanners") && len(ci.Scanners) == 0 {
		v.Errorf(path+".scanners", "is empty: name the scanners whose reports jobs may bring, or leave the key out for all")
	}
	v.checkGlobs(path+".scanners", ci.Scanners)
}

func (v *validator) validateSecrets(path, key string, platform Platform) {
	v.checkHookSecrets(path, platform.HookSecrets)
	v.checkSecret(path+".token", platform.Token)
	switch {
	case anyGiven(platform.SigningTokens) && v.lacks(key, signs):
		v.Errorf(path+".signing_tokens", "is for %s only: use webhook_secrets", v.only(signs))
	case !v.config.Verifies(key):
		v.Warnf(path, noSecret+"set %s.webhook_secrets", path)
	case !platform.Posts():
		v.Warnf(path, noToken)
	}
}

// Warnings that are for some processes only.
const (
	noSecret = "has no webhook secret and is off: "
	noToken  = "has no token: commit statuses are kept and shown, but not posted"
)

// WarningsFor are the warnings for a process that takes calls of platforms, or does not, and posts statuses, or does not.
func (c *Config) WarningsFor(takes, posts bool) []string {
	return slices.DeleteFunc(slices.Clone(c.Warnings), func(warning string) bool {
		return !takes && strings.Contains(warning, noSecret) || !posts && strings.Contains(warning, noToken)
	})
}

func signs(t PlatformType) bool { return t.SigningTokens }

// lacks tells that a platform's type does not have something. Of an unknown type nothing is said.
func (v *validator) lacks(platform string, has func(PlatformType) bool) bool {
	found, known := typeNamed(v.config.Types, v.config.Platforms[platform].Type)
	return known && !has(found)
}

// only names the types that have something.
func (v *validator) only(has func(PlatformType) bool) string {
	var titles []string
	for _, t := range v.config.Types {
		if has(t) {
			titles = append(titles, t.Title)
		}
	}
	return strings.Join(titles, " and ")
}

// manySecrets is the number of secrets from which on trying them all is felt: a call of 25 MiB takes over a second.
const manySecrets = 100

// warnOfMany warns of a platform whose calls are tried with very many secrets.
func (v *validator) warnOfMany(path, platform string) {
	own := v.config.Platforms[platform]
	n := len(own.WebhookSecrets) + len(own.SigningTokens)
	for _, repository := range v.config.Repositories {
		if repository.Reaches(platform) {
			n += len(repository.WebhookSecrets) + len(repository.SigningTokens)
		}
	}
	if n > manySecrets {
		v.Warnf(path, "is verified with %d secrets, each of which is tried on every call: give several repositories one",
			n)
	}
}

func (v *validator) validateScanners() {
	for _, name := range slices.Sorted(maps.Keys(v.config.Scanners)) {
		path, scanner := strictyaml.Join("scanners", name), v.config.Scanners[name]
		v.checkName(path, name)
		v.checkChoice(path+".format", scanner.Format, FormatSARIF, FormatJSON)
		if scanner.Builtin != "" {
			v.checkChoice(path+".builtin", scanner.Builtin, BuiltinGitleaks)
		}
		v.validateCommand(path+".command", scanner.Command)
		v.validateBuiltin(path, scanner)
		v.validateSource(path, scanner)
		v.validateCage(path, scanner)
		for i := range scanner.Categories {
			if problem := scanner.wrongCategory(i); problem != "" {
				v.Errorf(fmt.Sprintf("%s.categories[%d]", path, i), "%s", problem)
			}
		}
	}
}

// validateCage checks what a command may do.
func (v *validator) validateCage(path string, scanner Scanner) {
	for key, names := range map[string][]string{"read": scanner.Read, "write": scanner.Write} {
		for i, name := range names {
			if !filepath.IsAbs(name) {
				v.Errorf(fmt.Sprintf("%s.%s[%d]", path, key, i), "must be an absolute path")
			}
		}
	}
	if scanner.Memory < leastMemory {
		v.Errorf(path+".memory", "must be 64MiB or more")
	}
	if scanner.NetworkForks && !scanner.Network {
		v.Warnf(path+".network_forks", "changes nothing without network: true")
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
		v.Errorf(path, "must have exactly one of builtin, command and upload: true, not %d", ways)
	}
}

// validateBuiltin refuses what only other scanners understand. What its rules hold is checked by who loads them.
func (v *validator) validateBuiltin(path string, scanner Scanner) {
	for _, key := range []string{".rules", ".allow", ".archives"} {
		if scanner.Builtin == "" && v.Wrote(path+key) {
			v.Errorf(path+key, "is for builtin: %s only: other scanners have files of their own for it", BuiltinGitleaks)
		}
	}
	for _, key := range []string{".network", ".network_forks", ".read", ".write", ".memory"} {
		if scanner.Command == nil && v.Wrote(path+key) {
			v.Errorf(path+key, "is for scanners with a command only")
		}
	}
}

var placeholder = regexp.MustCompile(`\{[a-z_-]+\}`)

func (v *validator) validateCommand(path string, command []string) {
	if command != nil && (len(command) == 0 || command[0] == "") {
		v.Errorf(path, "must start with the program to run")
	}
	known := []string{"{source}", "{output}", "{changed}"}
	for i, argument := range command {
		for _, word := range placeholder.FindAllString(argument, -1) {
			if hint := suggest.DidYouMean(word, known); hint != "" && !slices.Contains(known, word) {
				v.Warnf(fmt.Sprintf("%s[%d]", path, i), "holds %s, which is passed on as it is%s", word, hint)
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
		v.Warnf("epss", "is enabled but has neither url nor kev_url: nothing is fetched")
	}
}

// maxAsked keeps a typing mistake from asking an AI about every finding of a large report.
const maxAsked = 1000

func (v *validator) validateAI() {
	ai := v.config.AI
	v.checkSecret("ai.token", ai.Token)
	if ai.MaxFindings < 1 || ai.MaxFindings > maxAsked {
		v.Errorf("ai.max_findings", "must be between 1 and %d", maxAsked)
	}
	switch {
	case ai.Enabled():
		v.checkURL("ai.url", ai.URL)
		if ai.Model == "" {
			v.Errorf("ai.model", "is missing: write the name that the service gives the model")
		}
	case ai.MayDismiss:
		v.Warnf("ai.may_dismiss", "does nothing: there is no ai.url, so no AI is asked")
	}
}

// redeliverable is how long a delivery must be remembered: a platform can send it again for three days, and repairing
// an outage takes some more.
const redeliverable = Age(7 * day)

// maxKept is far more scans of a project than anybody looks through.
const maxKept = 1_000_000

func (v *validator) validateRetention() {
	kept := v.config.Retention
	if kept.Deliveries != 0 && kept.Deliveries < redeliverable {
		v.Errorf("retention.deliveries", "must be 7d or more: a delivery that comes again must be recognised")
	}
	if kept.Scans != 0 && kept.Scans < Age(day) {
		v.Errorf("retention.scans", "must be 1d or more")
	}
	if kept.KeepScans < 1 || kept.KeepScans > maxKept {
		v.Errorf("retention.keep_scans", "must be between 1 and %d", maxKept)
	}
}

const (
	maxPaths     = 100_000_000 // what git can hold in some dozens of GiB of memory
	maxHistory   = 100_000     // commits, whose directories a first scan fetches
	minCacheSize = 1 << 20
	leastMemory  = 64 << 20 // of a command: with less, most programs do not even start

	maxPerProject = 1000 // more than anybody has workers
)

func (v *validator) validateRunner() {
	if v.config.Runner.CacheSize < minCacheSize {
		v.Errorf("runner.cache_size", "must be 1MiB or more")
	}
	if n := v.config.Runner.MaxPaths; n < 1 || n > maxPaths {
		v.Errorf("runner.max_paths", "must be between 1 and %d", maxPaths)
	}
	if n := v.config.Runner.PerProject; n < 1 || n > maxPerProject {
		v.Errorf("runner.per_project", "must be between 1 and %d", maxPerProject)
	}
	v.checkChoice("runner.cage", v.config.Runner.Cage, CageBest, CageRequire)
}

// validatePolicy checks what the file sets below path; inherited values are checked where they are set.
func (v *validator) validatePolicy(path string, policy Policy) {
	if v.Wrote(path+".context") && !validContext(policy.Context) {
		v.Errorf(path+".context", "must be a name of 1 to 255 characters on one line")
	}
	if v.Wrote(path + ".branches") {
		v.checkGlobs(path+".branches", policy.Branches)
	}
	if v.Wrote(path + ".tags") {
		v.checkGlobs(path+".tags", policy.Tags)
	}
	if v.Wrote(path + ".gate.fail_on") {
		v.checkChoice(path+".gate.fail_on", policy.Gate.FailOn, "critical", "high", "medium", "low", Never)
	}
	if !(policy.Gate.EPSS >= 0 && policy.Gate.EPSS <= 1) && v.Wrote(path+".gate.epss") {
		v.Errorf(path+".gate.epss", "must be a probability from 0 to 1, such as 0.1; 0 switches it off")
	}
	if v.Wrote(path + ".gate.coverage") {
		v.checkChoice(path+".gate.coverage", policy.Gate.Coverage, "tell", "fail")
	}
	if v.Wrote(path + ".gate.unresolved") {
		v.checkChoice(path+".gate.unresolved", policy.Gate.Unresolved, "tell", "fail")
	}
	if v.Wrote(path + ".gate.first_scan") {
		v.checkChoice(path+".gate.first_scan", policy.Gate.FirstScan, "gate", "baseline")
	}
	if n := policy.ScanHistory; v.Wrote(path+".scan_history") && (n < 1 || n > maxHistory) {
		v.Errorf(path+".scan_history", "must be between 1 and %d", maxHistory)
	}
	if v.Wrote(path + ".anomalies") {
		v.checkChoice(path+".anomalies", policy.Anomalies, "report", "fail", "off")
	}
	if v.Wrote(path + ".badges") {
		v.checkChoice(path+".badges", policy.Badges, "off", "public")
	}
	if v.Wrote(path + ".replace") {
		v.checkChoice(path+".replace", policy.Replace, "always", "never")
	}
	if v.Wrote(path + ".buttons") {
		v.checkChoice(path+".buttons", policy.Buttons, "scan", "dismiss")
	}
	v.checkApproval(path+".approval", policy.Approval)
	if v.Wrote(path + ".comment") {
		v.checkChoice(path+".comment", policy.Comment, "off", "note", "threads")
	}
	if v.Wrote(path + ".publish") {
		v.checkChoice(path+".publish", policy.Publish, "status", "check", "both")
	}
	if v.Wrote(path + ".forks") {
		v.checkChoice(path+".forks", policy.Forks, "builtin", "all", "off")
	}
	if v.Wrote(path + ".scanners") {
		v.checkScanners(path+".scanners", policy.Scanners)
	}
}

func (v *validator) checkApproval(path string, by Approval) {
	for name, people := range map[string]int64{"critical": by.Critical, "high": by.High, "medium": by.Medium, "low": by.Low, "kev": by.KEV} {
		if key := path + "." + name; v.Wrote(key) && (people < 1 || people > 2) {
			v.Errorf(key, "is how many people dismiss such a finding: 1 or 2")
		}
	}
}

func validContext(name string) bool {
	return strings.TrimSpace(name) != "" && len(name) <= 255 && !strings.ContainsAny(name, "\r\n\t")
}

func (v *validator) checkScanners(path string, names []string) {
	if len(names) == 0 && !takesUploads(v.config.Scanners) {
		v.Warnf(path, "is empty, and no scanner has upload: true: every scan waits in vain for a report, and fails")
	}
	for i, name := range names {
		element := fmt.Sprintf("%s[%d]", path, i)
		if _, known := v.config.Scanners[name]; !known {
			available := slices.Sorted(maps.Keys(v.config.Scanners))
			v.Errorf(element, "names the unknown scanner %q%s", name, suggest.Valid(name, "names", available))
		} else if slices.Index(names, name) < i {
			v.Errorf(element, "names the scanner %q for the second time", name)
		}
	}
}

func (v *validator) validateRepositories() {
	if len(v.config.Repositories) == 0 {
		v.Warnf("repositories", `has no entry: every push is answered "ignored"; write - match: "**" to scan all`)
	}
	first := map[string]int{}
	for i, repository := range v.config.Repositories {
		path := fmt.Sprintf("repositories[%d]", i)
		v.checkGlob(path+".match", repository.Match)
		v.warnOfStranger(path+".match", repository.Match)
		match := strings.ToLower(repository.Match) // names are compared without case
		v.warnOfShadow(path+".match", match, first)
		v.validateRepositorySecrets(path, repository)
		v.validatePolicy(path, repository.Policy)
		if _, taken := first[match]; !taken {
			first[match] = i
		}
	}
}

// warnOfShadow warns of an entry that nothing reaches, because an earlier one matches the same. first holds the
// earlier matches with their indexes.
func (v *validator) warnOfShadow(path, match string, first map[string]int) {
	for _, wider := range []string{"**", "**/*", "*/**", match} {
		if earlier, ok := first[wider]; ok {
			v.Warnf(path, "is never reached: repositories[%d] matches the same, and the first match wins", earlier)
			return
		}
	}
}

// validateRepositorySecrets checks the secrets of an entry, which its repositories' maintainers may know.
func (v *validator) validateRepositorySecrets(path string, repository Repository) {
	v.checkHookSecrets(path, repository.HookSecrets)
	reached := v.reached(repository)
	takesTokens := func(platform string) bool { return signs(v.config.typeOf(platform)) }
	if anyGiven(repository.SigningTokens) && !slices.ContainsFunc(reached, takesTokens) {
		v.Errorf(path+".signing_tokens", "is for %s only: use webhook_secrets", v.only(signs))
	}
	for _, list := range []string{".webhook_secrets", ".signing_tokens"} {
		if v.Wrote(path+list) && !repository.any() {
			v.Warnf(path+list, "is empty: these repositories have no secret of their own")
			break
		}
	}
	for _, platform := range reached {
		own := v.config.Platforms[platform]
		v.warnOfSharing(path+".webhook_secrets", repository.WebhookSecrets, platform, own.WebhookSecrets)
		v.warnOfSharing(path+".signing_tokens", repository.SigningTokens, platform, own.SigningTokens)
	}
}

// warnOfSharing warns of secrets of repositories that are the platform's as well.
func (v *validator) warnOfSharing(path string, secrets []Secret, platform string, own []Secret) {
	for i, secret := range secrets {
		if !isEmpty(secret) && slices.Contains(own, secret) {
			v.Warnf(fmt.Sprintf("%s[%d]", path, i), "is a secret of platforms.%s, too: who knows it may speak for all of "+
				"its repositories", platform)
		}
	}
}

func (v *validator) checkHookSecrets(path string, secrets HookSecrets) {
	v.checkSecrets(path+".webhook_secrets", secrets.WebhookSecrets)
	v.checkSecrets(path+".signing_tokens", secrets.SigningTokens)
	for i, token := range secrets.SigningTokens {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(token.Reveal(), "whsec_"))
		if !isEmpty(token) && (err != nil || len(key) == 0) {
			v.Warnf(fmt.Sprintf("%s.signing_tokens[%d]", path, i), "is not a signing token: whsec_ and base64")
		}
	}
}
