package core

import "errors"

// Sentinel errors that every package wraps; internal/httpx maps them to HTTP statuses.
var (
	// ErrNotFound: the thing asked for does not exist (404).
	ErrNotFound = errors.New("not found")
	// ErrGone: the thing existed and was removed (410).
	ErrGone = errors.New("gone")
	// ErrConflict: the thing exists but is not in a state that allows the request (409).
	ErrConflict = errors.New("conflict")
	// ErrInvalid: the input was received but cannot be used (400 on webhooks, 422 on the API).
	ErrInvalid = errors.New("invalid")
	// ErrDenied: the caller could not prove who they are (401).
	ErrDenied = errors.New("denied")
	// ErrForbidden: the caller is known but may not do this (403).
	ErrForbidden = errors.New("forbidden")
	// ErrTooLarge: the input exceeds a documented limit (413).
	ErrTooLarge = errors.New("too large")
	// ErrUnavailable: the database is unreachable or overloaded; the caller should try again (503).
	ErrUnavailable = errors.New("unavailable")
	// ErrBusy: too much input arrives at once for the memory; the caller should try again (503).
	ErrBusy = errors.New("busy")
	// ErrOutside: a service that Scanhook asks for this does not answer; the caller should try again (503).
	ErrOutside = errors.New("not reachable")
)
