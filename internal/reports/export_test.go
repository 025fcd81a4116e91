package reports

// RedactWithin is Redact with so many texts that the rules search.
var RedactWithin = redactWithin
