package web

import (
	"strings"

	"github.com/scanhook/scanhook/core"
)

// The lines that are shown of a snippet and of a patch.
const (
	maxSnippetLines = 30
	maxPatchLines   = 400
)

// codeLine is a line of code as it is shown.
type codeLine struct {
	Number int    // 0 where unknown
	Text   string // visible and cut
	Kind   string // mark, add, del, hunk or empty: the style
}

// codeOf is the code of a finding: the lines around it where a checkout was at hand, else what the report gives.
func codeOf(f core.Finding) []codeLine {
	if f.Code != "" && f.CodeLine > 0 {
		return numbered(f, strings.Split(f.Code, "\n"), f.CodeLine)
	}
	text := strings.Trim(strings.ReplaceAll(f.Snippet, "\r\n", "\n"), "\n")
	if strings.TrimSpace(text) == "" {
		return nil
	}
	// Reports give the lines of the finding itself, or more around them whose beginning they do not tell.
	texts := strings.Split(text, "\n")
	first := f.Line
	if len(texts) > max(f.EndLine, f.Line)-f.Line+1 {
		first = 0
	}
	return numbered(f, texts, first)
}

// numbered counts lines from first on, and marks those of the finding; 0 is not known.
func numbered(f core.Finding, texts []string, first int) []codeLine {
	lines := make([]codeLine, 0, min(len(texts), maxSnippetLines))
	for i, text := range texts[:min(len(texts), maxSnippetLines)] {
		if i > 0 && text == texts[i-1] && strings.HasPrefix(text, "REDACTED") {
			continue // a secret of several lines is shown as one
		}
		line := codeLine{Text: cut(visible(text), maxLine)}
		if first > 0 {
			line.Number = first + i
		}
		if line.Number >= f.Line && line.Number <= max(f.Line, f.EndLine) && line.Number > 0 {
			line.Kind = "mark"
		}
		lines = append(lines, line)
	}
	return lines
}

// diff sorts the lines of a patch.
func diff(patch string) []codeLine {
	texts := strings.Split(strings.TrimRight(patch, "\n"), "\n")
	lines := make([]codeLine, 0, min(len(texts), maxPatchLines))
	for _, text := range texts[:min(len(texts), maxPatchLines)] {
		lines = append(lines, codeLine{Text: cut(visible(text), maxLine), Kind: diffKind(text)})
	}
	return lines
}

func diffKind(line string) string {
	switch {
	case strings.HasPrefix(line, "+++ "), strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "@@"):
		return "hunk"
	case strings.HasPrefix(line, "+"):
		return "add"
	case strings.HasPrefix(line, "-"):
		return "del"
	}
	return ""
}
