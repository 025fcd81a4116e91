package core

import "errors"

// Sentinel errors that every room wraps and that httpx maps to an HTTP status in one place.
var (
	// ErrNotFound: the thing asked for does not exist (404).
	ErrNotFound = errors.New("not found")
	// ErrGone: the thing existed and was removed (410).
	ErrGone = errors.New("gone")
	// ErrConflict: the thing exists but is not in a state that allows the request (409).
	ErrConflict = errors.New("conflict")
	// ErrInvalid: the input is well delivered but means nothing (400 on webhooks, 422 on the API).
	ErrInvalid = errors.New("invalid")
	// ErrDenied: the caller could not prove who they are (401).
	ErrDenied = errors.New("denied")
	// ErrForbidden: the caller is known but may not do this (403).
	ErrForbidden = errors.New("forbidden")
	// ErrTooLarge: the input exceeds a documented limit (413).
	ErrTooLarge = errors.New("too large")
	// ErrUnavailable: the database is away or overloaded; the caller should come again (503).
	ErrUnavailable = errors.New("unavailable")
	// ErrBusy: more comes in at once than there is memory for; the caller should come again (503).
	ErrBusy = errors.New("busy")
)
