package diagnose_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// scales hold the pods a, b and c, which hang on node n since an hour, and d on node m; c has a volume of server 10.20.30.40.
func scales(t *testing.T) (*snapshot.Snapshot, stuck.Result) {
	t.Helper()
	b := snapshot.NewBuilder()
	for name, node := range map[string]string{"a": "n", "b": "n", "c": "n", "d": "m"} {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(now.Add(-time.Hour)),
				OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: name, Controller: new(bool)}}},
			Spec: corev1.PodSpec{NodeName: node},
			Status: corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{
				{Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}},
			}},
		}
		if name == "c" {
			p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "10.20.30.40", Path: "/x"}}}}
		}
		b.Add(p)
	}
	s, err := b.Build(now)
	if err != nil {
		t.Fatal(err)
	}
	return s, stuck.Find(s, stuck.Options{})
}

// api is a cause that finds the pods of those names, with that confidence and those alternatives.
func api(code, slug string, reach scope.Reach, sure diagnose.Confidence, pods string, alternatives ...string) diagnose.Cause {
	c := diagnose.Cause{Code: diagnose.Code(code), Slug: slug, Reach: reach, Doc: diagnose.Doc{Title: "T " + slug}}
	if pods == "" {
		return c
	}
	c.Pod = func(_ *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
		f := diagnose.Finding{Confidence: sure, Message: "M", Alternatives: alternatives, Decide: "D", Evidence: []diagnose.Evidence{{Object: "pod " + p.Ref.Name, Field: "f", Value: "v"}}}
		if reach == scope.ReachNode {
			f.Subject = snapshot.Ref{Kind: snapshot.Node, Name: p.Node}
		}
		if reach == scope.ReachShared {
			f.Subject = snapshot.Ref{Kind: snapshot.PersistentVolume, Name: "pv-main"}
		}
		return f, strings.Contains(pods, p.Ref.Name)
	}
	return c
}

// line is a fact, five minutes old.
func line(code string, sure diagnose.Confidence, pods ...string) diagnose.LogFact {
	return diagnose.LogFact{Code: diagnose.Code(code), Confidence: sure, Pods: pods, Count: 3, First: now.Add(-40 * time.Minute), Last: now.Add(-5 * time.Minute), Source: "log of kubelet on node n", Line: 123, Sample: "a line"}
}

func with(f diagnose.LogFact, change func(*diagnose.LogFact)) diagnose.LogFact {
	change(&f)
	return f
}

// summary is what is found, as "slug confidence pods", and the pods that are unexplained.
func summary(d diagnose.Diagnosis) string {
	var out []string
	for _, f := range d.Findings {
		var pods []string
		for _, r := range f.Explains {
			pods = append(pods, r.Name)
		}
		slices.Sort(pods)
		l := fmt.Sprintf("%s %s [%s]", f.Slug, f.Confidence, strings.Join(pods, ""))
		if len(f.Alternatives) > 0 {
			l += " or " + strings.Join(f.Alternatives, ",")
		}
		out = append(out, l)
	}
	var left []string
	for r := range d.Unexplained {
		left = append(left, r.Name)
	}
	slices.Sort(left)
	return strings.Join(out, "; ") + "; unexplained [" + strings.Join(left, "") + "]"
}

