package storage

import "fmt"

// count words a number of things: "1 pod", "3 pods".
func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
