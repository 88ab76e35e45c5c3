package render_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// fixes are the documents that the golden files show.
func fixes() map[string]*report.Fix {
	return map[string]*report.Fix{
		"frozen":          frozen(),
		"frozen-refused":  frozenRefused(),
		"frozen-attested": frozenAttested(),
		"finalizer-gone":  heldByNobody(),
		"finalizer-alive": heldByTheLiving(),
		"webhook":         refusedByAWebhook(),
		"planned":         planned(),
		"rights":          withoutRights(),
		"done":            doneAndProven(),
		"unproven":        doneAndNotProven(),
		"unknown":         nobodyKnows(),
		"several":         severalPlanned(),
		"several-offered": severalOffered(),
		"several-ended":   severalEnded(),
		"undone":          undone(),
		"well":            allWell(),
	}
}

func fixBase(f report.Fix) *report.Fix {
	f.APIVersion, f.Kind, f.TakenAt = report.APIVersion, report.KindFix, taken()
	if f.Origin == (snapshot.Origin{}) {
		f.Origin = snapshot.Origin{Context: "prod", Server: "https://10.0.0.1:6443", Version: "v1.37.2", Clock: "API server"}
	}
	if f.Cases == nil {
		f.Cases = []report.FixCase{}
	}
	f.Gaps = []report.Gap{}
	return &f
}

func cartPod() report.Pod {
	p := ending("shop", "cart-0", "worker-3", stuck.KillUnconfirmed, 14*time.Minute, ref(snapshot.StatefulSet, "shop", "cart"))
	p.Reach, p.Confidence = scope.ReachNode, scope.Certain
	p.Findings = []report.Finding{{
		Code: "ST101", Slug: "node-lost", Title: "The node is lost", Subject: ref(snapshot.Node, "", "worker-3"), Reach: scope.ReachNode, Confidence: scope.Certain,
		Message: "Node worker-3 stopped reporting 16m ago: its kubelet renews its lease no more, and the node controller set Ready to Unknown.",
	}}
	p.ClearsWhy = "its kubelet comes back and confirms that the containers stopped"
	return p
}

func atMostOne() remedy.Verdict {
	return remedy.Verdict{
		Guard: "at-most-one", Level: remedy.Block, Override: `--attest "…"`,
		Reason: "StatefulSet shop/cart promises one pod of each name, and nothing proves that the containers of shop/cart-0 have stopped: node worker-3 does not report, and may still run them. A second cart-0 would write to the same volume.",
		Evidence: []diagnose.Evidence{
			{Object: "node worker-3", Field: "status.conditions[Ready]", Value: "Unknown: NodeStatusUnknown"},
			{Object: "pod shop/cart-0", Field: "status.containerStatuses[app].state", Value: "running"},
		},
	}
}

func heavyWarning() remedy.Verdict {
	return remedy.Verdict{
		Guard: "volume-in-use", Level: remedy.Warn,
		Reason: "Volume pvc-2f0c6f1e (ReadWriteOnce) is still attached to worker-3: the replacement waits until it is detached, 6m after the node is gone at the earliest.",
	}
}

func frozenLadder() []remedy.Rung {
	return []remedy.Rung{
		{ID: remedy.Wait, Title: "wait", By: remedy.ByNobody, Help: remedy.NoHelp, Why: "node worker-3 has not reported for 16m, and nothing removes a StatefulSet pod of a node that is only silent", Risk: diagnose.RiskNone},
		{ID: remedy.Restart, Title: "bring node worker-3 back", By: remedy.ByPerson, Help: remedy.Helps, Why: "its kubelet then ends the pod itself, and the volume is let go in order", Risk: diagnose.RiskLow,
			Commands: []string{"kubectl get node worker-3 -o wide", "ssh worker-3 systemctl status kubelet"}},
		{ID: remedy.OutOfService, Title: "taint node worker-3 as out of service", By: remedy.ByPerson, Help: remedy.Helps, Why: "the pod garbage collector then removes its pods, and the attach controller detaches their volumes at once", Risk: diagnose.RiskHigh,
			Risks:    []string{"right only while the machine is off: 11 other pods of the node are removed too"},
			Commands: []string{"kubectl taint node worker-3 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"}},
		{ID: remedy.DeleteNode, Title: "delete node worker-3", By: remedy.ByPerson, Help: remedy.Helps, Why: "the pod garbage collector removes pods of a missing node after about a minute", Risk: diagnose.RiskHigh,
			Risks: []string{"every one of its 12 pods is force-deleted", "labels and taints of the node are lost"}, Commands: []string{"kubectl delete node worker-3"}},
		{ID: remedy.ForceDelete, Title: "force delete pod shop/cart-0", By: remedy.ByTool, Help: remedy.Helps, Why: "the StatefulSet controller makes cart-0 anew once the name is free", Risk: diagnose.RiskDataLoss,
			Risks: []string{"if worker-3 still runs the old cart-0, two of them write to volume data-cart-0"}, Verdicts: []remedy.Verdict{atMostOne(), heavyWarning()}},
		{ID: remedy.RemoveFinalizers, Title: "take finalizers off", By: remedy.ByTool, Help: remedy.NoHelp, Why: "the pod has none", Risk: diagnose.RiskHigh},
	}
}

func frozen() *report.Fix {
	return fixBase(report.Fix{Cases: []report.FixCase{{Pod: cartPod(), Ladder: frozenLadder()}}})
}

