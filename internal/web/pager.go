package web

import (
	"net/url"
	"strconv"

	"github.com/gin-gonic/gin"
)

// place is where a page of a list begins or ends: at a row's id, which stays where it is while rows come in at the top.
type place struct{ before, after int64 }

func placeOf(c *gin.Context) (at place) {
	if id, err := strconv.ParseInt(c.Query("before"), 10, 64); err == nil && id > 0 {
		return place{before: id}
	}
	if id, err := strconv.ParseInt(c.Query("after"), 10, 64); err == nil && id > 0 {
		return place{after: id}
	}
	return place{}
}

// pager leads to the other pages of a list: queries that begin with a question mark, empty where there is no such page.
// Lists by time have the first three links, lists by name the others.
type pager struct{ Newest, Newer, Older, First, Next string }

// turn asks for the rows of a page, the newest first, and makes the links around it. list is asked for one row more
// than a page has; going back, a page that is not full is the first one.
func turn[R any](
	at place, size int, query url.Values, id func(R) int64, list func(at place, limit int) ([]R, error),
) ([]R, pager, error) {
	rows, err := list(at, size+1)
	if err == nil && at.after > 0 && len(rows) <= size {
		at = place{}
		rows, err = list(at, size+1)
	}
	if err != nil {
		return nil, pager{}, err
	}
	more, elsewhere := len(rows) > size, at != place{}
	switch {
	case more && at.after > 0:
		rows = rows[1:]
	case more:
		rows = rows[:size]
	}
	var links pager
	if elsewhere {
		links.Newest = "?" + query.Encode()
	}
	if elsewhere && len(rows) > 0 {
		links.Newer = beside(query, "after", id(rows[0]))
	}
	if more || at.after > 0 {
		links.Older = beside(query, "before", id(rows[len(rows)-1]))
	}
	return rows, links, nil
}

// beside is the query of the page that begins next to a row.
func beside(query url.Values, side string, id int64) string {
	place := url.Values{side: {strconv.FormatInt(id, 10)}}.Encode()
	if rest := query.Encode(); rest != "" {
		return "?" + rest + "&" + place
	}
	return "?" + place
}

// queryOf writes what a list is filtered by as it stands in addresses, without the place in the list.
func queryOf(filter map[string]string) url.Values {
	query := url.Values{}
	for name, value := range filter {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}
