package source

import "errors"

// ErrTruncated is returned by Backend.List after the last object of a list that was cut at its limit.
var ErrTruncated = errors.New("the list was cut at its limit")
