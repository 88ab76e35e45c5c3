package remedy

import "slices"

// Outlook says whether the rungs together are expected to help, and why.
func Outlook(c *Case, ids []ID) (Help, string) {
	st := c.standing()
	force, patch := slices.Contains(ids, ForceDelete), slices.Contains(ids, RemoveFinalizers)
	switch {
	case force && patch:
		return st.bothHelp()
	case force:
		return st.forceHelp(false)
	case patch:
		return st.patchHelp(false)
	case slices.Contains(ids, DeletePod):
		return st.deleteHelp()
	default:
		return MayHelp, ""
	}
}

// bothHelp is what is expected of a force delete with the removal of finalizers after it.
func (st standing) bothHelp() (Help, string) {
	patch, whyPatch := st.patchHelp(true)
	if len(st.obj.Finalizers) == 0 {
		return st.forceHelp(false)
	}
	_, left := st.taken()
	force, whyForce := st.forceHelp(len(left) == 0)
	switch {
	case st.finalOnly():
		return patch, join(whyPatch, "a force delete before it changes nothing")
	case force == NoHelp:
		return NoHelp, whyForce
	case patch == NoHelp:
		return NoHelp, whyPatch
	case patch == Helps:
		return force, whyForce
	default:
		return patch, join(whyForce, whyPatch)
	}
}
