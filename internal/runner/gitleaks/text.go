package gitleaks

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// raw are the bytes of a file.
type raw []byte

// text decodes UTF-16 and UTF-32, with a mark at the beginning or without, and makes other bytes valid UTF-8: with RE2,
// rules are blind beside an invalid byte. Lines keep their numbers. decoded tells that it was UTF-16 or UTF-32.
func (data raw) text() (text string, decoded bool) {
	for _, encoding := range marked {
		if rest, found := bytes.CutPrefix(data, []byte(encoding.mark)); found {
			return encoding.decode(rest), true
		}
	}
	switch even, odd := data.zeros(); {
	case isSecond(odd, even, len(data)):
		return decode16(data, binary.LittleEndian), true
	case isSecond(even, odd, len(data)):
		return decode16(data, binary.BigEndian), true
	}
	return strings.ToValidUTF8(string(data), string(utf8.RuneError)), false
}

// marked are the encodings by the bytes that begin a text. The longer marks come first.
var marked = []struct {
	mark   string
	decode func([]byte) string
}{
	{"\xff\xfe\x00\x00", func(data []byte) string { return decode32(data, binary.LittleEndian) }},
	{"\x00\x00\xfe\xff", func(data []byte) string { return decode32(data, binary.BigEndian) }},
	{"\xff\xfe", func(data []byte) string { return decode16(data, binary.LittleEndian) }},
	{"\xfe\xff", func(data []byte) string { return decode16(data, binary.BigEndian) }},
}

// zeros counts zero bytes in even and odd places.
func (data raw) zeros() (even, odd int) {
	for i, b := range data {
		if b != 0 {
			continue
		}
		if i%2 == 0 {
			even++
		} else {
			odd++
		}
	}
	return even, odd
}

// isSecond tells whether nearly every second byte of so many is zero, and nearly none of the others.
func isSecond(zero, others, size int) bool {
	return size >= 4 && zero*2 > size*7/10 && others*20 < size
}

func decode16(data []byte, order binary.ByteOrder) string {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	return string(utf16.Decode(units))
}

func decode32(data []byte, order binary.ByteOrder) string {
	var text strings.Builder
	for ; len(data) >= 4; data = data[4:] {
		text.WriteRune(rune(order.Uint32(data))) // what is no character becomes U+FFFD
	}
	return text.String()
}

// isText tells whether most bytes are those of text, whatever the first ones look like.
func (data raw) isText() bool {
	other := 0
	for rest := data; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 || r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f' {
			other++
		}
		rest = rest[size:]
	}
	return other*10 <= len(data)
}

func (data raw) isSomeText() bool { return len(data) > 0 && data.isText() }

// isPointer tells whether contents only say where Git LFS keeps the file.
func (data raw) isPointer() bool {
	return len(data) < 1024 && bytes.HasPrefix(data, []byte("version https://git-lfs.github.com/spec/"))
}

func (data raw) isTar() bool { return len(data) > 262 && string(data[257:262]) == "ustar" }

// hasZip tells whether a zip stands at the end, whatever is in front of it.
func (data raw) hasZip() bool {
	const mostComment = 64 << 10 // behind the end of its directory
	return bytes.Contains(data[max(0, len(data)-mostComment-22):], []byte("PK\x05\x06"))
}