func forceAct(namespace, name, node string, owner snapshot.Ref, risk diagnose.Risk) remedy.Act {
	grace := int64(0)
	target := ref(snapshot.Pod, namespace, name)
	target.UID = "0c7e5a1e-59fb-4f5c-9f0e-b2c1e6a0d9aa"
	return remedy.Act{
		Target: target, Node: node, Owner: &owner, Remedies: []remedy.ID{remedy.ForceDelete}, Risk: risk,
		Loses: []string{"what the containers of " + name + " have not written to disk"},
		Help:  remedy.Helps, Why: owner.String() + " makes another pod",
		Steps: []remedy.Step{{
			Verb: remedy.Delete, Ref: target, ResourceVersion: "88123", Grace: &grace, What: "delete pod " + namespace + "/" + name + " at once, without waiting for its node",
			Kubectl: []string{"kubectl delete pod " + name + " -n " + namespace + " --grace-period=0 --force"},
			Undo:    remedy.Undo{How: "its controller makes another; the journal keeps the manifest"},
		}},
	}
}

func forcePlan(acts ...remedy.Act) *remedy.Plan {
	return &remedy.Plan{
		APIVersion: remedy.APIVersion, Kind: remedy.KindPlan, Made: taken(), Expires: taken().Add(remedy.Lifetime),
		Cluster: remedy.Cluster{Context: "prod", Server: "https://10.0.0.1:6443", ID: "5f0d3c9e"}, Asked: remedy.Asked{Force: true, MaxPods: 10, MaxShare: 50}, Acts: acts,
	}
}

func cartAct(verdicts ...remedy.Verdict) remedy.Act {
	a := forceAct("shop", "cart-0", "worker-3", ref(snapshot.StatefulSet, "shop", "cart"), diagnose.RiskDataLoss)
	a.Verdicts = verdicts
	return a
}

func frozenRefused() *report.Fix {
	f := frozen()
	f.Plan = forcePlan(cartAct(atMostOne(), heavyWarning()))
	return f
}

func attested() remedy.Verdict {
	v := atMostOne()
	v.Lifted, v.By = true, "worker-3 is powered off, iLO says so, Ana 10:12"
	return v
}

func frozenAttested() *report.Fix {
	f := frozen()
	f.Cases[0].Ladder[4].Verdicts = []remedy.Verdict{attested(), heavyWarning()}
	f.Cases[0].Ladder[4].Offered = true
	return f
}

func exportPod() report.Pod {
	p := ending("shop", "export-27d4-8tmzn", "worker-2", stuck.FinalizersOnly, 3*time.Hour+20*time.Minute, ref(snapshot.Job, "shop", "export"))
	p.Reach, p.Confidence = scope.ReachPod, scope.Certain
	p.Finalizers = []string{"backup.example.com/snapshot"}
	p.Findings = []report.Finding{finalizer()}
	return p
}

func heldByNobody() *report.Fix {
	return fixBase(report.Fix{Cases: []report.FixCase{{Pod: exportPod(), Ladder: []remedy.Rung{
		{ID: remedy.Wait, Title: "wait", By: remedy.ByNobody, Help: remedy.NoHelp, Why: "nothing that takes the finalizer off runs in the cluster", Risk: diagnose.RiskNone},
		{ID: remedy.Restore, Title: "bring back the controller of backup.example.com/snapshot", By: remedy.ByPerson, Help: remedy.MayHelp, Why: "it knows what has to be cleaned up", Risk: diagnose.RiskNone},
		{ID: remedy.ForceDelete, Title: "force delete pod shop/export-27d4-8tmzn", By: remedy.ByTool, Help: remedy.NoHelp, Why: "the final delete was accepted already; the finalizer holds the object", Risk: diagnose.RiskHigh},
		{ID: remedy.RemoveFinalizers, Title: "take backup.example.com/snapshot off", By: remedy.ByTool, Help: remedy.Helps, Why: "it is the only finalizer, and the pod goes with it", Risk: diagnose.RiskHigh, Offered: true,
			Risks:    []string{"a snapshot that its controller would have deleted stays in the backup store"},
			Commands: []string{"kubectl stuck fix pod export-27d4-8tmzn -n shop --finalizers=backup.example.com/snapshot"},
			Verdicts: []remedy.Verdict{{Guard: "budget", Level: remedy.Warn, Reason: "PodDisruptionBudgets could not be read, so whether one covers the pod is not known."}}},
	}}}})
}

func ownerAlive() remedy.Verdict {
	return remedy.Verdict{
		Guard: "owner-alive", Level: remedy.Block, Override: "--even-if-owner-alive",
		Reason: "backup.example.com/snapshot belongs to Deployment backup/backup-operator, which runs 2 of 2 pods and renewed its lease 3s ago. It still has to delete the snapshot.",
	}
}

func heldByTheLiving() *report.Fix {
	f := heldByNobody()
	ladder := f.Cases[0].Ladder
	ladder[0] = remedy.Rung{ID: remedy.Wait, Title: "wait for Deployment backup/backup-operator", By: remedy.ByNobody, Help: remedy.MayHelp, Why: "it is alive, and takes the finalizer off when it has deleted the snapshot", Risk: diagnose.RiskNone}
	ladder[1] = remedy.Rung{ID: remedy.Restore, Title: "look why Deployment backup/backup-operator does not finish", By: remedy.ByPerson, Help: remedy.Helps, Why: "it has not taken the finalizer off for 3h", Risk: diagnose.RiskNone, Commands: []string{"kubectl logs -n backup deploy/backup-operator --since=10m"}}
	ladder[3].Verdicts, ladder[3].Offered = []remedy.Verdict{ownerAlive()}, false
	return f
}

