// Package suggest finds what a mistyped word was probably meant to be.
package suggest

import (
	"fmt"
	"slices"
	"strings"
)

const mostNames = 20 // in a message

// DidYouMean names the candidate that word was probably meant to be, or is empty where none comes near.
func DidYouMean(word string, candidates []string) string {
	if best := Nearest(word, candidates); best != "" {
		return fmt.Sprintf(" (did you mean %q?)", best)
	}
	return ""
}

// Valid is what may be written instead of word: all the names there are, or the first of many, the nearest one first.
func Valid(word, noun string, valid []string) string {
	if len(valid) == 0 {
		return " (there are none)"
	}
	ordered := slices.Clone(valid)
	best := Nearest(word, valid)
	if i := slices.Index(ordered, best); i > 0 {
		ordered = slices.Insert(slices.Delete(ordered, i, i+1), 0, best)
	}
	list := strings.Join(ordered[:min(len(ordered), mostNames)], ", ")
	if more := len(ordered) - mostNames; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	if best == "" {
		return fmt.Sprintf(" (valid %s: %s)", noun, list)
	}
	return fmt.Sprintf(" (did you mean %q? valid %s: %s)", best, noun, list)
}

// Nearest is the candidate that takes the fewest typing mistakes to become word; no more than a third of its letters
// may be wrong. Case, hyphens and underscores do not count.
func Nearest(word string, candidates []string) string {
	best, fewest := "", 0
	for _, candidate := range candidates {
		mistakes := distance(plain(word), plain(candidate))
		if mistakes > (len(candidate)+1)/3 {
			continue
		}
		if best == "" || mistakes < fewest {
			best, fewest = candidate, mistakes
		}
	}
	return best
}

func plain(word string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(word))
}

// distance counts the bytes to insert, delete, replace or swap with their neighbour between a and b. A word far longer
// than any key counts as entirely wrong, to keep the table small.
func distance(a, b string) int {
	if len(a) > 2*len(b)+2 {
		return len(a)
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		for j := range rows[i] {
			rows[i][j] = step(rows, a, b, i, j)
		}
	}
	return rows[len(a)][len(b)]
}

// step is the distance between the first i bytes of a and the first j of b, from the entries of rows before it.
func step(rows [][]int, a, b string, i, j int) int {
	if i == 0 || j == 0 {
		return i + j
	}
	wrong := 1
	if a[i-1] == b[j-1] {
		wrong = 0
	}
	fewest := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+wrong)
	if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
		fewest = min(fewest, rows[i-2][j-2]+1)
	}
	return fewest
}