func TestWeigh(t *testing.T) {
	const (
		certain  = diagnose.Certain
		likely   = diagnose.Likely
		possible = diagnose.Possible
		node     = scope.ReachNode
		pod      = scope.ReachPod
		shared   = scope.ReachShared
	)
	x := func(sure diagnose.Confidence, pods string, alternatives ...string) diagnose.Cause {
		return api("ST901", "x", node, sure, pods, alternatives...)
	}
	xPod := func(sure diagnose.Confidence, pods string, alternatives ...string) diagnose.Cause {
		return api("ST901", "x", pod, sure, pods, alternatives...)
	}
	y := api("ST902", "y", node, "", "")
	yPod := api("ST902", "y", pod, "", "")
	yShared := api("ST902", "y", shared, "", "")
	z := api("ST903", "z", node, "", "")
	for name, c := range map[string]struct {
		causes []diagnose.Cause
		facts  []diagnose.LogFact
		want   string
	}{
		"no fact changes nothing": {[]diagnose.Cause{x(possible, "abc", "y"), y}, nil, "x possible [abc] or y; unexplained [d]"},

		"a likely line of its own makes a possible finding likely, and leaves no alternative that the line does not fit": {
			[]diagnose.Cause{x(possible, "abc", "y"), y}, []diagnose.LogFact{line("ST901", likely)}, "x likely [abc]; unexplained [d]"},
		"a possible line does not, where it fits the same alternative": {
			[]diagnose.Cause{x(possible, "abc", "y"), y}, []diagnose.LogFact{with(line("ST901", possible), func(f *diagnose.LogFact) { f.Alternatives = []string{"y"} })}, "x possible [abc] or y; unexplained [d]"},
		"a possible line does, where only this cause fits both": {
			[]diagnose.Cause{x(possible, "abc", "y"), y, z}, []diagnose.LogFact{with(line("ST901", possible), func(f *diagnose.LogFact) { f.Alternatives = []string{"z"} })}, "x likely [abc]; unexplained [d]"},
		"a likely line that names no pod does not make certain": {
			[]diagnose.Cause{x(likely, "abc")}, []diagnose.LogFact{line("ST901", likely)}, "x likely [abc]; unexplained [d]"},
		"likely lines that name every pod make certain": {
			[]diagnose.Cause{x(likely, "abc")}, []diagnose.LogFact{line("ST901", likely, "shop/a", "uid-b", "shop/c")}, "x certain [abc]; unexplained [d]"},
		"likely lines that name one of the pods do not": {
			[]diagnose.Cause{x(likely, "abc")}, []diagnose.LogFact{line("ST901", likely, "shop/a")}, "x likely [abc]; unexplained [d]"},
		"a certain line makes a likely finding certain": {
			[]diagnose.Cause{x(likely, "abc")}, []diagnose.LogFact{line("ST901", certain)}, "x certain [abc]; unexplained [d]"},
		"a certain line makes a possible finding certain only where it names the pods": {
			[]diagnose.Cause{xPod(possible, "a", "y"), y}, []diagnose.LogFact{line("ST901", certain, "shop/a")}, "x certain [a]; unexplained [bcd]"},
		"and else likely": {
			[]diagnose.Cause{xPod(possible, "a", "y"), y}, []diagnose.LogFact{line("ST901", certain)}, "x likely [a]; unexplained [bcd]"},
		"a certain line is of no certainty for the pods of another node": {
			[]diagnose.Cause{api("ST901", "x", shared, likely, "abcd")}, []diagnose.LogFact{line("ST901", certain)}, "x likely [abcd]; unexplained []"},
		"nothing becomes certain while a line speaks for an alternative": {
			[]diagnose.Cause{x(likely, "abc", "y"), y}, []diagnose.LogFact{line("ST901", certain), line("ST902", likely)}, "x likely [abc] or y; y likely [abc]; unexplained [d]"},
		"a certain line that may be about another object does not": {
			[]diagnose.Cause{xPod(likely, "a")}, []diagnose.LogFact{line("ST901", certain)}, "x likely [a]; unexplained [bcd]"},
		"one that names what the finding is about does": {
			[]diagnose.Cause{api("ST901", "x", shared, likely, "abc")}, []diagnose.LogFact{with(line("ST901", certain), func(f *diagnose.LogFact) { f.Sample = "volume pv-main is gone" })}, "x certain [abc]; unexplained [d]"},
		"where everything is certain, a line about the node that is not is no finding": {
			[]diagnose.Cause{x(certain, "abc"), y}, []diagnose.LogFact{line("ST902", likely)}, "x certain [abc]; unexplained [d]"},
		"a line without a time is worth a degree less": {
			[]diagnose.Cause{x(likely, "abc")}, []diagnose.LogFact{with(line("ST901", certain), func(f *diagnose.LogFact) { f.First, f.Last = time.Time{}, time.Time{} })}, "x likely [abc]; unexplained [d]"},
		"lines about other pods do not speak for a finding": {
			[]diagnose.Cause{x(possible, "abc", "y"), y}, []diagnose.LogFact{line("ST901", certain, "shop/gone")}, "x possible [abc] or y; unexplained [d]"},
		"lines older than what is stuck do not": {
			[]diagnose.Cause{x(possible, "abc", "y"), y}, []diagnose.LogFact{with(line("ST901", certain), func(f *diagnose.LogFact) { f.Last = now.Add(-2 * time.Hour) })}, "x possible [abc] or y; unexplained [d]"},

		"a line for an alternative weakens the finding and makes one of the alternative": {
			[]diagnose.Cause{x(likely, "abc", "y"), y}, []diagnose.LogFact{line("ST902", likely)}, "y likely [abc]; x possible [abc] or y; unexplained [d]"},
		"where it names one pod, only for that": {
			[]diagnose.Cause{x(likely, "abc", "y"), yPod}, []diagnose.LogFact{line("ST902", likely, "shop/b")}, "x likely [ac] or y; y likely [b]; x possible [b] or y; unexplained [d]"},
		"a certain one that names the pods leaves nothing of the guess": {
			[]diagnose.Cause{xPod(possible, "a", "y"), yPod}, []diagnose.LogFact{line("ST902", certain, "shop/a")}, "y certain [a]; unexplained [bcd]"},
		"but not where lines speak for two alternatives": {
			[]diagnose.Cause{xPod(possible, "a", "y", "z"), yPod, z}, []diagnose.LogFact{line("ST902", certain, "shop/a"), line("ST903", likely, "shop/a")}, "y likely [a]; z likely [a]; x possible [a] or y,z; unexplained [bcd]"},
		"what a line only makes possible weakens nothing": {
			[]diagnose.Cause{x(likely, "abc", "y"), y}, []diagnose.LogFact{with(line("ST902", possible), func(f *diagnose.LogFact) { f.Alternatives = []string{"x"} })}, "x likely [abc] or y; unexplained [d]"},
		"unless the alternative is the only cause that fits both": {
			[]diagnose.Cause{x(possible, "abc", "y"), y, z}, []diagnose.LogFact{with(line("ST902", possible), func(f *diagnose.LogFact) { f.Alternatives = []string{"z"} })}, "y likely [abc] or z; x possible [abc] or y; unexplained [d]"},
		"a certain finding is not weakened": {
			[]diagnose.Cause{x(certain, "abc"), y}, []diagnose.LogFact{line("ST902", certain)}, "x certain [abc]; y likely []; unexplained [d]"},
		"an alternative that is found already is strengthened, and the other weakened": {
			[]diagnose.Cause{x(likely, "abc", "y"), api("ST902", "y", node, possible, "abc", "x")}, []diagnose.LogFact{line("ST902", likely)}, "y likely [abc]; x possible [abc] or y; unexplained [d]"},
		"pods of other nodes keep their finding as it was": {
			[]diagnose.Cause{api("ST901", "x", shared, likely, "abcd", "y"), y}, []diagnose.LogFact{line("ST902", likely)}, "y likely [abc]; x likely [d] or y; x possible [abc] or y; unexplained []"},

		"a line of which the API said nothing explains the pods that it names": {
			[]diagnose.Cause{yPod}, []diagnose.LogFact{line("ST902", certain, "shop/b")}, "y certain [b]; unexplained [acd]"},
		"or, for a cause of nodes, those that wait for the node": {
			[]diagnose.Cause{y}, []diagnose.LogFact{line("ST902", likely)}, "y likely [abc]; unexplained [d]"},
		"but not those for which something is certain": {
			[]diagnose.Cause{xPod(certain, "a"), y}, []diagnose.LogFact{line("ST902", likely)}, "x certain [a]; y likely [bc]; unexplained [d]"},
		"nor, for a cause of pods, any": {
			[]diagnose.Cause{yPod}, []diagnose.LogFact{line("ST902", certain)}, "; unexplained [abcd]"},
		"nor where it names others": {
			[]diagnose.Cause{y}, []diagnose.LogFact{line("ST902", certain, "shop/gone", "shop/d")}, "; unexplained [abcd]"},
		"a line that names the server of a volume explains the pods that use it": {
			[]diagnose.Cause{yShared}, []diagnose.LogFact{with(line("ST902", certain), func(f *diagnose.LogFact) { f.Sample = "nfs: server 10.20.30.40 not responding, still trying" })}, "y likely [c]; unexplained [abd]"},
		"what is only possible explains what is unexplained": {
			[]diagnose.Cause{xPod(possible, "a", "q"), y}, []diagnose.LogFact{line("ST902", possible)}, "x possible [a] or q; y possible [bc]; unexplained [d]"},
		"two causes of which the API said nothing stand beside each other": {
			[]diagnose.Cause{y, z}, []diagnose.LogFact{line("ST902", likely), line("ST903", likely)}, "y likely [abc]; z likely [abc]; unexplained [d]"},
		"lines of two logs are one finding": {
			[]diagnose.Cause{y}, []diagnose.LogFact{line("ST902", likely), with(line("ST902", likely), func(f *diagnose.LogFact) { f.Source = "file messages of node n" })}, "y likely [abc]; unexplained [d]"},
		"a code that no cause has is passed over": {
			[]diagnose.Cause{y}, []diagnose.LogFact{line("ST999", certain)}, "; unexplained [abcd]"},
	} {
		t.Run(name, func(t *testing.T) {
			s, found := scales(t)
			d := diagnose.Run(s, found, c.causes)
			before := summary(d)
			got := diagnose.Weigh(s, d, "n", c.facts, c.causes)
			if g := summary(got); g != c.want {
				t.Errorf("before %s\ngot    %s\nwant   %s", before, g, c.want)
			}
			if after := summary(d); after != before {
				t.Errorf("what was given was changed: %s became %s", before, after)
			}
			again := diagnose.Weigh(s, d, "n", c.facts, c.causes)
			if summary(again) != summary(got) {
				t.Errorf("it answers differently the second time: %s", summary(again))
			}
		})
	}
}

