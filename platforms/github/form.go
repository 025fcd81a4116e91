package github

import (
	"bytes"
	"encoding/hex"
)

// formField is a field of an urlencoded form; ok is false where it is missing, empty or broken. It takes the field's
// memory once, where url.ParseQuery would take that of the form several times.
func formField(form []byte, name string) (value []byte, ok bool) {
	for pair := range bytes.SplitSeq(form, []byte("&")) {
		if encoded, found := bytes.CutPrefix(pair, []byte(name+"=")); found {
			value, ok = unescape(encoded)
			return value, ok && len(value) > 0
		}
	}
	return nil, false
}

func unescape(encoded []byte) (text []byte, ok bool) {
	text = make([]byte, 0, len(encoded))
	for i := 0; i < len(encoded); i++ {
		switch c := encoded[i]; c {
		case '+':
			text = append(text, ' ')
		case '%':
			end := min(i+3, len(encoded))
			decoded, err := hex.AppendDecode(text, encoded[i+1:end])
			if err != nil || len(decoded) != len(text)+1 {
				return nil, false
			}
			text = decoded
			i += 2
		default:
			text = append(text, c)
		}
	}
	return text, true
}