func finalizerAct() remedy.Act {
	target := ref(snapshot.Pod, "shop", "export-27d4-8tmzn")
	target.UID = "77aa5a1e-59fb-4f5c-9f0e-b2c1e6a0d9bb"
	owner := ref(snapshot.Job, "shop", "export")
	return remedy.Act{
		Target: target, Node: "worker-2", Owner: &owner, Remedies: []remedy.ID{remedy.RemoveFinalizers}, Risk: diagnose.RiskHigh, Help: remedy.Helps,
		Loses: []string{"the snapshot that backup.example.com/snapshot stands for stays in the backup store"},
		Steps: []remedy.Step{{
			Verb: remedy.Patch, Ref: target, ResourceVersion: "88123", Finalizers: []string{"backup.example.com/snapshot"}, Patch: json.RawMessage(`[{"op":"test","path":"/metadata/uid","value":"77aa5a1e"}]`),
			What:    "take the finalizer backup.example.com/snapshot off pod shop/export-27d4-8tmzn",
			Kubectl: []string{`kubectl patch pod export-27d4-8tmzn -n shop --type=json -p '[{"op":"remove","path":"/metadata/finalizers/0"}]'`},
			Undo:    remedy.Undo{How: "the API server takes no new finalizers on an object that is being deleted"},
		}},
	}
}

func refusedByAWebhook() *report.Fix {
	f := heldByNobody()
	f.Plan = forcePlan(finalizerAct())
	f.Plan.Asked = remedy.Asked{Finalizers: true}
	f.DryRun = []remedy.Answer{{
		Said: remedy.Refused, Code: 500, By: "validating webhook check.policy.example.com (policy-engine)", Backend: "its Service policy/engine has 0 ready of 2",
		Text: `Internal error occurred: failed calling webhook "check.policy.example.com": Post "https://engine.policy.svc:443/validate?timeout=10s": no endpoints available for service "engine"`,
		Next: "bring the pods of Service policy/engine back, then run this again",
	}}
	f.Status = remedy.Rejected
	f.Next = []string{"kubectl get pods -n policy"}
	return f
}

func planned() *report.Fix {
	f := heldByNobody()
	f.Plan = forcePlan(finalizerAct())
	f.DryRun = []remedy.Answer{{Said: remedy.Accepted, Code: 200, After: "gone"}}
	f.Next = []string{"kubectl stuck fix pod export-27d4-8tmzn -n shop --finalizers"}
	return f
}

func withoutRights() *report.Fix {
	f := planned()
	f.DryRun, f.Next = nil, nil
	f.Missing = []report.MissingRight{{Verb: "patch", Resource: "pods", Namespace: "shop", Name: "export-27d4-8tmzn", Why: `no RBAC policy matched`, Role: "kubectl-stuck-fix"}}
	return f
}

func ran(f *report.Fix, status remedy.Status, outcomes ...remedy.Outcome) *report.Fix {
	f.Run, f.Journal, f.Status, f.Outcomes = "20260322-101420-7f3a", "/home/ana/.local/state/kubectl-stuck/20260322-101420-7f3a.jsonl", status, outcomes
	return f
}

func doneAndProven() *report.Fix {
	f := frozenAttested()
	f.Plan = forcePlan(cartAct(attested(), heavyWarning()))
	ran(f, remedy.Done, remedy.Outcome{Status: remedy.Done, Attempts: 1, Time: ago(70 * time.Second), Code: 200, Text: "pod shop/cart-0 is gone"})
	f.DryRun = []remedy.Answer{{Said: remedy.Accepted, Code: 200, After: "gone"}}
	f.Sights = []remedy.Sight{{
		Time: ago(2 * time.Second), Gone: true, Settled: true, Good: true, Detached: []string{"pvc-2f0c6f1e"},
		Says:        []string{"pod shop/cart-0 (0c7e5a1e) is gone", "StatefulSet shop/cart made another cart-0, which is Ready", "nothing else on worker-3 became stuck"},
		Replacement: &remedy.Replacement{Ref: ref(snapshot.Pod, "shop", "cart-0"), Node: "worker-5", Word: "Running", Ready: true, After: 41},
	}}
	return f
}

func doneAndNotProven() *report.Fix {
	f := doneAndProven()
	f.Sights[0] = remedy.Sight{
		Time: ago(2 * time.Second), Gone: true, Attached: []string{"pvc-2f0c6f1e"}, NewlyStuck: []snapshot.Ref{ref(snapshot.Pod, "shop", "cart-1")},
		Says:        []string{"pod shop/cart-0 (0c7e5a1e) is gone", "its replacement is not Ready after 2m"},
		Replacement: &remedy.Replacement{Ref: ref(snapshot.Pod, "shop", "cart-0"), Node: "worker-5", Word: "ContainerCreating", Stuck: "volume pvc-2f0c6f1e is still attached to worker-3 (Multi-Attach)"},
	}
	f.Next = []string{"kubectl stuck explain pod/cart-0 -n shop"}
	return f
}

