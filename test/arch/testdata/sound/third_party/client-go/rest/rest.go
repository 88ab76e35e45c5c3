package rest

// Interface stands in for the real one.
type Interface interface {
	Verb(verb string) *Request
	Get() *Request
	Delete() *Request
}

// Request stands in for the real one.
type Request struct{}
