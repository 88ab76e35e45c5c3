package bed_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

// helperVariable makes the test binary start a bed and wait to be killed.
const helperVariable = "BED_TEST_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) != "" {
		os.Exit(helper())
	}
	os.Exit(m.Run())
}

// helper prints the ids of its children and then waits for ever.
func helper() int {
	c, err := bed.Start(context.Background(), bed.Options{NoControllerManager: true, NoScheduler: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, pid := range c.PIDs() {
		fmt.Println(pid)
	}
	fmt.Println(c.Dir())
	select {}
}

func start(t *testing.T, opts bed.Options) *bed.Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	opts.Log = os.Stderr
	c, err := bed.Start(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// alive says whether there is a process of that id which is not a zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func waitGone(t *testing.T, pids []int) {
	t.Helper()
	err := bed.Poll(context.Background(), 20*time.Second, func(context.Context) error {
		for _, pid := range pids {
			if alive(pid) {
				return fmt.Errorf("process %d is alive", pid)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestStopLeavesNothing(t *testing.T) {
	c := start(t, bed.Options{})
	if _, err := c.StartNode(t.Context(), "worker-a1", bed.NodeOptions{}); err != nil {
		t.Fatal(err)
	}
	frozen, err := c.StartNode(t.Context(), "worker-a2", bed.NodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := frozen.Freeze(); err != nil {
		t.Fatal(err)
	}
	pids := c.PIDs()
	if len(pids) != 6 {
		t.Fatalf("there are %d processes, want 6", len(pids))
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	waitGone(t, pids)
	if _, err := os.Stat(c.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory %s is still there: %v", c.Dir(), err)
	}
	if err := c.Stop(); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
}

func TestKilledParentLeavesNoProcess(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperVariable+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// It has been killed already, unless the test failed before.
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
	})
	pids, dir := readHelper(t, out)
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if len(pids) != 2 {
		t.Fatalf("the helper has %d children, want 2", len(pids))
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the helper ended well")
	}
	waitGone(t, pids)
}

func readHelper(t *testing.T, out io.Reader) (pids []int, dir string) {
	t.Helper()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		pid, err := strconv.Atoi(lines.Text())
		if err != nil {
			return pids, lines.Text()
		}
		pids = append(pids, pid)
	}
	t.Fatal("the helper did not start a bed")
	return nil, ""
}

func TestFailedStartShowsTheLog(t *testing.T) {
	dir := t.TempDir()
	_, err := bed.Start(t.Context(), bed.Options{Dir: dir, APIServerArgs: []string{"--no-such-flag"}})
	var failure *bed.StartError
	if !errors.As(err, &failure) {
		t.Fatalf("Start returned %v", err)
	}
	if failure.Component != "kube-apiserver" || !strings.Contains(err.Error(), "unknown flag: --no-such-flag") {
		t.Errorf("the error does not show why: %v", err)
	}
}

func TestEtcdDirIsKept(t *testing.T) {
	opts := bed.Options{EtcdDir: filepath.Join(t.TempDir(), "etcd"), NoControllerManager: true, NoScheduler: true}
	first := start(t, opts)
	if err := first.EnsureNamespace(t.Context(), "seeded"); err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	second := start(t, opts)
	if _, err := second.Client().CoreV1().Namespaces().Get(t.Context(), "seeded", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	// Without a controller manager nobody makes ServiceAccounts; pods must be
	// possible all the same.
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "idle"},
		Spec:       corev1.PodSpec{NodeName: "made-up", Containers: []corev1.Container{{Name: "idle", Image: "registry.example.com/idle:v1"}}},
	}
	if _, err := second.Client().CoreV1().Pods("seeded").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
}

func TestUsersMayDoWhatRBACSays(t *testing.T) {
	c := start(t, bed.Options{NoScheduler: true})
	for _, namespace := range []string{"shop", "payments"} {
		if err := c.EnsureNamespace(t.Context(), namespace); err != nil {
			t.Fatal(err)
		}
	}
	person, err := c.NamespaceKubeconfig(t.Context(), "dana", "shop", "view")
	if err != nil {
		t.Fatal(err)
	}
	account, err := c.ServiceAccountKubeconfig(t.Context(), "shop", "watcher", "view")
	if err != nil {
		t.Fatal(err)
	}
	nobody, err := c.UserKubeconfig("nobody-special", "guests")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, kubeconfig, namespace string
		allowed                     bool
	}{
		{"admin reads everything", c.Kubeconfig(), "", true},
		{"a namespace's user reads it", person, "shop", true},
		{"a namespace's user reads no other", person, "payments", false},
		{"a namespace's user reads not all", person, "", false},
		{"a ServiceAccount reads its namespace", account, "shop", true},
		{"a ServiceAccount reads no other", account, "payments", false},
		{"a user without a binding reads nothing", nobody, "shop", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config, err := clientcmd.BuildConfigFromFlags("", tt.kubeconfig)
			if err != nil {
				t.Fatal(err)
			}
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				t.Fatal(err)
			}
			// The authorizer learns of a binding a moment after it was made.
			err = bed.Poll(t.Context(), 10*time.Second, func(ctx context.Context) error {
				_, err := client.CoreV1().Pods(tt.namespace).List(ctx, metav1.ListOptions{})
				if allowed := err == nil; allowed != tt.allowed || err != nil && !apierrors.IsForbidden(err) {
					return fmt.Errorf("listing pods in %q returned %w", tt.namespace, err)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestComponentsReportTheirVersion(t *testing.T) {
	c := start(t, bed.Options{NoControllerManager: true, NoScheduler: true})
	version, err := c.Client().Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if version.GitVersion != bed.KubernetesVersion || version.Minor != "37" {
		t.Errorf("the server reports %s (minor %q)", version.GitVersion, version.Minor)
	}
	bin, err := c.LinkKubectl()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "kubectl"), "version", "--kubeconfig", c.Kubeconfig())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl version: %v\n%s", err, out)
	}
	if want := "Client Version: " + bed.KubernetesVersion; !strings.Contains(string(out), want) {
		t.Errorf("kubectl version does not print %q:\n%s", want, out)
	}
}
