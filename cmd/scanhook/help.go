package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/scanhook/scanhook/internal/config"
)

const (
	usualWidth  = 80
	widestProse = 100 // columns; longer lines are hard to read
)

// widthOf is the number of columns of a terminal, or that of most terminals.
func widthOf(out io.Writer) int {
	if file, ok := out.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return usualWidth
}

// showHelp prints the help of a command within the width of the terminal.
func showHelp(cmd *cobra.Command, _ []string) {
	out := cmd.OutOrStdout()
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	width := min(widthOf(out), widestProse)
	fmt.Fprintf(out, "%s\n\n%s", wrapProse(text, width), wrapTable(cmd.UsageString(), width))
}

// wrapProse breaks paragraphs anew, between words.
func wrapProse(text string, width int) string {
	paragraphs := strings.Split(strings.TrimSpace(text), "\n\n")
	for i, paragraph := range paragraphs {
		paragraphs[i] = wrapLine("", strings.Fields(paragraph), "", width)
	}
	return strings.Join(paragraphs, "\n\n")
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

// onlyCommands refuses what is not a command, and names the nearest one, or all.
func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			names = append(names, sub.Name())
		}
	}
	if starts := cmd.SuggestionsFor(args[0]); len(starts) > 0 { // of which the word is the beginning
		return fmt.Errorf("there is no command %q; did you mean %q?", args[0], starts[0])
	}
	if near := config.Nearest(args[0], names); near != "" {
		return fmt.Errorf("there is no command %q; did you mean %q?", args[0], near)
	}
	return fmt.Errorf("there is no command %q; there are: %s", args[0], strings.Join(names, ", "))
}

// wrongFlag makes a usageError of pflag's error, and names the nearest flag.
func wrongFlag(cmd *cobra.Command, err error) error {
	unknown := new(pflag.NotExistError)
	if errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		var names []string
		cmd.Flags().VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
		if near := config.Nearest(unknown.GetSpecifiedName(), names); near != "" {
			err = fmt.Errorf("%w; did you mean --%s?", err, near)
		}
	}
	return &usageError{cmd.CommandPath(), err}
}
