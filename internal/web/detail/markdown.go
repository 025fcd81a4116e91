package detail

import (
	"errors"
	"html/template"
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	gmtext "github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/scanhook/scanhook/internal/web/text"
)

// relatedLinks are the addresses of related places, by their ids, while a document is parsed.
var relatedLinks = parser.NewContextKey()

// markdown renders no HTML of the document. Headings have no ids, which could be those of the page.
var markdown = goldmark.New(
	goldmark.WithExtensions(extension.Table, extension.Strikethrough),
	goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(tamer{}, 0))),
)

// Markdown renders a stranger's document. related are the addresses of places that links name by their ids. A document that would become
// very large is shown as it is.
func Markdown(document string, related map[int]string) template.HTML {
	document = text.Visible(document)
	ctx := parser.NewContext()
	ctx.Set(relatedLinks, related)
	var out bounded
	if unfolds(document) || markdown.Convert([]byte(document), &out, parser.WithContext(ctx)) != nil {
		return paragraphs(document)
	}
	return template.HTML(out) //nolint:gosec // of a renderer that passes no HTML; links are those of tamer
}

const (
	maxHTML    = 256 << 10 // bytes of a rendered document, and of the addresses in it
	maxAddress = 2 << 10   // bytes; a longer link becomes its words
	maxCells   = 20_000    // of tables: each line of one gets as many as its head has
	maxMarkers = 32        // of lists and quotes, at the head of a line
	maxOpened  = 1000      // brackets, each of which is compared with those before it
	maxStars   = 4000      // stars and underscores, likewise
	maxDepths  = 200_000   // lines times the columns of the widest head: each line visits the lists and quotes that are open
)

// bounded refuses what is more than maxHTML.
type bounded []byte

var errTooLong = errors.New("the rendered document is too long")

// Write implements io.Writer.
func (b *bounded) Write(some []byte) (int, error) {
	if len(*b)+len(some) > maxHTML {
		return 0, errTooLong
	}
	*b = append(*b, some...)
	return len(some), nil
}

// unfolds tells whether a short document takes the parser long, or becomes a large one.
func unfolds(document string) bool {
	lines, pipes, widest := 0, 0, 0
	for line := range strings.Lines(document) {
		markers, columns := head(line)
		if markers > maxMarkers {
			return true
		}
		lines, pipes, widest = lines+1, max(pipes, strings.Count(line, "|")), max(widest, columns)
	}
	stars := strings.Count(document, "*") + strings.Count(document, "_")
	return pipes*lines > maxCells || widest*lines > maxDepths || strings.Count(document, "[") > maxOpened || stars > maxStars
}

const tabWidth = 4

// head measures what can open or continue lists and quotes in a line: how many markers, and how wide.
func head(line string) (markers, columns int) {
	for rest := line; rest != ""; {
		switch c := rest[0]; {
		case c == ' ':
			columns++
		case c == '\t':
			columns += tabWidth
		case c == '>':
			markers, columns = markers+1, columns+1
		default:
			marker := listMarker(rest)
			if marker == 0 {
				return markers, columns
			}
			markers, columns, rest = markers+1, columns+marker, rest[marker-1:]
		}
		rest = rest[1:]
	}
	return markers, columns
}

// listMarker is the length of the mark of a list's item, with which a text begins: "-", "12."; 0 without.
func listMarker(text string) int {
	end := len(text) - len(strings.TrimLeft(text, "0123456789"))
	marks := "-+*"
	if end > 0 {
		marks = ".)"
	}
	if end == len(text) || strings.IndexByte(marks, text[end]) < 0 {
		return 0
	}
	if end++; end < len(text) && strings.IndexByte(" \t\r\n", text[end]) < 0 {
		return 0
	}
	return end
}

// tamer lets links lead only to pages on the web and to related places, shows images as links, and headings below those of the page.
type tamer struct{}

