package network

import (
	"net/netip"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// addressRange is the range that the host-local plugin found full, and how much of it pods hold.
type addressRange struct {
	ev       []diagnose.Evidence
	from, to netip.Addr
	size     int
	used     int
	counted  bool // size and used are known
}

// full tells whether pods really hold the range.
func (r addressRange) full() bool { return r.counted && r.used*10 >= r.size*9 }

// rangeOf reads which range was full from "no IP addresses available in range set: <first>-<last>" (CNI plugins,
// host-local allocator.go), and counts the addresses in it that the node's pods hold.
func rangeOf(s *snapshot.Snapshot, p stuck.Pod) (addressRange, bool) {
	const full = "no ip addresses available in range set"
	r := addressRange{ev: sandboxEvents(s, p, []string{reasonCreate, reasonKill}, says(sayRangeFull))}
	if len(r.ev) == 0 {
		return r, false
	}
	_, text, _ := strings.Cut(strings.ToLower(last(r.ev)), full)
	text, _, _ = strings.Cut(strings.TrimLeft(text, ": "), ",") // of several ranges the first
	if i := strings.IndexAny(text, " \"\\)"); i >= 0 {
		text = text[:i]
	}
	from, to, ok := strings.Cut(text, "-")
	if !ok {
		return r, true
	}
	a, errA := netip.ParseAddr(strings.TrimSpace(from))
	b, errB := netip.ParseAddr(strings.TrimSpace(strings.TrimRight(to, ".;:]")))
	if errA != nil || errB != nil || a.BitLen() != b.BitLen() {
		return r, true
	}
	size, ok := distance(a, b)
	if !ok {
		return r, true
	}
	r.from, r.to, r.size = a, b, size
	pods, all := s.PodsOnNode(p.Node)
	for _, o := range pods {
		if o.Spec.HostNetwork {
			continue
		}
		for _, ip := range o.Status.PodIPs {
			if x, err := netip.ParseAddr(ip.IP); err == nil && a.Compare(x) <= 0 && x.Compare(b) <= 0 {
				r.used++
				break
			}
		}
	}
	// A range in which no pod has its address belongs to a second network, whose addresses pods do not report.
	r.counted = all && r.used > 0
	return r, true
}

// distance is how many addresses lie from a to b; ok is false where they are too many to matter.
func distance(a, b netip.Addr) (int, bool) {
	x, y := a.AsSlice(), b.AsSlice()
	n := 0
	for i := range x {
		n = n<<8 + int(y[i]) - int(x[i])
		if n > 1<<20 || n < 0 {
			return 0, false
		}
	}
	return n + 1, true
}
