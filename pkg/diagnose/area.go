package diagnose

// Area is the subject that a cause belongs to. Its code tells.
type Area string

// The areas, by the first digit of the codes in them.
const (
	AreaNode    Area = "node"    // ST1xx
	AreaRuntime Area = "runtime" // ST2xx
	AreaStorage Area = "storage" // ST3xx
	AreaNetwork Area = "network" // ST4xx
	AreaControl Area = "control" // ST5xx: the control plane, admission, finalizers
	AreaStartup Area = "startup" // ST6xx: images, configuration, scheduling
)

// Areas lists them in the order of the codes.
func Areas() []Area {
	return []Area{AreaNode, AreaRuntime, AreaStorage, AreaNetwork, AreaControl, AreaStartup}
}

// Area is the cause's.
func (c Cause) Area() Area {
	if len(c.Code) < 3 {
		return ""
	}
	if n := int(c.Code[2] - '1'); n >= 0 && n < len(Areas()) {
		return Areas()[n]
	}
	return ""
}

// Shown is where a cause shows.
type Shown string

// Where causes show.
const (
	ShownByAPI Shown = "api"
	ShownByLog Shown = "log"
)

// Shown lists where the cause shows; nothing where it is only named because other causes' evidence fits it.
func (c Cause) Shown() []Shown {
	out := []Shown{}
	if c.Recognisable() {
		out = append(out, ShownByAPI)
	}
	if len(c.Log) > 0 {
		out = append(out, ShownByLog)
	}
	return out
}