// Transform implements parser.ASTTransformer.
func (tamer) Transform(document *ast.Document, reader gmtext.Reader, pc parser.Context) {
	related, _ := pc.Get(relatedLinks).(map[int]string)
	var links, images []ast.Node
	_ = ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			n.Level = min(n.Level+headingsAbove, maxHeading)
		case *ast.Link, *ast.AutoLink:
			links = append(links, n)
		case *ast.Image:
			images = append(images, n)
		}
		return ast.WalkContinue, nil
	})
	for _, n := range images {
		links = append(links, imageAsLink(n))
	}
	room := maxHTML
	for _, n := range links {
		tame(n, addressOf(n, reader.Source(), related, &room), reader.Source())
	}
}

const (
	headingsAbove = 3 // the card of a finding has the third
	maxHeading    = 6
)

// imageAsLink puts a link with the same words in the place of an image: loading it would tell a stranger who reads.
func imageAsLink(n ast.Node) ast.Node {
	image, _ := n.(*ast.Image)
	link := ast.NewLink()
	link.Destination = image.Destination
	moveChildren(link, image)
	image.Parent().ReplaceChild(image.Parent(), image, link)
	return link
}

// addressOf is where a link leads, empty where that is no page on the web and no related place, or where there is no more room: a short
// reference may stand for a long address.
func addressOf(n ast.Node, source []byte, related map[int]string, room *int) string {
	var address []byte
	switch n := n.(type) {
	case *ast.Link:
		address = n.Destination
	case *ast.AutoLink:
		address = n.URL(source)
	}
	if *room -= len(address); *room < 0 || len(address) > maxAddress {
		return ""
	}
	if n.Kind() == ast.KindLink { // as the renderer reads it
		address = util.ResolveEntityNames(util.ResolveNumericReferences(util.UnescapePunctuations(address)))
	}
	if id, err := strconv.Atoi(string(address)); err == nil {
		*room -= len(related[id])
		return text.WebLink(related[id])
	}
	return text.WebLink(string(address))
}

// unread keeps the renderer from reading an address once more, which would become another one.
var unread = strings.NewReplacer("&", "&amp;", `\`, "%5C")

// tame keeps a link that has an address. Others become their words.
func tame(n ast.Node, address string, source []byte) {
	link, _ := n.(*ast.Link)
	switch {
	case n.Parent() == nil:
	case isInLink(n):
		unlink(n, source)
	case address != "" && link != nil:
		link.Destination, link.Title = []byte(unread.Replace(address)), nil
		link.SetAttributeString("rel", "noopener noreferrer nofollow")
	case address != "":
		n.SetAttributeString("rel", "noopener noreferrer nofollow")
	default:
		unlink(n, source)
	}
}

func isInLink(n ast.Node) bool {
	for up := n.Parent(); up != nil; up = up.Parent() {
		if up.Kind() == ast.KindLink {
			return true
		}
	}
	return false
}

// unlink puts the words of a link in its place.
func unlink(n ast.Node, source []byte) {
	parent := n.Parent()
	if auto, ok := n.(*ast.AutoLink); ok {
		parent.ReplaceChild(parent, n, ast.NewString(auto.Label(source)))
		return
	}
	for child := n.FirstChild(); child != nil; child = n.FirstChild() {
		parent.InsertBefore(parent, n, child)
	}
	parent.RemoveChild(parent, n)
}

func moveChildren(to, from ast.Node) {
	for child := from.FirstChild(); child != nil; child = from.FirstChild() {
		to.AppendChild(to, child)
	}
}

// paragraphs is a plain text as HTML.
func paragraphs(plain string) template.HTML {
	return asParagraphs(template.HTMLEscapeString(text.Visible(plain)))
}

func asParagraphs(escaped string) template.HTML {
	if strings.TrimSpace(escaped) == "" {
		return ""
	}
	return template.HTML(`<p class="text message" dir="auto">` + strings.TrimSpace(escaped) + `</p>`) //nolint:gosec // it is escaped
}
