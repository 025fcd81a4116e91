package collect

import "strings"

// SecretInCode is the weakness of every leaked secret.
const SecretInCode = "CWE-798"

// CVE finds the first CVE id in the texts and writes it the usual way: CVE-2024-3094. Regular expressions would be too
// slow: it searches every message of reports with a million of them.
func CVE(texts ...string) string {
	for _, text := range texts {
		if id := identifier(text, "CVE", cveNumber); id != "" {
			return id
		}
	}
	return ""
}

// CWE finds the first CWE id in the texts: external/cwe/cwe-079 and CWE-79: Cross-site Scripting are CWE-79.
func CWE(texts ...string) string {
	for _, text := range texts {
		if id := identifier(text, "CWE", cweNumber); id != "" {
			return id
		}
	}
	return ""
}

// CWENamed is CWE for values that are known to be CWE ids, so that a bare number counts.
func CWENamed(values ...string) string {
	if id := CWE(values...); id != "" {
		return id
	}
	for _, value := range values {
		value = strings.TrimSpace(value)
		if number := cweNumber(value); number != "" && leadingDigits(value) == len(value) {
			return "CWE-" + number
		}
	}
	return ""
}

// identifier finds a prefix (three upper-case letters), in any case and at the beginning of a word, followed by a dash
// and what number accepts.
func identifier(text, prefix string, number func(string) string) string {
	for from := 0; ; {
		dash := strings.IndexByte(text[from:], '-')
		if dash < 0 {
			return ""
		}
		dash += from
		from = dash + 1
		begin := dash - len(prefix)
		if begin < 0 || !strings.EqualFold(text[begin:dash], prefix) || begin > 0 && isWord(text[begin-1]) {
			continue
		}
		if digits := number(text[dash+1:]); digits != "" {
			return prefix + "-" + digits
		}
	}
}

// cveNumber reads 2024-3094: a year and at least four digits, at most 19 as the CVE list allows.
func cveNumber(text string) string {
	if leadingDigits(text) != 4 || len(text) < 5 || text[4] != '-' {
		return ""
	}
	if digits := leadingDigits(text[5:]); digits >= 4 && digits <= 19 {
		return text[:5+digits]
	}
	return ""
}

func cweNumber(text string) string {
	digits := leadingDigits(text)
	number := strings.TrimLeft(text[:digits], "0")
	if len(number) > 7 {
		return ""
	}
	return number
}

func leadingDigits(text string) int {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return n
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
