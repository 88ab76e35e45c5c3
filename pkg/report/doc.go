// Package report turns a diagnosis into the versioned document that every output is made from.
//
// The document is a contract: fields are added, never renamed or removed within a version, and a test pins the list.
// It is pure; package render prints it.
package report
