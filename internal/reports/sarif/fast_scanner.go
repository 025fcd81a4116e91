package sarif

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core/intern"
	"github.com/scanhook/scanhook/internal/jsonscan"
)

// The members that are read, of each object.
var (
	resultNames = []string{
		"ruleId", "ruleIndex", "rule", "kind", "level", "message", "locations", "suppressions", "baselineState", "taxa",
		"properties", "provenance", "partialFingerprints", "fingerprints", "codeFlows", "relatedLocations", "fixes",
	}
	messageNames  = []string{"text", "markdown", "id", "arguments"}
	locationNames = []string{"physicalLocation", "id", "message"}
	placeNames    = []string{"artifactLocation", "region", "contextRegion"}
	artifactNames = []string{"uri", "uriBaseId", "index"}
	regionNames   = []string{"startLine", "endLine", "snippet"}
	snippetNames  = []string{"text"}
)

// fastResult reads a result as encoding/json would, several times as fast. It fills the same Result again and again, so
// that a result costs hardly more memory than its texts.
type fastResult struct {
	fastScanner
	result *Result
	place  PhysicalLocation // of the first location
	index  float64          // of the rule
	pair   []byte
}

// decode returns false where it could not read the value; the result is half full then.
func (s *fastResult) decode(value []byte, result *Result) bool {
	if value[0] != '{' {
		return false
	}
	*result = Result{Locations: result.Locations[:0]}
	s.data, s.at, s.fallback, s.result = value, 0, false, result
	s.object(resultNames, s.readMember)
	return !s.fallback
}

func (s *fastResult) readMember(name string) {
	switch result := s.result; name {
	case "ruleId":
		result.RuleID = s.internText()
	case "ruleIndex":
		result.RuleIndex = s.numberInto(&s.index)
	case "rule":
		s.into(&result.Rule)
	case "kind":
		result.Kind = s.internText()
	case "level":
		result.Level = s.internText()
	case "message":
		s.object(messageNames, func(name string) { s.readMessage(&s.result.Message, name) })
	case "locations":
		s.array(s.readLocation)
	case "partialFingerprints":
		result.PartialFingerprints = s.readPairs()
	case "fingerprints":
		result.Fingerprints = s.readPairs()
	default:
		s.readRare(name)
	}
}

func (s *fastResult) readRare(name string) {
	switch result := s.result; name {
	case "suppressions":
		s.into(&result.Suppressions)
	case "baselineState":
		result.BaselineState = s.internText()
	case "taxa":
		s.into(&result.Taxa)
	case "properties":
		s.into(&result.Properties)
	case "provenance":
		s.into(&result.Provenance)
	case "codeFlows":
		result.CodeFlows = s.value()
	case "relatedLocations":
		result.RelatedLocations = s.value()
	case "fixes":
		result.Fixes = s.value()
	}
}

func (s *fastResult) readMessage(message *Message, name string) {
	switch name {
	case "text":
		message.Text = s.texts.Copy(s.text())
	case "markdown":
		message.Markdown = s.texts.Copy(s.text())
	case "id":
		message.ID = s.internText()
	case "arguments":
		s.into(&message.Arguments)
	}
}

// readLocation reads one of the locations; there is rarely more than one, and of very many only the first ones count.
func (s *fastResult) readLocation() {
	if len(s.result.Locations) == maxSkipped {
		s.skip()
		return
	}
	place := &s.place
	if len(s.result.Locations) > 0 {
		place = new(PhysicalLocation)
	}
	*place = PhysicalLocation{}
	var location Location
	s.object(locationNames, func(name string) {
		switch {
		case name == "id":
			s.into(&location.ID)
		case name == "message":
			s.into(&location.Message)
		case !s.null():
			location.PhysicalLocation = place
			s.object(placeNames, func(name string) { s.readPlace(place, name) })
		}
	})
	s.result.Locations = append(s.result.Locations, location)
}

func (s *fastResult) readPlace(place *PhysicalLocation, name string) {
	switch name {
	case "artifactLocation":
		s.object(artifactNames, func(name string) { s.readArtifact(&place.ArtifactLocation, name) })
	case "region":
		s.object(regionNames, func(name string) { s.readRegion(&place.Region, name) })
	case "contextRegion":
		s.object(regionNames, func(name string) { s.readRegion(&place.ContextRegion, name) })
	}
}

func (s *fastResult) readArtifact(artifact *ArtifactLocation, name string) {
	switch name {
	case "uri":
		artifact.URI = s.internText()
	case "uriBaseId":
		artifact.URIBaseID = s.internText()
	case "index":
		artifact.Index = s.numberInto(new(float64))
	}
}

func (s *fastResult) readRegion(region *Region, name string) {
	switch name {
	case "startLine":
		region.StartLine, _ = s.number()
	case "endLine":
		region.EndLine, _ = s.number()
	case "snippet":
		s.object(snippetNames, func(string) { region.Snippet.Text = s.texts.Copy(s.text()) })
	}
}

func (s *fastResult) internText() string { return s.texts.Name(s.text()) }

// numberInto reads a number to a place; nil for null.
func (s *fastResult) numberInto(place *float64) *float64 {
	number, found := s.number()
	if !found {
		return nil
	}
	*place = number
	return place
}

// readPairs reads fingerprints, of which most results have one.
func (s *fastResult) readPairs() (pairs Fingerprints) {
	if s.null() {
		return nil
	}
	if s.begins() != '{' {
		s.fallback = true
		return nil
	}
	for s.at++; !s.fallback && s.begins() != '}'; {
		if s.data[s.at] == ',' {
			s.at++
		}
		s.pair = append(append(s.pair[:0], s.raw()...), '=')
		s.space()
		s.at++ // the colon
		s.pair = append(s.pair, s.raw()...)
		pairs = append(pairs, s.texts.Copy(s.pair))
	}
	s.at++
	return pairs
}

