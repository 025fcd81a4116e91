package reports

// The members that quick knows, of each object.
var (
	resultNames = []string{
		"ruleId", "ruleIndex", "rule", "kind", "level", "message", "locations", "suppressions", "baselineState", "taxa",
		"properties", "provenance", "partialFingerprints", "fingerprints",
	}
	messageNames  = []string{"text", "markdown", "id", "arguments"}
	locationNames = []string{"physicalLocation"}
	placeNames    = []string{"artifactLocation", "region", "contextRegion"}
	artifactNames = []string{"uri", "uriBaseId", "index"}
	regionNames   = []string{"startLine", "endLine", "snippet"}
	snippetNames  = []string{"text"}
)

// quickResult reads a result as encoding/json would. It fills what is there already, so that a result costs hardly more
// memory than its texts.
type quickResult struct {
	quick
	result *wireResult
	place  wirePlace // of the first location
	index  float64   // of the rule
	pair   []byte
}

// read tells whether it could; if not, the result is half full.
func (q *quickResult) read(value []byte, result *wireResult) bool {
	if value[0] != '{' {
		return false
	}
	*result = wireResult{Locations: result.Locations[:0]}
	q.data, q.at, q.odd, q.result = value, 0, false, result
	q.object(resultNames, q.member)
	return !q.odd
}

func (q *quickResult) member(name string) {
	switch result := q.result; name {
	case "ruleId":
		result.RuleID = q.name()
	case "ruleIndex":
		result.RuleIndex = q.pointer(&q.index)
	case "rule":
		q.into(&result.Rule)
	case "kind":
		result.Kind = q.name()
	case "level":
		result.Level = q.name()
	case "message":
		q.object(messageNames, q.message)
	case "locations":
		q.array(q.location)
	case "partialFingerprints":
		result.PartialFingerprints = q.pairs()
	case "fingerprints":
		result.Fingerprints = q.pairs()
	default:
		q.rare(name)
	}
}

func (q *quickResult) rare(name string) {
	switch result := q.result; name {
	case "suppressions":
		q.into(&result.Suppressions)
	case "baselineState":
		result.BaselineState = q.name()
	case "taxa":
		q.into(&result.Taxa)
	case "properties":
		q.into(&result.Properties)
	case "provenance":
		q.into(&result.Provenance)
	}
}

func (q *quickResult) message(name string) {
	switch message := &q.result.Message; name {
	case "text":
		message.Text = q.texts.text(q.text())
	case "markdown":
		message.Markdown = q.texts.text(q.text())
	case "id":
		message.ID = q.name()
	case "arguments":
		q.into(&message.Arguments)
	}
}

// location reads one of the places, of which the first one usually is the only one.
func (q *quickResult) location() {
	place := &q.place
	if len(q.result.Locations) > 0 {
		place = new(wirePlace)
	}
	*place = wirePlace{}
	var location wireLocation
	q.object(locationNames, func(string) {
		if q.null() {
			return
		}
		location.PhysicalLocation = place
		q.object(placeNames, func(name string) { q.part(place, name) })
	})
	q.result.Locations = append(q.result.Locations, location)
}

func (q *quickResult) part(place *wirePlace, name string) {
	switch name {
	case "artifactLocation":
		q.object(artifactNames, func(name string) { q.artifact(&place.ArtifactLocation, name) })
	case "region":
		q.object(regionNames, func(name string) { q.region(&place.Region, name) })
	case "contextRegion":
		q.object(regionNames, func(name string) { q.region(&place.ContextRegion, name) })
	}
}

func (q *quickResult) artifact(artifact *wireArtifact, name string) {
	switch name {
	case "uri":
		artifact.URI = q.name()
	case "uriBaseId":
		artifact.URIBaseID = q.name()
	case "index":
		artifact.Index = q.pointer(new(float64))
	}
}

func (q *quickResult) region(region *wireRegion, name string) {
	switch name {
	case "startLine":
		region.StartLine, _ = q.number()
	case "endLine":
		region.EndLine, _ = q.number()
	case "snippet":
		q.object(snippetNames, func(string) { region.Snippet.Text = q.texts.text(q.text()) })
	}
}

func (q *quickResult) name() string { return q.texts.name(q.text()) }

// pointer reads a number to a place; nil for null.
func (q *quickResult) pointer(place *float64) *float64 {
	number, found := q.number()
	if !found {
		return nil
	}
	*place = number
	return place
}

// pairs reads fingerprints, of which most results have one.
func (q *quickResult) pairs() (pairs fingerprints) {
	if q.null() {
		return nil
	}
	if q.begins() != '{' {
		q.odd = true
		return nil
	}
	for q.at++; !q.odd && q.begins() != '}'; {
		if q.data[q.at] == ',' {
			q.at++
		}
		q.pair = append(append(q.pair[:0], q.raw()...), '=')
		q.space()
		q.at++ // the colon
		q.pair = append(q.pair, q.raw()...)
		pairs = append(pairs, q.texts.text(q.pair))
	}
	q.at++
	return pairs
}
