package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Config is all that the process of a node is told, as a JSON file.
type Config struct {
	Name string `json:"name"`
	// Dir holds the node's sockets and the kubelet's root directory.
	Dir        string            `json:"dir"`
	Kubeconfig string            `json:"kubeconfig"`
	PodCIDR    string            `json:"podCIDR"`
	Labels     map[string]string `json:"labels,omitempty"`
	Taints     []corev1.Taint    `json:"taints,omitempty"`

	RuntimeVersion string `json:"runtimeVersion,omitempty"`
	KernelVersion  string `json:"kernelVersion"`
	OSImage        string `json:"osImage"`
	CPUs           int    `json:"cpus"`
	MemoryBytes    uint64 `json:"memoryBytes"`
	MaxPods        int32  `json:"maxPods"`

	// StaticPods lets the kubelet run what is in the folder of that name.
	StaticPods bool `json:"staticPods,omitempty"`

	// Logs says how /logs/ is served: LogsAll when empty.
	Logs string `json:"logs,omitempty"`

	// KubeletPort is where the kubelet itself listens, on 127.0.0.1.
	KubeletPort int `json:"kubeletPort"`

	// RuntimeRequestTimeout is how long the kubelet waits for the runtime.
	RuntimeRequestTimeout time.Duration `json:"runtimeRequestTimeout"`
}

// How a kubelet serves /logs/.
const (
	LogsAll   = ""      // enableSystemLogQuery: units and files
	LogsFiles = "files" // a kubelet's default, and any before 1.27: ?query= is passed over
	LogsOff   = "off"   // enableSystemLogHandler: false
)

// ReadConfig reads a Config from a file.
func ReadConfig(path string) (Config, error) {
	var c Config
	data, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read the node's configuration: %w", err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("read the node's configuration %s: %w", path, err)
	}
	return c, nil
}

// FaultSocket is where the fault.Set of the node in that folder is served.
func FaultSocket(dir string) string { return filepath.Join(dir, "faults.sock") }

// KubeletSocket is where the node in that folder serves the kubelet's API to
// the API server, with TLS.
func KubeletSocket(dir string) string { return filepath.Join(dir, "kubelet.sock") }

// LogDir is the node's /var/log: what the units kubelet and containerd wrote.
func (c Config) LogDir() string { return filepath.Join(c.Dir, "log") }

// RuntimeSocket is where the node in that folder serves the CRI.
func RuntimeSocket(dir string) string { return filepath.Join(dir, "containerd.sock") }

// StaticPods is where the kubelet of the node in that folder finds its static pods.
func StaticPods(dir string) string { return filepath.Join(dir, "manifests") }

func (c Config) runtimeSocket() string { return RuntimeSocket(c.Dir) }
func (c Config) root() string          { return filepath.Join(c.Dir, "kubelet") }