func TestBothKindsOfEvidenceStandInTheFinding(t *testing.T) {
	s, found := scales(t)
	causes := []diagnose.Cause{api("ST901", "x", scope.ReachNode, diagnose.Possible, "abc", "y"), api("ST902", "y", scope.ReachNode, "", "")}
	for _, code := range []string{"ST901", "ST902"} {
		d := diagnose.Weigh(s, diagnose.Run(s, found, causes), "n", []diagnose.LogFact{line(code, diagnose.Likely)}, causes)
		f := d.Findings[0]
		want := diagnose.Evidence{Object: "log of kubelet on node n", Field: "line 123", Value: "a line", Count: 3, Last: now.Add(-5 * time.Minute)}
		if string(f.Code) != code || !slices.Contains(f.Evidence, want) || !slices.ContainsFunc(f.Evidence, func(e diagnose.Evidence) bool { return e.Object == "pod a" }) {
			t.Errorf("%s: %+v", code, f)
		}
	}
}

func TestALineThatMayBeAboutSomethingElseIsNoEvidenceOfWhatIsCertain(t *testing.T) {
	s, found := scales(t)
	causes := []diagnose.Cause{api("ST901", "x", scope.ReachPod, diagnose.Certain, "abc")}
	for _, c := range []struct {
		fact diagnose.LogFact
		of   int // pods whose finding quotes it
	}{{line("ST901", diagnose.Likely), 0}, {line("ST901", diagnose.Likely, "shop/b"), 1}} {
		n := 0
		for _, f := range diagnose.Weigh(s, diagnose.Run(s, found, causes), "n", []diagnose.LogFact{c.fact}, causes).Findings {
			if slices.ContainsFunc(f.Evidence, func(e diagnose.Evidence) bool { return e.Field == "line 123" }) {
				n++
			}
		}
		if n != c.of {
			t.Errorf("lines that name %v are evidence of %d findings, want %d", c.fact.Pods, n, c.of)
		}
	}
}