func nobodyKnows() *report.Fix {
	f := frozenAttested()
	f.Plan = forcePlan(cartAct(attested()))
	ran(f, remedy.Open, remedy.Outcome{Status: remedy.Open, Attempts: 1, Time: ago(30 * time.Second), Text: `Delete "https://10.0.0.1:6443/api/v1/namespaces/shop/pods/cart-0": read tcp 10.1.1.7:51832->10.0.0.1:6443: connection reset by peer; and the pod could not be read afterwards: connection refused`})
	f.Notes = []string{"The API server could not be reached after the delete was sent."}
	return f
}

func webActs() []remedy.Act {
	var out []remedy.Act
	for i, node := range []string{"worker-3", "worker-3", "worker-4"} {
		a := forceAct("shop", fmt.Sprintf("web-58b6d-%c2vkq", 'a'+i), node, ref(snapshot.Deployment, "shop", "web"), diagnose.RiskMedium)
		a.Verdicts = []remedy.Verdict{{Guard: "kubelet-alive", Level: remedy.Warn, Reason: "Node " + node + " is Ready and its lease is fresh: the containers may go on running, unseen."}}
		a.Loses = []string{"what the containers have not written to disk"}
		out = append(out, a)
	}
	return out
}

func severalPlanned() *report.Fix {
	acts := append(webActs(), cartAct(atMostOne(), heavyWarning()))
	f := fixBase(report.Fix{Plan: forcePlan(acts...)})
	for _, a := range acts {
		f.Cases = append(f.Cases, report.FixCase{Pod: ending(a.Target.Namespace, a.Target.Name, a.Node, stuck.KillUnconfirmed, 14*time.Minute, *a.Owner), Ladder: []remedy.Rung{}})
	}
	f.Plan.Verdicts = []remedy.Verdict{{Guard: "blast-radius", Level: remedy.Block, Override: "--max-share 75", Reason: "3 of the 4 pods of Deployment shop/web (75%) would go at once; the limit is 50%."}}
	f.DryRun = []remedy.Answer{
		{Act: 0, Said: remedy.Accepted, Code: 200, After: "gone"}, {Act: 1, Said: remedy.Accepted, Code: 200, After: "gone"},
		{Act: 2, Said: remedy.Refused, Code: 403, By: "validating webhook no-force.example.com (guard)", Backend: "up: its Service guard/engine has 1 ready of 1", Text: `admission webhook "no-force.example.com" denied the request: force deletion is not allowed here`},
		{Act: 3, Said: remedy.Untestable, Text: "a webhook with side effects is asked before it"},
	}
	return f
}

func severalOffered() *report.Fix {
	f := frozen()
	f.Cases = append(f.Cases, heldByNobody().Cases[0], heldByTheLiving().Cases[0])
	f.Next = []string{"kubectl stuck fix pod export-27d4-8tmzn -n shop"}
	return f
}

func severalEnded() *report.Fix {
	f := severalPlanned()
	f.Plan.Verdicts = nil
	f.DryRun = nil
	f.Plan.Acts[3].Verdicts = []remedy.Verdict{attested()}
	ran(f, remedy.Rejected,
		remedy.Outcome{Act: 0, Status: remedy.Done, Attempts: 1, Time: ago(20 * time.Second), Code: 200},
		remedy.Outcome{Act: 1, Status: remedy.Already, Time: ago(19 * time.Second), Text: "it was gone"},
		remedy.Outcome{Act: 2, Status: remedy.Rejected, Attempts: 1, Time: ago(18 * time.Second), Code: 403, Text: `admission webhook "no-force.example.com" denied the request: force deletion is not allowed here`},
		remedy.Outcome{Act: 3, Status: remedy.Skipped})
	f.Sights = []remedy.Sight{{Act: 0, Time: taken(), Gone: true, Settled: true, Good: true, Says: []string{"gone"}}, {Act: 1, Time: taken(), Gone: true, Says: []string{"pod shop/web-58b6d-b2vkq is gone", "its replacement is not there yet"}}}
	return f
}

func undone() *report.Fix {
	target := ref(snapshot.Pod, "ops", "debug")
	plan := forcePlan(remedy.Act{
		Target: target, Remedies: []remedy.ID{remedy.CreateAgain}, Risk: diagnose.RiskLow, Loses: []string{"nothing more than was lost: what its containers held is gone"},
		Steps: []remedy.Step{{Verb: remedy.Create, Ref: target, What: "create pod ops/debug again from the journal", Undo: remedy.Undo{Can: true, How: "it can be deleted"}}},
	})
	plan.Undoes = "20260322-090000-aaaa"
	f := ran(fixBase(report.Fix{Plan: plan}), remedy.Done, remedy.Outcome{Status: remedy.Done, Attempts: 2, Time: ago(time.Second), Code: 201, Text: "pod ops/debug is there"})
	f.Sights = []remedy.Sight{{Time: taken(), Good: true, Settled: true, Says: []string{"pod ops/debug is there again"}}}
	return f
}

func allWell() *report.Fix {
	return fixBase(report.Fix{Cases: []report.FixCase{{Well: true, Ladder: []remedy.Rung{}, Pod: report.Pod{Namespace: "shop", Name: "cart-1", Node: "worker-1", Status: "Running", Owner: &snapshot.Ref{Kind: snapshot.StatefulSet, Namespace: "shop", Name: "cart"}}}}})
}

