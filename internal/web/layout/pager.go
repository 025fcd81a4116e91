package layout

import (
	"net/url"
	"strconv"

	"github.com/gin-gonic/gin"
)

// Position is where a page of a list begins or ends: beside the row with this id. Unlike a number of rows it stays
// correct while new rows appear at the top. The zero value is the first page.
type Position struct{ Before, After int64 }

// PositionOf reads the position from the address.
func PositionOf(c *gin.Context) Position {
	if id, err := strconv.ParseInt(c.Query("before"), 10, 64); err == nil && id > 0 {
		return Position{Before: id}
	}
	if id, err := strconv.ParseInt(c.Query("after"), 10, 64); err == nil && id > 0 {
		return Position{After: id}
	}
	return Position{}
}

// Pager has the links to the other pages of a list: queries that begin with a question mark, empty where there is no
// such page. Lists by time have the first three, lists by name the others.
type Pager struct{ Newest, Newer, Older, First, Next string }

// Page returns the rows of a page, the newest first, and the links around it. list is asked for one row more than a page
// has, which tells whether there is another page. A page on the way back that is not full is replaced by the first one.
func Page[R any](
	at Position, size int, query url.Values, id func(R) int64, list func(at Position, limit int) ([]R, error),
) ([]R, Pager, error) {
	rows, err := list(at, size+1)
	if err == nil && at.After > 0 && len(rows) <= size {
		at = Position{}
		rows, err = list(at, size+1)
	}
	if err != nil {
		return nil, Pager{}, err
	}
	more, elsewhere := len(rows) > size, at != Position{}
	switch {
	case more && at.After > 0:
		rows = rows[1:]
	case more:
		rows = rows[:size]
	}
	var links Pager
	if elsewhere {
		links.Newest = "?" + query.Encode()
	}
	if elsewhere && len(rows) > 0 {
		links.Newer = Beside(query, "after", id(rows[0]))
	}
	if more || at.After > 0 {
		links.Older = Beside(query, "before", id(rows[len(rows)-1]))
	}
	return rows, links, nil
}

// Forward cuts off the row by which a list that only leads on is longer than a page, and returns the query of the page after
// it: next is that of the page after a row. It is empty on the last page.
func Forward[R any](rows []R, size int, next func(last R) string) ([]R, string) {
	if len(rows) <= size {
		return rows, ""
	}
	return rows[:size], next(rows[size-1])
}

// Beside is the query of the page that begins next to a row; side is before or after.
func Beside(query url.Values, side string, id int64) string {
	position := url.Values{side: {strconv.FormatInt(id, 10)}}.Encode()
	if rest := query.Encode(); rest != "" {
		return "?" + rest + "&" + position
	}
	return "?" + position
}

// Query is the filter of a list as addresses have it, without the position in the list.
func Query(filter map[string]string) url.Values {
	query := url.Values{}
	for name, value := range filter {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}