// fastScanner passes through a value whose syntax is known to be right. It handles what nearly all reports are made of. At
// anything else it sets fallback, and what it has read does not count: encoding/json reads the value instead.
type fastScanner struct {
	data     []byte
	at       int
	fallback bool // encoding/json must read the value
	texts    *intern.Texts
	scratch  []byte // of a text that has escapes
}

func (s *fastScanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// begins returns the first byte of the next value, which tells its kind; 0 and fallback behind the end.
func (s *fastScanner) begins() byte {
	if s.space(); s.at < len(s.data) {
		return s.data[s.at]
	}
	s.fallback = true
	return 0
}

// null passes a null, which means the same as nothing at all.
func (s *fastScanner) null() bool {
	if s.begins() != 'n' {
		return false
	}
	s.at += len("null")
	return true
}

// object visits the members that are known by name. It falls back at names in another case and at equal names, which
// encoding/json accepts.
func (s *fastScanner) object(known []string, visit func(name string)) {
	if s.null() {
		return
	}
	if s.begins() != '{' {
		s.fallback = true
		return
	}
	seen := 0
	for s.at++; !s.fallback && s.begins() != '}'; {
		if s.data[s.at] == ',' {
			s.at++
			s.space()
		}
		name := s.raw()
		s.space()
		s.at++ // the colon
		i := slices.IndexFunc(known, func(one string) bool { return one == string(name) })
		if i < 0 {
			s.fallback = s.fallback || slices.ContainsFunc(known, func(one string) bool { return strings.EqualFold(one, string(name)) })
			s.skip()
			continue
		}
		s.fallback = s.fallback || seen&(1<<i) != 0
		seen |= 1 << i
		visit(known[i])
	}
	s.at++
}

// array visits the elements.
func (s *fastScanner) array(visit func()) {
	if s.null() {
		return
	}
	if s.begins() != '[' {
		s.fallback = true
		return
	}
	for s.at++; !s.fallback && s.begins() != ']'; {
		if s.data[s.at] == ',' {
			s.at++
		}
		visit()
	}
	s.at++
}

// raw passes a string and returns the bytes between its quotes. It falls back at one with escapes.
func (s *fastScanner) raw() []byte {
	if s.begins() != '"' {
		s.fallback = true
		return nil
	}
	s.at++
	n := jsonscan.PlainPrefix(s.data[s.at:])
	text := s.data[s.at : s.at+n]
	if s.at += n; s.at == len(s.data) || s.data[s.at] != '"' {
		s.fallback = true
		return nil
	}
	s.at++
	return text
}

// text passes a string, or a null, and returns what it says, until the next call.
func (s *fastScanner) text() []byte {
	if s.null() {
		return nil
	}
	if s.begins() != '"' {
		s.fallback = true
		return nil
	}
	s.at++
	n := jsonscan.PlainPrefix(s.data[s.at:])
	text := s.data[s.at : s.at+n]
	if s.at += n; s.data[s.at] != '"' {
		text = s.unescape(text)
	}
	s.at++
	s.fallback = s.fallback || !utf8.Valid(text) // encoding/json replaces what is not UTF-8
	return text
}

// unescape goes on to the end of a string at its first backslash.
func (s *fastScanner) unescape(text []byte) []byte {
	s.scratch = append(s.scratch[:0], text...)
	for !s.fallback && s.data[s.at] == '\\' {
		c := s.data[s.at+1]
		s.at += 2
		if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
			s.scratch = append(s.scratch, "\"\\/\b\f\n\r\t"[i])
		} else {
			code, _ := strconv.ParseUint(string(s.data[s.at:s.at+4]), 16, 16)
			s.fallback = utf16.IsSurrogate(rune(code))
			s.scratch = utf8.AppendRune(s.scratch, rune(code))
			s.at += 4
		}
		n := jsonscan.PlainPrefix(s.data[s.at:])
		s.scratch = append(s.scratch, s.data[s.at:s.at+n]...)
		s.at += n
	}
	return s.scratch
}

// number passes a number, or a null.
func (s *fastScanner) number() (number float64, found bool) {
	if s.null() {
		return 0, false
	}
	from := s.at
	for s.at < len(s.data) && strings.IndexByte("+-.0123456789Ee", s.data[s.at]) >= 0 {
		s.at++
	}
	number, err := strconv.ParseFloat(string(s.data[from:s.at]), 64)
	s.fallback = s.fallback || err != nil
	return number, true
}

// into lets encoding/json read the value.
func (s *fastScanner) into(target any) {
	s.space()
	from := s.at
	s.skip()
	s.fallback = s.fallback || jsonscan.Unmarshal(s.data[from:s.at], target) != nil
}

// skip passes a value.
func (s *fastScanner) skip() {
	switch s.begins() {
	case '"':
		s.skipString()
	case '{', '[':
		s.skipNested()
	default:
		for s.at < len(s.data) && strings.IndexByte(",]} \t\r\n", s.data[s.at]) < 0 {
			s.at++
		}
	}
}

// value passes a value and returns it, null as nothing.
func (s *fastScanner) value() []byte {
	if s.null() {
		return nil
	}
	from := s.at
	s.skip()
	return s.data[from:s.at]
}

func (s *fastScanner) skipString() {
	for s.at++; ; s.at += 2 { // the backslash and what follows it
		s.at += jsonscan.PlainPrefix(s.data[s.at:])
		if s.data[s.at] == '"' {
			s.at++
			return
		}
	}
}

func (s *fastScanner) skipNested() {
	for depth := 0; ; {
		switch s.data[s.at] {
		case '"':
			s.skipString()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if s.at++; depth == 0 {
			return
		}
	}
}
