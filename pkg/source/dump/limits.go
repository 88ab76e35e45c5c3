package dump

// Limits bound what hostile or mistaken input can cost. A zero field means its default.
type Limits struct {
	// ObjectBytes is the longest JSON object accepted. etcd refuses objects above 1.5 MB by default. Default 16 MiB.
	ObjectBytes int
	// YAMLObjectBytes is the longest YAML object accepted; parsed YAML takes a hundred times its size. Default 4 MiB.
	YAMLObjectBytes int
	// Depth is how deep an object may be nested. Default 200.
	Depth int
	// Objects is how many objects are indexed at most, about 400 bytes of memory each. Default 3,000,000.
	Objects int
	// Files is how many files, directories and archive members are looked at. Default 200,000.
	Files int
	// TotalBytes is how much is read in all, after unpacking. Default 64 GiB.
	TotalBytes int64
	// Ratio is how many times longer than its compressed form a file may become once 64 MiB were unpacked. Repetitive JSON
	// reaches 60; a bomb about 1,000. Default 300.
	Ratio int64
	// HeldBytes is how much of YAML, archives and standard input is kept in memory, compressed. Default 1 GiB.
	HeldBytes int64
	// Nesting is how many compressed or archived layers one file may have. Default 4.
	Nesting int
}

func (l Limits) withDefaults() Limits {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def64 := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.ObjectBytes, 16<<20)
	def(&l.YAMLObjectBytes, 4<<20)
	def(&l.Depth, 200)
	def(&l.Objects, 3_000_000)
	def(&l.Files, 200_000)
	def64(&l.TotalBytes, 64<<30)
	def64(&l.Ratio, 300)
	def64(&l.HeldBytes, 1<<30)
	def(&l.Nesting, 4)
	return l
}

// ratioFloor is how many bytes are unpacked before Limits.Ratio is looked at.
const ratioFloor = 64 << 20
