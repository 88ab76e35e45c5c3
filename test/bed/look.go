package bed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kubectl-stuck/kubectl-stuck/test/cri"
	"github.com/kubectl-stuck/kubectl-stuck/test/node"
)

// Running lists the containers that run on the machine, whatever the API says of them: the table of the runtime itself, which no fault keeps back.
// A node that is stopped runs nothing; one that is frozen cannot be asked before Thaw.
func (n *Node) Running(ctx context.Context) ([]cri.Running, error) {
	if n.PID() == 0 {
		return nil, nil
	}
	running, err := cri.Look(ctx, node.RuntimeSocket(n.dir))
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", n.Name, err)
	}
	return running, nil
}

// RunStatic puts a manifest where the kubelet looks for static pods.
func (n *Node) RunStatic(file string, manifest []byte) error {
	path := n.StaticPath(file)
	if err := os.WriteFile(path, manifest, 0o600); err != nil {
		return fmt.Errorf("give node %s a static pod: %w", n.Name, err)
	}
	return nil
}

// StaticPath is where a static pod of that file is.
func (n *Node) StaticPath(file string) string {
	return filepath.Join(node.StaticPods(n.dir), filepath.Base(file))
}