func TestAFindingOfTheLogsNamesItsRemediesAndWhereItStands(t *testing.T) {
	s, found := scales(t)
	y := api("ST902", "y", scope.ReachNode, "", "")
	y.Doc.Remedies = []diagnose.Remedy{{ID: "r", Command: "restart {node}"}}
	d := diagnose.Weigh(s, diagnose.Run(s, found, []diagnose.Cause{y}), "n", []diagnose.LogFact{line("ST902", diagnose.Likely)}, []diagnose.Cause{y})
	f := d.Findings[0]
	if f.Title != "T y" || f.Remedies[0].Command != "restart n" || !strings.Contains(f.Message, "3 lines") || !strings.Contains(f.Message, "log of kubelet on node n") || f.Subject.Name != "n" {
		t.Errorf("%+v", f)
	}
	if got := d.Of(f.Explains[0]); len(got) != 1 || got[0].Code != "ST902" {
		t.Errorf("the pod's findings are %+v", got)
	}
}

func TestTheLogOfANodeOnWhichNothingIsStuckExplainsNothing(t *testing.T) {
	b := snapshot.NewBuilder()
	b.Add(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}})
	b.Add(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "bad"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse}}}})
	s, err := b.Build(now)
	if err != nil {
		t.Fatal(err)
	}
	causes := []diagnose.Cause{api("ST902", "y", scope.ReachNode, "", "")}
	run := func(node string) string {
		return summary(diagnose.Weigh(s, diagnose.Run(s, stuck.Result{}, causes, node), node, []diagnose.LogFact{line("ST902", diagnose.Certain)}, causes))
	}
	if got := run("n"); got != "; unexplained []" {
		t.Errorf("of a node that is well: %s", got)
	}
	if got := run("bad"); got != "y likely []; unexplained []" {
		t.Errorf("of a node in trouble: %s", got)
	}
}

