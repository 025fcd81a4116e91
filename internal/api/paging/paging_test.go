package paging_test

import (
	"fmt"

	"github.com/scanhook/scanhook/internal/api/paging"
)

// A list asks the database for one row more than fits, and gives the client a cursor if that row exists.
func ExamplePage() {
	rows := []int64{30, 20, 10}
	page := paging.Page(rows, 2, func(id int64) string { return fmt.Sprint("row ", id) },
		func(last int64) string { return paging.Cursor(last) })
	var before int64
	err := paging.Decode(page.Body.Next, &before)
	fmt.Println(page.Body.Items, before, err)
	fmt.Println(paging.Decode("not a cursor", &before))
	// Output:
	// [row 30 row 20] 20 <nil>
	// invalid: cursor is not one that a list answered as next; leave it out to start anew
}
