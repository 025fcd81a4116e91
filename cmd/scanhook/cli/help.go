package cli

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

const (
	usualWidth  = 80
	widestProse = 100 // columns; longer lines are hard to read
)

// Width is the number of columns of a terminal, or that of most terminals.
func Width(out io.Writer) int {
	if file, ok := out.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return usualWidth
}

// ShowHelp prints the help of a command within the width of the terminal.
func ShowHelp(cmd *cobra.Command, _ []string) {
	out := cmd.OutOrStdout()
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	width := min(Width(out), widestProse)
	fmt.Fprintf(out, "%s\n\n%s", wrapProse(text, width), wrapTable(cmd.UsageString(), width))
}

// wrapProse breaks paragraphs anew, between words. Indented lines are those of a list, and stay lines.
func wrapProse(text string, width int) string {
	var lines, words []string
	endParagraph := func() {
		if len(words) > 0 {
			lines, words = append(lines, wrapLine("", words, "", width)), nil
		}
	}
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		switch {
		case line == "":
			endParagraph()
			lines = append(lines, "")
		case line[0] == ' ':
			endParagraph()
			lines = append(lines, wrapTable(line, width))
		default:
			words = append(words, strings.Fields(line)...)
		}
	}
	endParagraph()
	return strings.Join(lines, "\n")
}

// inTwoColumns is a flag or a command with what is said of it.
var inTwoColumns = regexp.MustCompile(`^( +\S.*?  +)(\S.*)$`)

// wrapTable breaks the lines of two columns within the second one. Examples stay as they are: they are to be copied.
func wrapTable(text string, width int) string {
	lines, examples := strings.Split(text, "\n"), false
	for i, line := range lines {
		if line != "" && line[0] != ' ' {
			examples = line == "Examples:"
		}
		columns := inTwoColumns.FindStringSubmatch(line)
		if !examples && columns != nil && len(line) > width {
			lines[i] = wrapLine(columns[1], strings.Fields(columns[2]), strings.Repeat(" ", len(columns[1])), width)
		}
	}
	return strings.Join(lines, "\n")
}

// wrapLine sets words behind start, and in further lines behind indent.
func wrapLine(start string, words []string, indent string, width int) string {
	var text strings.Builder
	line := start
	for i, word := range words {
		switch {
		case i == 0:
		case len(line)+1+len(word) > width:
			text.WriteString(line + "\n")
			line = indent
		default:
			line += " "
		}
		line += word
	}
	return text.String() + line
}