// fixPictures are the golden files about fixes.
func fixPictures() []golden {
	var out []golden
	add := func(name string, f *report.Fix, o render.Options) {
		format := string(o.Format)
		if format == "" {
			format = "table"
		}
		if o.Color {
			format += "-color"
		}
		out = append(out, golden{fmt.Sprintf("fix-%s.fix.%s.%d", name, format, o.Width), func(w io.Writer) error { return render.Fix(w, f, o) }})
	}
	for name, f := range fixes() {
		add(name, f, render.Options{Width: 80})
		add(name, f, render.Options{Width: 200})
	}
	add("frozen-refused", frozenRefused(), render.Options{Width: 80, Color: true})
	for _, name := range []string{"done", "several", "frozen-refused"} {
		add(name, fixes()[name], render.Options{Format: render.Wide, Width: 120})
	}
	add("unknown", nobodyKnows(), render.Options{}) // no terminal
	add("several", severalPlanned(), render.Options{Format: render.JSON})
	add("done", doneAndProven(), render.Options{Format: render.YAML})
	add("several", severalPlanned(), render.Options{Format: render.Name})
	add("undone", undone(), render.Options{Format: render.Name})
	add("several", severalOffered(), render.Options{Format: render.CustomColumns, Template: "POD:.pod.name,OFFERED:.ladder[?(@.offered==true)].id"})
	add("several", severalPlanned(), render.Options{Format: render.JSONPath, Template: "{.plan.acts[*].target.name}"})
	add("hostile", hostileFix(0), render.Options{Width: 80})
	for name, plan := range map[string]*remedy.Plan{
		"ordinary": planned().Plan, "data-loss": doneAndProven().Plan, "several": severalEnded().Plan, "hostile": hostileFix(0).Plan, "undo": undone().Plan,
	} {
		for _, w := range []int{80, 200} {
			out = append(out, golden{fmt.Sprintf("fix-%s.question.text.%d", name, w), func(b io.Writer) error {
				text, word := render.Question(plan, render.Options{Width: w})
				_, err := fmt.Fprintf(b, "%s<- %s\n", text, word)
				return err
			}})
		}
	}
	return out
}

// hostileFix is a document in which every text is hostile; its words are those of Kubernetes and of ours, as the n-th of each kind has them, so that every
// branch of the page sees hostile text.
func hostileFix(n int) *report.Fix {
	f := &report.Fix{}
	count := n
	poison(reflect.ValueOf(f).Elem(), &count, 0)
	f.TakenAt = taken()
	f.Cases = f.Cases[:1]
	f.Plan.Acts = f.Plan.Acts[:1]
	if n%2 == 1 {
		f.Origin.Path = ""
	}
	statuses := []remedy.Status{remedy.Open, remedy.Done, remedy.Rejected, remedy.Stopped, remedy.Error, remedy.Already, remedy.Skipped, ""}
	f.Status = statuses[n%len(statuses)]
	said := []remedy.Said{remedy.Refused, remedy.Accepted, remedy.Gone, remedy.Replaced, remedy.Changed, remedy.Untestable, remedy.Failed}
	for i := range f.DryRun {
		f.DryRun[i].Act, f.DryRun[i].Step, f.DryRun[i].Said = 0, 0, said[n%len(said)]
	}
	for i := range f.Outcomes {
		f.Outcomes[i].Act, f.Outcomes[i].Step, f.Outcomes[i].Status = 0, 0, f.Status
	}
	for i := range f.Sights {
		f.Sights[i].Act = 0
	}
	for i := range f.Plan.Acts[0].Steps {
		f.Plan.Acts[0].Steps[i].Verb = []remedy.Verb{remedy.Delete, remedy.Patch, remedy.Create}[n%3]
	}
	for i := range f.Cases[0].Ladder {
		r := &f.Cases[0].Ladder[i]
		r.By, r.Help, r.Offered = remedy.ByTool, []remedy.Help{remedy.Helps, remedy.NoHelp}[n/2%2], n%3 == 0
		if n%2 == 0 {
			r.ID, r.Commands = remedy.ForceDelete, nil
		} else {
			r.By = remedy.ByPerson
		}
		for j := range r.Verdicts {
			r.Verdicts[j].Level, r.Verdicts[j].Lifted = remedy.Block, n%2 == 0
		}
	}
	if n%4 == 3 {
		f.Plan, f.Outcomes, f.Status = nil, nil, ""
	}
	if n%5 == 4 {
		f.Outcomes = nil
	}
	return f
}

func drawFix(t *testing.T, f *report.Fix, o render.Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := render.Fix(&b, f, o); err != nil {
		t.Fatalf("render: %v", err)
	}
	return b.String()
}

