package nodelog

import "bytes"

// podsIn returns the pods that a line names: as namespace/name or, where it gives no name, by UID. The line is in lower case, as names and UIDs are,
// and without escapes.
func podsIn(line []byte) []string {
	f := podFinder{line: line}
	for at := 0; ; {
		i := bytes.Index(line[at:], []byte("pod"))
		if i < 0 {
			break
		}
		at += i + len("pod")
		f.after(line[at:])
	}
	for at := 0; ; {
		i := bytes.IndexByte(line[at:], '(')
		if i < 0 {
			break
		}
		f.brackets(at + i)
		at += i + 1
	}
	if len(f.names) > 0 {
		return f.names
	}
	return f.uids
}

// podFinder gathers what one line names.
type podFinder struct {
	line        []byte
	names, uids []string
}

// after looks at what follows the word "pod".
func (f *podFinder) after(s []byte) {
	if uid, n := uidAt(s); n > 0 { // kubepods-burstable-pod0f3a….slice, /kubepods/burstable/pod0f3a…
		f.uid(uid)
		return
	}
	for _, form := range []struct {
		prefix string
		read   func([]byte)
	}{
		{`="`, f.slashed}, {`=`, f.slashed}, {` "`, f.slashed}, {`s=[`, f.list}, {`s/`, f.path},
		{`uid="`, f.uidHere}, {`uid=`, f.uidHere}, {`uid":"`, f.uidHere}, {` uid "`, f.uidHere}, {`_uid="`, f.uidHere},
		{`":{"name":"`, f.object}, {`s":[{"name":"`, f.object}, {`sandboxmetadata{name:`, f.metadata}, {`_namespace=`, f.cni},
	} {
		if rest, ok := bytes.CutPrefix(s, []byte(form.prefix)); ok {
			form.read(rest)
			return
		}
	}
}

// slashed is `shop/web-5d9f`.
func (f *podFinder) slashed(s []byte) {
	if ns := nameAt(s); ns > 0 && ns < len(s) && s[ns] == '/' {
		if n := nameAt(s[ns+1:]); n > 0 {
			f.name(s[:ns], s[ns+1:ns+1+n])
		}
	}
}

// list is `"shop/web-5d9f","shop/web-7c1a"]`.
func (f *podFinder) list(s []byte) {
	s, _, _ = bytes.Cut(s, []byte("]"))
	for len(s) > 0 && len(f.names) < MaxNames {
		s = bytes.TrimLeft(s, `", `)
		f.slashed(s)
		i := bytes.IndexAny(s, ", ")
		if i < 0 {
			return
		}
		s = s[i:]
	}
}

// path is what follows "pods/": the UID in the kubelet's directory, or shop_web-5d9f_<uid> in that of logs.
func (f *podFinder) path(s []byte) {
	if uid, n := uidAt(s); n > 0 {
		f.uid(uid)
		return
	}
	dir, _, _ := bytes.Cut(s[:min(len(s), 512)], []byte("/"))
	if p := bytes.Split(dir, []byte("_")); len(p) == 3 && nameAt(p[0]) == len(p[0]) && nameAt(p[1]) == len(p[1]) {
		f.name(p[0], p[1])
	}
}

func (f *podFinder) uidHere(s []byte) {
	if uid, n := uidAt(s); n > 0 {
		f.uid(uid)
	}
}

// object is `web-5d9f","namespace":"shop"`, as kubelet writes JSON.
func (f *podFinder) object(s []byte) {
	n := nameAt(s)
	if rest, ok := bytes.CutPrefix(s[n:], []byte(`","namespace":"`)); ok {
		f.name(rest[:nameAt(rest)], s[:n])
	}
}

// metadata is `web-5d9f,uid:…,namespace:shop,`, as containerd writes.
func (f *podFinder) metadata(s []byte) {
	n := nameAt(s)
	_, rest, ok := bytes.Cut(s[:min(len(s), 512)], []byte(",namespace:"))
	if ok && n > 0 {
		f.name(rest[:nameAt(rest)], s[:n])
	}
}

// cni is `shop;k8s_pod_name=web-5d9f`, the arguments of a network plugin.
func (f *podFinder) cni(s []byte) {
	n := nameAt(s)
	if rest, ok := bytes.CutPrefix(s[n:], []byte(";k8s_pod_name=")); ok {
		f.name(s[:n], rest[:nameAt(rest)])
	}
}

// brackets looks at what stands around a bracket: `web-5d9f_shop(<uid>)` of an older kubelet, or `(uid: "<uid>")`.
func (f *podFinder) brackets(at int) {
	s := f.line[at+1:]
	if rest, ok := bytes.CutPrefix(s, []byte(`uid: "`)); ok {
		f.uidHere(rest)
		return
	}
	uid, n := uidAt(s)
	if n == 0 || n >= len(s) || s[n] != ')' {
		return
	}
	f.uid(uid)
	start := at
	for start > 0 && at-start < 400 && (isName(f.line[start-1]) || f.line[start-1] == '_') {
		start--
	}
	if name, ns, ok := bytes.Cut(f.line[start:at], []byte("_")); ok && nameAt(ns) == len(ns) {
		f.name(ns, name)
	}
}

func (f *podFinder) name(namespace, name []byte) {
	if len(namespace) == 0 || len(name) == 0 || len(f.names) >= MaxNames {
		return
	}
	f.names = append(f.names, string(namespace)+"/"+string(name))
}

func (f *podFinder) uid(uid string) {
	if len(f.uids) < MaxNames {
		f.uids = append(f.uids, uid)
	}
}

// nameAt is how long the name is that s begins with: of a namespace or a pod, up to 253 bytes.
func nameAt(s []byte) int {
	n := 0
	for n < len(s) && n < 253 && isName(s[n]) {
		n++
	}
	for n > 0 && (s[n-1] == '.' || s[n-1] == '-') { // the full stop behind it
		n--
	}
	return n
}

func isName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.'
}

// uidAt is the UID that s begins with, and how long that is: 8-4-4-4-12 digits, which systemd's slices write with "_", or the 32 of a static pod.
func uidAt(s []byte) (string, int) {
	const long, short = 36, 32
	hex := func(s []byte) bool {
		for _, c := range s {
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
		return true
	}
	if len(s) >= long && (s[8] == '-' || s[8] == '_') && s[13] == s[8] && s[18] == s[8] && s[23] == s[8] &&
		hex(s[:8]) && hex(s[9:13]) && hex(s[14:18]) && hex(s[19:23]) && hex(s[24:long]) {
		return string(bytes.ReplaceAll(s[:long], []byte("_"), []byte("-"))), long
	}
	if len(s) >= short && hex(s[:short]) && (len(s) == short || !isName(s[short]) || s[short] == '.') {
		return string(s[:short]), short
	}
	return "", 0
}
