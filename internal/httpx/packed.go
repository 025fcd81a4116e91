package httpx

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/textproto"
	"sync"

	"github.com/klauspost/compress/s2"
)

// maxPooled bounds the buffers that Pack keeps for later calls, in bytes.
const maxPooled = 64 << 10

// headEnd ends the header.
const headEnd = "\r\n\r\n"

// packer has the buffers of one Pack.
type packer struct {
	text   bytes.Buffer
	packed []byte
}

var packers = sync.Pool{New: func() any { return new(packer) }}

// Pack makes one text of a request's header and body, an empty line between them as on the wire, and compresses it, so that it
// can be kept. It takes some microseconds, and the result no more memory than its length.
func Pack(header http.Header, body []byte) []byte {
	p, _ := packers.Get().(*packer)
	p.text.Reset()
	_ = header.Write(&p.text) // a buffer takes everything
	p.text.WriteString("\r\n")
	p.text.Write(body)
	p.packed = s2.Encode(p.packed[:cap(p.packed)], p.text.Bytes())
	packed := bytes.Clone(p.packed)
	if p.text.Cap() <= maxPooled {
		packers.Put(p)
	}
	return packed
}

// Unpack reads what Pack made.
func Unpack(packed []byte) (http.Header, []byte, error) {
	text, err := s2.Decode(nil, packed)
	if err != nil {
		return nil, nil, fmt.Errorf("unpacking a request: %w", err)
	}
	if body, bare := bytes.CutPrefix(text, []byte("\r\n")); bare {
		return http.Header{}, body, nil
	}
	head := text[:bytes.Index(text, []byte(headEnd))+len(headEnd)]
	header, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(head))).ReadMIMEHeader()
	if err != nil {
		return nil, nil, fmt.Errorf("unpacking a request: %w", err)
	}
	return http.Header(header), text[len(head):], nil
}