func TestNothingHostileReachesATerminalThroughAFix(t *testing.T) {
	templates := map[render.Format]string{
		render.JSONPath: "{.plan}{.cases}", render.GoTemplate: "{{.cases}}{{.notes}}", render.CustomColumns: "POD:.pod.name,ALL:.ladder",
		render.JSONPathFile: "{.cases}", render.GoTemplateFile: "{{.cases}}", render.CustomColumnsFile: "NAME WHY\n.pod.name .ladder",
	}
	for n := range 60 {
		one := hostileFix(n)
		several := hostileFix(n)
		several.Cases = append(several.Cases, several.Cases[0])
		if several.Plan != nil {
			several.Plan.Acts = append(several.Plan.Acts, several.Plan.Acts[0])
		}
		for _, f := range append(render.Formats(), render.Table) {
			if f == render.HTML {
				continue
			}
			for _, doc := range []*report.Fix{one, several} {
				got := drawFix(t, doc, render.Options{Format: f, Template: templates[f], Width: 80, Terminal: true, AllowMissingTemplateKeys: true})
				if got == "" {
					t.Fatalf("%q, %d: nothing was written", f, n)
				}
				mustBeHarmless(t, fmt.Sprintf("format %q, %d", f, n), got)
			}
		}
		for _, doc := range []*report.Fix{one, several} {
			if doc.Plan == nil {
				continue
			}
			text, word := render.Question(doc.Plan, render.Options{Width: 80})
			mustBeHarmless(t, "question", text)
			mustBeHarmless(t, "word", word)
			if !strings.Contains(text, "Type ") || strings.Contains(word, "\n") {
				t.Errorf("question %q, word %q", text, word)
			}
			for _, l := range render.Blocked(doc.Plan) {
				mustBeHarmless(t, "blocked", l)
				if strings.Contains(l, "\n") {
					t.Errorf("more than a line: %q", l)
				}
			}
		}
	}
}

func TestNoLineOfAFixIsWiderThanThePage(t *testing.T) {
	labels := []string{"To do it: ", "If you know better than its guards: ", "If you know better than its guards (else data is lost): ", "next: ", "by hand: ", "to find out: ", "to undo it: ", "$ ", "journal: "}
	for name, f := range fixes() {
		for _, w := range []int{60, 72, 80, 120, 200} {
			for _, l := range strings.Split(drawFix(t, f, render.Options{Width: w}), "\n") {
				word := strings.TrimSpace(l)
				for _, label := range labels {
					word = strings.TrimPrefix(word, label)
				}
				if cells(l) > w && strings.ContainsRune(word, ' ') && !strings.HasPrefix(word, "kubectl ") {
					t.Errorf("%s at %d: %d cells: %q", name, w, cells(l), l)
				}
			}
		}
	}
}

func TestColourChangesNoWordOfAFix(t *testing.T) {
	for name, f := range fixes() {
		for _, format := range []render.Format{render.Table, render.Wide} {
			plain := drawFix(t, f, render.Options{Width: 100, Format: format})
			color := drawFix(t, f, render.Options{Width: 100, Format: format, Color: true})
			if got := withoutColour(color); got != plain {
				t.Errorf("%s: colour changes the words: %s", name, firstDifference(plain, got))
			}
			if color == plain {
				t.Errorf("%s: Color changes nothing", name)
			}
		}
	}
}

func TestTheHeadlineSaysWhetherSomethingWasChanged(t *testing.T) {
	for name, want := range map[string]string{
		"frozen":          "NOTHING IS OFFERED · pod shop/cart-0 · what this tool could do and may help is blocked by at-most-one\n",
		"frozen-refused":  "REFUSED by at-most-one · pod shop/cart-0 · nothing was changed",
		"frozen-attested": "OFFERED: force delete pod shop/cart-0 · risk data-loss · nothing was changed",
		"webhook":         "REFUSED by the API server, in a dry run: validating webhook check.policy.example.com (policy-engine) · pod shop/export-27d4-8tmzn · nothing was changed",
		"planned":         "PLAN, accepted by a dry run · pod shop/export-27d4-8tmzn · nothing was changed",
		"rights":          "NOT ALLOWED: 1 right missing · pod shop/export-27d4-8tmzn · nothing was changed",
		"done":            "DONE, and proven · pod shop/cart-0\n",
		"unproven":        "DONE, not proven · pod shop/cart-0\n",
		"unknown":         "UNKNOWN · pod shop/cart-0 · it was sent, and whether it was done could not be seen",
		"several":         "REFUSED by blast-radius and at-most-one · 4 pods · nothing was changed",
		"several-ended":   "REFUSED by the API server · 4 pods · 1 of 4 done\n",
		"undone":          "DONE, and proven · pod ops/debug\n",
		"well":            "NOTHING TO DO · pod shop/cart-1 is neither stuck nor waiting",
	} {
		if got := drawFix(t, fixes()[name], render.Options{Width: 400}); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q, want %q", name, got[:min(len(got), 160)], want)
		}
	}
	for want, change := range map[string]func(*report.Fix){
		"DONE, and not as wanted · pod shop/cart-0\n":                             func(f *report.Fix) { f.Sights[0].Settled, f.Sights[0].Good = true, false },
		"DONE, not proven · pod shop/cart-0 · nobody looked what came of it\n":    func(f *report.Fix) { f.Sights = nil },
		"FAILED · pod shop/cart-0 · nothing was changed\n":                        func(f *report.Fix) { f.Status, f.Outcomes[0].Status = remedy.Error, remedy.Error },
		"STOPPED · pod shop/cart-0 · nothing was changed\n":                       func(f *report.Fix) { f.Status, f.Outcomes[0].Status = remedy.Stopped, remedy.Stopped },
		"ALREADY DONE · pod shop/cart-0 · somebody else did it\n":                 func(f *report.Fix) { f.Status, f.Outcomes[0].Status = remedy.Already, remedy.Already },
		"UNKNOWN · pod shop/cart-0 · it was sent, and whether it was done could ": func(f *report.Fix) { f.Status, f.Outcomes[0].Status = remedy.Open, remedy.Open },
	} {
		f := doneAndProven()
		change(f)
		if got := drawFix(t, f, render.Options{Width: 400}); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got[:min(len(got), 160)], want)
		}
	}
	changed := severalEnded()
	if got := drawFix(t, changed, render.Options{Width: 400}); strings.Contains(got, "nothing was changed") {
		t.Error("a run that deleted a pod says that nothing was changed")
	}
	rejected := ran(planned(), remedy.Rejected, remedy.Outcome{Status: remedy.Rejected, Attempts: 1, Code: 403, Text: "no"})
	if got := drawFix(t, rejected, render.Options{Width: 400}); !strings.HasPrefix(got, "REFUSED by the API server · pod shop/export-27d4-8tmzn · nothing was changed\n") {
		t.Errorf("got %q", got)
	}
}

