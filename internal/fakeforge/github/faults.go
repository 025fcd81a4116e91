package github

import (
	"net/http"
	"strconv"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// SecondaryLimit is GitHub's 403 for writing too fast.
func SecondaryLimit(after time.Duration) fakeforge.Fault {
	header := http.Header{}
	header.Set("Retry-After", strconv.Itoa(int(after/time.Second)))
	body := `{"message":"You have exceeded a secondary rate limit. Please wait before you try again.",` +
		`"documentation_url":` + // clients recognise the limit by this address
		`"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`
	return fakeforge.Fault{Status: http.StatusForbidden, Header: header, Body: body}
}

// UntimedLimit is SecondaryLimit without a time, which GitHub leaves out now and then.
func UntimedLimit() fakeforge.Fault {
	fault := SecondaryLimit(0)
	fault.Header = http.Header{}
	return fault
}

// PrimaryLimit is GitHub's 403 when the calls of an hour are used up; they come back at reset.
func PrimaryLimit(reset time.Time) fakeforge.Fault {
	header := http.Header{}
	header.Set("X-Ratelimit-Remaining", "0")
	header.Set("X-Ratelimit-Reset", strconv.FormatInt(reset.Unix(), 10))
	return fakeforge.Fault{Status: http.StatusForbidden, Header: header, Body: `{"message":"API rate limit exceeded"}`}
}

// SingleSignOn is GitHub's 403 for a token that was not authorised for an organisation's single sign-on, on a server at
// base.
func SingleSignOn(base, organisation string) fakeforge.Fault {
	header := http.Header{}
	header.Set("X-Github-Sso", "required; url="+base+"/orgs/"+organisation+"/sso?authorization_request=A1B2C3")
	return fakeforge.Fault{Status: http.StatusForbidden, Header: header, Body: `{"message":"Resource protected by ` +
		`organization SAML enforcement. You must grant your Personal Access token access to this organization."}`}
}

// AddressNotAllowed is GitHub's 403 for a caller whose address is not in an organisation's list.
func AddressNotAllowed(organisation string) fakeforge.Fault {
	return fakeforge.Fault{Status: http.StatusForbidden, Body: `{"message":"Although you appear to have the correct ` +
		"authorization credentials, the `" + organisation + "` organization has an IP allow list enabled, and your IP " +
		`address is not permitted to access this resource."}`}
}

// Archived is GitHub's 403 for a repository that is read-only.
func Archived() fakeforge.Fault {
	return fakeforge.Fault{Status: http.StatusForbidden, Body: `{"message":"Repository was archived so is read-only."}`}
}
