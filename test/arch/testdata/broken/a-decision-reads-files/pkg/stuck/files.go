package stuck

import (
	_ "io/fs"     // want pure-imports "imports io/fs"
	_ "log/slog"  // want pure-imports "imports log/slog"
	_ "math/rand" // want pure-imports "imports math/rand"
	_ "net"       // want pure-imports "imports net:"
	_ "net/http"  // want pure-imports "imports net/http" restricted-imports "it reaches for a network"
	_ "net/url"   // only computes
	_ "os"        // want pure-imports "imports os:"
	_ "os/exec"   // want pure-imports "imports os/exec" restricted-imports "it runs programs"
	_ "syscall"   // want pure-imports "imports syscall"

	_ "example.com/house/pkg/source/live" // want one-way "source, which is only for cli and apply"
)