func TestWhatIsOfferedEndsInACommandThatDoesIt(t *testing.T) {
	for name, want := range map[string]string{
		"frozen-attested": "To do it: kubectl stuck fix pod cart-0 -n shop --force --attest 'worker-3 is powered off, iLO says so, Ana 10:12' --context prod\n",
		"frozen":          "If you know better than its guards (else data is lost): kubectl stuck fix pod cart-0 -n shop --force --attest \"…\" --context prod\n",
		"finalizer-gone":  "To do it: kubectl stuck fix pod export-27d4-8tmzn -n shop --finalizers=backup.example.com/snapshot --context prod\n",
		"finalizer-alive": "If you know better than its guards: kubectl stuck fix pod export-27d4-8tmzn -n shop --finalizers=backup.example.com/snapshot --even-if-owner-alive --context prod\n",
	} {
		if got := drawFix(t, fixes()[name], render.Options{Width: 80}); !strings.HasSuffix(got, "\n"+want) {
			t.Errorf("%s: %q is not the end of\n%s", name, want, got)
		}
	}
	dashes := frozenAttested()
	dashes.Cases[0].Ladder[4].Verdicts[0].By = "--max-pods=99; reboot"
	if got := drawFix(t, dashes, render.Options{Width: 80}); !strings.Contains(got, " --force --attest '--max-pods=99; reboot' --context prod\n") {
		t.Errorf("what a person attests became a flag:\n%s", got)
	}
	hopeless := frozen()
	hopeless.Cases[0].Ladder[4].Verdicts = append(hopeless.Cases[0].Ladder[4].Verdicts, remedy.Verdict{Guard: "mirror-pod", Level: remedy.Block, Reason: "It is a static pod."})
	got := drawFix(t, hopeless, render.Options{Width: 80})
	if strings.Contains(got, "kubectl stuck fix") || !strings.Contains(got, "Nothing lifts it.") {
		t.Errorf("a command is given for what nothing lifts:\n%s", got)
	}
	dump := heldByNobody()
	dump.Origin = snapshot.Origin{Path: "my dump.tar.gz", Context: "prod"}
	if got := drawFix(t, dump, render.Options{Width: 80}); !strings.Contains(got, "--finalizers=backup.example.com/snapshot --from 'my dump.tar.gz'\n") {
		t.Errorf("got\n%s", got)
	}
	odd := heldByNobody()
	odd.Origin.Context = "it's $(reboot)"
	if got := drawFix(t, odd, render.Options{Width: 80}); !strings.Contains(got, `--context 'it'\''s $(reboot)'`+"\n") {
		t.Errorf("a context is not quoted for the shell:\n%s", got)
	}
}

func TestTheWordToTypeFitsTheRisk(t *testing.T) {
	withRisk := func(risk diagnose.Risk, names ...string) *remedy.Plan {
		p := forcePlan()
		for _, n := range names {
			p.Acts = append(p.Acts, forceAct("shop", n, "worker-3", ref(snapshot.Deployment, "shop", "web"), risk))
		}
		return p
	}
	for _, c := range []struct {
		plan *remedy.Plan
		want string
	}{
		{withRisk(diagnose.RiskNone, "web-1"), "yes"},
		{withRisk(diagnose.RiskMedium, "web-1"), "yes"},
		{withRisk(diagnose.RiskHigh, "web-1"), "yes"},
		{withRisk(diagnose.RiskHigh, "web-1", "web-2"), "yes"},
		{withRisk(diagnose.RiskDataLoss, "web-1"), "web-1"},
		{withRisk(diagnose.RiskDataLoss, "web-1", "web-2", "web-3"), "3"},
		{withRisk("something new", "web-1"), "web-1"},
		{withRisk("", "web-1"), "web-1"},
		{withRisk(diagnose.RiskDataLoss, ""), "1"},
		{withRisk(diagnose.RiskDataLoss, "  "), "1"},
		{withRisk(diagnose.RiskDataLoss, " a\u202eb\x1b[2J\n"), `a\u202eb\x1b[2J⏎`},
	} {
		text, word := render.Question(c.plan, render.Options{Width: 200})
		if word != c.want || word != render.Word(c.plan) {
			t.Errorf("risk %q, %d objects: got %q, want %q", c.plan.Risk(), len(c.plan.Acts), word, c.want)
		}
		if !strings.Contains(text, "Type ") || !strings.Contains(text, word) || !strings.HasSuffix(text, "changes nothing: ") {
			t.Errorf("the question does not say what to type: %q", text)
		}
	}
	mixed := withRisk(diagnose.RiskLow, "web-1", "web-2")
	mixed.Acts[1].Risk = diagnose.RiskDataLoss
	if got := render.Word(mixed); got != "2" {
		t.Errorf("the worst risk does not decide: %q", got)
	}
}

