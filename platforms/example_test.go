package platforms_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// shy is a platform that refuses statuses with a link.
type shy struct{ platforms.Platform }

func (shy) PostStatus(_ context.Context, status core.Status) (platforms.Posted, error) {
	if status.TargetURL != "" {
		return platforms.Posted{}, platforms.Refusal("target_url is blocked")
	}
	fmt.Println(status.State, "is shown:", status.Description)
	return platforms.Posted{Code: http.StatusCreated}, nil
}

// A status arrives even if the platform refuses one of its texts.
func ExamplePost() {
	status := core.Status{
		State: core.StatusFailure, Description: "2 new (1 critical, 1 high)", TargetURL: "http://localhost/scans/1",
	}
	posted, err := platforms.Post(context.Background(), shy{}, status)
	fmt.Println(posted.LeftOut, err)
	// Output:
	// failure is shown: 2 new (1 critical, 1 high)
	// link left out: target_url is blocked <nil>
}
