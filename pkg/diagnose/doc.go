// Package diagnose says what a cause is and runs the catalogue of causes over a snapshot: signatures and rules in,
// ranked findings with their evidence out.
//
// It is pure. A cause whose needs could not be read is skipped, and said to be; a panic in one cause loses that
// cause only; a stuck pod without a finding is said to be unexplained, with what was looked at.
package diagnose