func TestAQuestionNamesWhereAndWhat(t *testing.T) {
	text, _ := render.Question(doneAndProven().Plan, render.Options{Width: 200})
	for _, want := range []string{"context: prod", "server: https://10.0.0.1:6443", "pod shop/cart-0 on node worker-3 · sts/cart", "cannot be undone", "lost: what the containers of cart-0", "Risk DATA LOSS", "worker-3 is powered off, iLO says so", "Type the name"} {
		if !strings.Contains(strings.ReplaceAll(text, "Data can be lost. Type the name", "Type the name"), want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	unnamed := planned().Plan
	unnamed.Cluster = remedy.Cluster{}
	if text, _ := render.Question(unnamed, render.Options{}); !strings.Contains(text, "context: not known") {
		t.Errorf("a cluster without a name is not said to have none:\n%s", text)
	}
}

func TestWhyAPlanIsRefusedFitsOnALine(t *testing.T) {
	got := render.Blocked(severalPlanned().Plan)
	want := []string{
		"refused: blast-radius: 3 of the 4 pods of Deployment shop/web (75%) would go at once; the limit is 50%; lifted by --max-share 75",
		"refused: at-most-one (1 of 4): " + strings.TrimSuffix(atMostOne().Reason, ".") + `; lifted by --attest "…"`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	if got := render.Blocked(doneAndProven().Plan); len(got) > 0 {
		t.Errorf("a guard that was lifted is said to refuse: %q", got)
	}
	final := forcePlan(cartAct(remedy.Verdict{Guard: "mirror-pod", Level: remedy.Block, Reason: "It is a static pod."}))
	if got := render.Blocked(final); len(got) != 1 || got[0] != "refused: mirror-pod: It is a static pod; nothing lifts it" {
		t.Errorf("got %q", got)
	}
}

func TestAnUnknownOutcomeSaysHowToFindOut(t *testing.T) {
	for verb, want := range map[remedy.Verb]string{
		remedy.Delete: "NotFound, or another uid than 0c7e5a1e-59fb-4f5c-9f0e-b2c1e6a0d9aa", remedy.Patch: "or the finalizers do not hold", remedy.Create: "It was done if the object is there.",
	} {
		f := nobodyKnows()
		f.Plan.Acts[0].Steps[0].Verb = verb
		got := drawFix(t, f, render.Options{Width: 300})
		for _, w := range []string{want, "to find out: kubectl --context prod get pod cart-0 -n shop -o jsonpath=", "20260322-101420-7f3a", "/home/ana/.local/state/kubectl-stuck/"} {
			if !strings.Contains(got, w) {
				t.Errorf("%s: %q is missing in\n%s", verb, w, got)
			}
		}
	}
}

// TestAFixThatDoesNotFitItselfIsDrawn gives answers, outcomes and sights of acts and steps that the plan does not have: a document can come from a file.
func TestAFixThatDoesNotFitItselfIsDrawn(t *testing.T) {
	for name, f := range map[string]*report.Fix{
		"nothing at all": {},
		"no acts":        {Plan: &remedy.Plan{}, Status: remedy.Done},
		"other indices": {Plan: forcePlan(cartAct()), DryRun: []remedy.Answer{{Act: -1, Step: 7}}, Outcomes: []remedy.Outcome{{Act: 9, Step: -2, Status: remedy.Open}},
			Sights: []remedy.Sight{{Act: 5}}, Status: remedy.Open},
		"outcomes and no plan": {Outcomes: []remedy.Outcome{{Status: remedy.Open}}, Status: remedy.Open, Run: "x"},
	} {
		for _, format := range []render.Format{render.Table, render.Wide, render.Name, render.JSON, render.YAML} {
			if got := drawFix(t, f, render.Options{Format: format}); got == "" && format != render.Name {
				t.Errorf("%s, %q: nothing was written", name, format)
			}
		}
	}
	var b bytes.Buffer
	if err := render.Fix(&b, planned(), render.Options{Format: render.HTML}); err == nil || b.Len() > 0 {
		t.Errorf("html: no error, or something was written: %v", err)
	}
}

func TestAnExplainedPodIsSaidHowToBeFixed(t *testing.T) {
	r := outOfProcesses()
	r.Nodes, r.Groups = nil, r.Groups[1:]
	if got := draw(t, r, render.Options{View: render.Explain, Width: 80}); !strings.Contains(got, "\nnext: kubectl stuck fix pod export-27d4-8tmzn -n shop\n") {
		t.Errorf("got\n%s", got)
	}
	r.Origin = snapshot.Origin{Path: "dump.tar.gz"}
	if got := draw(t, r, render.Options{View: render.Explain, Width: 80}); !strings.Contains(got, "\nnext: kubectl stuck fix pod export-27d4-8tmzn -n shop --from dump.tar.gz\n") {
		t.Errorf("got\n%s", got)
	}
}
