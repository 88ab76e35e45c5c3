// Package nodelog finds, in a stream of a node's log lines, those by which the causes of the catalogue show: the kubelet's, the runtime's, the
// kernel's, from a file, from journalctl or through the kubelet.
//
// It is pure: it reads the stream that it is given and opens nothing, and its clock is Input.Now. Its memory does not grow with the stream. What
// to look for comes from the causes (diagnose.LogMatch); what it found goes to the report, and, as diagnose.LogFact, to where it is weighed
// against what the API says.
package nodelog