func TestLinesCountFromAWhileBeforeTheFirstPodGotStuck(t *testing.T) {
	s, found := scales(t)
	d := diagnose.Run(s, found, nil)
	since := diagnose.LogsSince(&d, "n")
	if since.IsZero() || !since.Before(now.Add(-time.Hour)) || !diagnose.TooOld(since, since.Add(-time.Second)) || diagnose.TooOld(since, since) || diagnose.TooOld(since, time.Time{}) {
		t.Errorf("since %s", since)
	}
	if !diagnose.LogsSince(&d, "elsewhere").IsZero() || diagnose.TooOld(time.Time{}, now.Add(-time.Hour*99)) {
		t.Error("where nothing is stuck, nothing is old")
	}
	// A pod that is being deleted counts from when it was asked to end.
	for i := range d.Scope.Groups {
		for j, p := range d.Scope.Groups[i].Stuck {
			grace, o := int64(7200), p.Object.DeepCopy()
			o.DeletionGracePeriodSeconds = &grace
			d.Scope.Groups[i].Stuck[j].Object, d.Scope.Groups[i].Stuck[j].State = o, stuck.Terminating
		}
	}
	if got := diagnose.LogsSince(&d, "n"); since.Sub(got) != 2*time.Hour {
		t.Errorf("with a grace period of two hours: since %s, without %s", got, since)
	}
	old := []diagnose.LogFact{with(line("ST902", diagnose.Likely), func(f *diagnose.LogFact) { f.Last = now.Add(-5 * time.Hour) })}
	y := []diagnose.Cause{api("ST902", "y", scope.ReachNode, "", "")}
	if got := summary(diagnose.WeighSince(s, diagnose.Run(s, found, y), "n", now.Add(-24*time.Hour), old, y)); got != "y likely [abc]; unexplained [d]" {
		t.Errorf("lines that somebody wants to count: %s", got)
	}
}

func TestWhatWasSaidOfAPodLongAgoLeavesADoubt(t *testing.T) {
	s, found := scales(t)
	causes := []diagnose.Cause{api("ST902", "y", scope.ReachPod, "", "")}
	at := func(age time.Duration) func(*diagnose.LogFact) {
		return func(f *diagnose.LogFact) { f.First, f.Last = now.Add(-age), now.Add(-age) }
	}
	for _, c := range []struct {
		name string
		fact diagnose.LogFact
		want string
	}{
		{"five minutes old", line("ST902", diagnose.Certain, "shop/a"), "y certain [a]; unexplained [bcd]"},
		{"twenty minutes old", with(line("ST902", diagnose.Certain, "shop/a"), at(20*time.Minute)), "y likely [a]; unexplained [bcd]"},
		{"from before the pod was made", with(line("ST902", diagnose.Certain, "shop/a"), at(70*time.Minute)), "y likely [a]; unexplained [bcd]"},
		{"likely, and twenty minutes old", with(line("ST902", diagnose.Likely, "shop/a"), at(20*time.Minute)), "y possible [a]; unexplained [bcd]"},
	} {
		d := diagnose.Weigh(s, diagnose.Run(s, found, causes), "n", []diagnose.LogFact{c.fact}, causes)
		if got := summary(d); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if doubt := d.Findings[0].Decide != ""; doubt != (c.name != "five minutes old") {
			t.Errorf("%s: to decide: %q", c.name, d.Findings[0].Decide)
		}
	}

	// With an API that says likely, an old line that names every pod does not make it certain; a new one does.
	x := []diagnose.Cause{api("ST901", "x", scope.ReachPod, diagnose.Likely, "a")}
	for age, want := range map[time.Duration]string{20 * time.Minute: "x likely [a]; unexplained [bcd]", 5 * time.Minute: "x certain [a]; unexplained [bcd]"} {
		d := diagnose.Weigh(s, diagnose.Run(s, found, x), "n", []diagnose.LogFact{with(line("ST901", diagnose.Certain, "shop/a"), at(age))}, x)
		if got := summary(d); got != want {
			t.Errorf("%s: %s, want %s", age, got, want)
		}
	}
}
