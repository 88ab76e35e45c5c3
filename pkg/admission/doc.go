// Package admission says what is asked before an operation on a pod may happen: the admission webhooks and policies that the API server
// consults, whether they can answer, and the disruption budgets that an eviction must respect. It also recognises the API server's refusals.
//
// It is pure: a snapshot in, statements out. What only the API server can evaluate (match conditions, parameters) is said to be unsure, and
// what was not read is listed by Unread. Admission that is configured in files of the API server (--admission-control-config-file) shows
// nowhere in the API, and so not here.
package admission
