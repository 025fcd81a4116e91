package detail

import (
	"bytes"
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

// Markdown renders a stranger's document. related are the addresses of places that links name by their ids.
func Markdown(document string, related map[int]string) template.HTML {
	ctx := parser.NewContext()
	ctx.Set(relatedLinks, related)
	var out bytes.Buffer
	if err := markdown.Convert([]byte(text.Visible(document)), &out, parser.WithContext(ctx)); err != nil {
		return paragraphs(document)
	}
	return template.HTML(out.String()) //nolint:gosec // of a renderer that passes no HTML; links are those of tamer
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
	for _, n := range links {
		tame(n, reader.Source(), related)
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

// tame keeps a link that leads to a page on the web or to a related place. Others become their words.
func tame(n ast.Node, source []byte, related map[int]string) {
	var address string
	switch n := n.(type) {
	case *ast.Link:
		address = string(n.Destination)
	case *ast.AutoLink:
		address = string(n.URL(source))
	}
	if id, err := strconv.Atoi(address); err == nil {
		address = related[id]
	}
	address = text.WebLink(address)
	link, _ := n.(*ast.Link)
	switch {
	case n.Parent() == nil:
	case isInLink(n):
		unlink(n, source)
	case address != "" && link != nil:
		link.Destination, link.Title = []byte(address), nil
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
