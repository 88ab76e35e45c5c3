package arch

import (
	"path"
	"slices"
	"strings"
)

// A room is a folder below pkg, with those inside it.
type room struct {
	// floor orders the house: a package may import those of lower floors, and those of its own room.
	floor int
	// pure rooms decide and nothing else: no client, no I/O, no clock, no chance. The same snapshot gives the same
	// answer, live or from a file.
	pure bool
	// cli is the only room that knows the environment and the clock.
	cli bool
	// writes says that this room may change a cluster.
	writes bool
	// onlyFor, where set, are the rooms that may import this one.
	onlyFor []string
}

// rooms is the house: data flows from the lower floors to the higher ones. A package below pkg that has no room
// here breaks a rule, so that a new one is a decision and not an accident.
func rooms() map[string]room {
	return map[string]room{
		"snapshot": {floor: 10, pure: true},
		"source":   {floor: 15, onlyFor: []string{"cli", "apply"}},
		"stuck":    {floor: 20, pure: true},
		"scope":    {floor: 30, pure: true},
		"diagnose": {floor: 40, pure: true},
		// What several causes, the report and the remedies want to know of an object: who owns its finalizers, what is asked
		// before it may change, what its volumes rest on.
		"finalizer": {floor: 41, pure: true},
		"admission": {floor: 42, pure: true},
		"volume":    {floor: 43, pure: true},
		// Where pods of a node would find room elsewhere.
		"room":    {floor: 44, pure: true},
		"nodelog": {floor: 45, pure: true},
		"causes":  {floor: 50, pure: true},
		"remedy":  {floor: 60, pure: true},
		"report":  {floor: 70, pure: true},
		"render":  {floor: 80, pure: true},
		"journal": {floor: 85, onlyFor: []string{"cli", "apply"}},
		"apply":   {floor: 90, writes: true, onlyFor: []string{"cli"}},
		"cli":     {floor: 100, cli: true},
	}
}

// restriction says which folders below pkg may import a module or a part of it; a folder stands for those in it.
type restriction struct {
	prefix  string
	allowed []string
	why     string
	// except are parts that are not restricted.
	except []string
}

func restrictions() []restriction {
	return []restriction{
		{prefix: "k8s.io/client-go", allowed: []string{"source/live", "apply", "cli"}, why: "it reaches for a cluster",
			except: []string{"k8s.io/client-go/util/jsonpath"}},
		{prefix: "k8s.io/client-go/util/jsonpath", allowed: []string{"render", "cli"}, why: "it is an output format"},
		{prefix: "k8s.io/cli-runtime", allowed: []string{"cli"}, why: "it belongs to the command line",
			except: []string{"k8s.io/cli-runtime/pkg/printers"}},
		{prefix: "k8s.io/cli-runtime/pkg/printers", allowed: []string{"render", "cli"}, why: "it is an output format"},
		{prefix: "k8s.io/kubectl", allowed: []string{"cli"}, why: "it belongs to the command line", except: []string{"k8s.io/kubectl/pkg/drain"}},
		{prefix: "github.com/spf13/cobra", allowed: []string{"cli"}, why: "it belongs to the command line"},
		{prefix: "github.com/spf13/pflag", allowed: []string{"cli"}, why: "it belongs to the command line"},
		{prefix: "golang.org/x/term", allowed: []string{"cli"}, why: "it asks the terminal"},
		{prefix: "github.com/olekukonko/tablewriter", allowed: []string{"render"}, why: "tables are drawn in one place"},
		{prefix: "net/http", allowed: []string{"source/live", "apply", "cli"}, why: "it reaches for a network"},
		{prefix: "os/exec", allowed: []string{"cli"}, why: "it runs programs"},
	}
}

// clients are packages that no pure package may reach, through whatever else it imports.
func clients() []string {
	return []string{
		"k8s.io/client-go/discovery", "k8s.io/client-go/dynamic", "k8s.io/client-go/kubernetes", "k8s.io/client-go/metadata",
		"k8s.io/client-go/rest", "k8s.io/client-go/tools", "k8s.io/client-go/transport",
	}
}

// impure is what a pure package must not import from the standard library and from apimachinery: what reads or
// writes files, networks, the environment, time or chance.
func impure() []string {
	return []string{
		"crypto/rand", "database/sql", "expvar", "io/fs", "io/ioutil", "log", "math/rand", "net", "os", "path/filepath",
		"plugin", "runtime/debug", "runtime/metrics", "runtime/pprof", "runtime/trace", "syscall", "testing", "unsafe",
		"k8s.io/apimachinery/pkg/util/httpstream", "k8s.io/apimachinery/pkg/util/net", "k8s.io/apimachinery/pkg/util/proxy",
		"k8s.io/apimachinery/pkg/util/rand", "k8s.io/apimachinery/pkg/util/uuid", "k8s.io/apimachinery/pkg/util/wait",
		"k8s.io/apimachinery/pkg/watch",
	}
}

// pureAll are parts of impure ones that only compute.
func pureAll() []string { return []string{"net/netip", "net/url"} }

// pureModules are the modules that pure packages may import, beside the standard library and this house. snapshot
// may import only the first two.
func pureModules() []string {
	return []string{
		"k8s.io/api", "k8s.io/apimachinery", "k8s.io/component-helpers/scheduling/corev1", "k8s.io/component-helpers/resource", "sigs.k8s.io/yaml", "go.yaml.in/yaml", "golang.org/x/text",
		// Each of these is also limited to render by restrictions, or measures text.
		"github.com/olekukonko/tablewriter", "k8s.io/cli-runtime/pkg/printers", "k8s.io/client-go/util/jsonpath",
		"github.com/clipperhouse/displaywidth", "github.com/mattn/go-runewidth", "github.com/rivo/uniseg",
	}
}

// below tells whether importPath is prefix or in it.
func below(importPath, prefix string) bool {
	return importPath == prefix || strings.HasPrefix(importPath, prefix+"/")
}

func belowAny(importPath string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return below(importPath, p) })
}

// isTestHelper tells packages that serve tests, by Go's habit of naming them.
func isTestHelper(rel string) bool {
	return strings.HasSuffix(path.Base(rel), "test")
}
