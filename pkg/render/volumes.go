package render

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

// storage shows what the volumes of a pod rest on, a line for each hop, with what is wrong at it in words.
func (p *page) storage(volumes []report.PodVolume) {
	if len(volumes) == 0 {
		return
	}
	p.title("Storage")
	for i, v := range volumes {
		if i > 0 {
			p.blank()
		}
		p.volumeChain(v)
	}
}

func (p *page) volumeChain(v report.PodVolume) {
	wrong := map[volume.Hop][]string{}
	for _, n := range v.Notes {
		if n.Hop == volume.HopPlugin && strings.Contains(n.What, "not ready") {
			continue // the line of the pods says it
		}
		wrong[n.Hop] = append(wrong[n.Hop], n.What)
	}
	hop := func(at volume.Hop, label, value string) {
		if value == "" && len(wrong[at]) == 0 {
			return
		}
		spans := []span{styled(dim, label)}
		if value != "" {
			spans = append(spans, text(value))
		}
		for n, w := range wrong[at] {
			sep := "; "
			switch {
			case n == 0 && value == "":
				sep = ""
			case n == 0:
				sep = ": "
			}
			spans = append(spans, text(sep), styled(red, w))
		}
		delete(wrong, at)
		p.para(4, 6, spans...)
	}
	name := v.Name
	if v.Kind != "" {
		name += " (" + v.Kind + ")"
	}
	if v.ReadOnly {
		name += ", read-only"
	}
	p.para(2, 4, styled(dim, "volume "), styled(bold, name))
	claim := v.Claim
	if claim != "" && len(v.AccessModes) > 0 {
		claim += " (" + strings.Join(v.AccessModes, ", ") + ")"
	}
	hop(volume.HopClaim, "claim: ", claim)
	hop(volume.HopVolume, "persistent volume: ", v.PV)
	switch {
	case v.Server != "":
		p.para(4, 6, styled(dim, "server: "), text(strings.TrimSpace(v.Server+" "+v.Path)))
	case v.Path != "":
		p.para(4, 6, styled(dim, "directory of the node: "), text(v.Path))
	}
	if v.Handle != "" {
		p.para(4, 6, styled(dim, "handle: "), text(v.Handle))
	}
	attachment := ""
	if a := v.Attachment; a != nil {
		attachment = fmt.Sprintf("%s, to node %s (%s)", a.Name, a.Node, attachWords(a))
		if a.Error != "" {
			attachment += ", " + fmt.Sprintf("%q", a.Error)
		}
	}
	hop(volume.HopAttachment, "attachment: ", attachment)
	driver := v.Driver
	if driver != "" && v.Registered != nil && *v.Registered {
		driver += ", registered on the node"
	}
	if driver != "" && v.Limit != nil {
		driver += fmt.Sprintf(", %d of %d volumes attached there", v.Used, *v.Limit)
	}
	hop(volume.HopDriver, "driver: ", driver)
	var plugins, controllers []string
	for _, d := range v.DriverPods {
		words := fmt.Sprintf("%s/%s (%s)", d.Pod.Namespace, d.Pod.Name, readyWords(d))
		if d.Role == "node plugin" {
			plugins = append(plugins, words)
		} else {
			controllers = append(controllers, d.Role+" "+words)
		}
	}
	hop(volume.HopPlugin, "its pod on the node: ", strings.Join(plugins, ", "))
	hop(volume.HopController, "its controller: ", strings.Join(controllers, ", "))
}

func attachWords(a *report.VolumeAttachment) string {
	switch {
	case a.Deleting && a.Attached:
		return "attached, and being detached"
	case a.Deleting:
		return "being detached"
	case a.Attached:
		return "attached"
	default:
		return "not attached yet"
	}
}

func readyWords(d report.DriverPod) string {
	if d.Ready {
		return "ready"
	}
	return "not ready, " + d.Status
}
