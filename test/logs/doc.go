// Package logs tests kubectl stuck node NAME --logs against real API servers, and kubelets whose /logs/ is served in every way that there is.
package logs
