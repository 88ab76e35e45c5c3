package live

import (
	"os"
	_ "os/user" // want environment "imports os/user"
)

func where() (string, *os.File) {
	return os.Getenv("KUBECONFIG"), os.Stderr // want environment "uses os.Getenv" environment "uses os.Stderr"
}
