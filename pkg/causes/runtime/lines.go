package runtime

// noAnswerInTime is how a request ends that the runtime did not answer: gRPC's code by name, as a number (kubelets before 1.8 logged it so) and in words.
func noAnswerInTime() []string {
	return []string{"DeadlineExceeded", "context deadline exceeded", "code = 4 desc", "operation timeout"}
}
